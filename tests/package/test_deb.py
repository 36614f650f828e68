# SPDX-License-Identifier: MIT
"""The package as Debian's own tools see it: built twice, for another processor, by piuparts and by
autopkgtest."""

import hashlib
import os
import re
import subprocess

import pytest

from conftest import LONG
from machine import TMP, TOP

pytestmark = pytest.mark.skipif(not LONG, reason="long")


def deb(folder, *args, **env):
    """What dev/deb builds."""
    done = subprocess.run([TOP / "dev/deb", *args, folder], capture_output=True, text=True,
                          env={**os.environ, "KIISRV_DEB_DIR": str(TMP / "deb"), **env},
                          umask=0o002, check=False, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def installed_size(path):
    return 1024 * int(subprocess.run(["dpkg-deb", "-f", path, "Installed-Size"], check=True,
                                     capture_output=True, text=True).stdout)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def folder(tmp_path_factory):
    made = TMP / "built"
    made.mkdir(parents=True, exist_ok=True)
    yield made
    subprocess.run(["rm", "-rf", made], check=True)


def test_built_again_it_is_the_same(debs, folder):
    """In another folder, with another umask, time zone and language."""
    deb(folder, TZ="Asia/Tokyo", LC_ALL="de_DE.UTF-8", HOME="/nonexistent")
    version = debs["new"].name.partition("_")[2]
    firsts = list(debs["new"].parent.glob(f"kiisrv*_{version}"))
    assert debs["new"] in firsts and len(firsts) > 1, firsts   # and its -dbgsym
    for first in firsts:
        assert digest(first) == digest(folder / first.name), first.name


def test_plain_dpkg_buildpackage_makes_the_same(debs, folder):
    """In a checkout, with the unit tests; and lintian has nothing to say of what comes out."""
    source = folder / "kiisrv"
    subprocess.run(["bash", "-ec", 'work=/nonexistent top=$1; . "$top/dev/lib.sh"; '
                    'copy_source "$2"', "-", TOP, source], check=True)
    done = subprocess.run(["dpkg-buildpackage", "-us", "-uc", "-b"], cwd=source, text=True,
                          capture_output=True, check=False, timeout=1800,
                          env={**os.environ, "DEB_BUILD_OPTIONS": f"parallel={os.cpu_count()}"})
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert int(re.search(r"^# PASS: +(\d+)", done.stdout, re.M)[1]) > 500
    assert digest(folder / debs["new"].name) == digest(debs["new"])
    changes, = folder.glob("*.changes")
    done = subprocess.run(["lintian", "-i", "--pedantic", "--allow-root", changes],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stdout.strip(), done.stdout + done.stderr


def test_it_is_built_for_another_processor(folder):
    built = deb(folder, "--host", "arm64")
    assert built.endswith("_arm64.deb")
    # More than the other's 3 MB: pages of 64 KiB, and what the linker leaves empty before them.
    assert installed_size(built) <= 4_200_000
    subprocess.run(["dpkg-deb", "-x", built, folder / "x"], check=True)
    for program in (folder / "x/usr/libexec/kiisrv/build", folder / "x/usr/sbin/kiisrvctl"):
        # An ELF file for AArch64.
        assert program.read_bytes()[:4] == b"\x7fELF"
        assert program.read_bytes()[18:20] == b"\xb7\0"


@pytest.fixture
def chroot():
    """The machine's files without the machine: all that the package depends on is there."""
    machine = os.environ.get("KIISRV_TEST_MACHINE")
    if not machine:
        pytest.skip("KIISRV_TEST_MACHINE names no tar of the machine")
    root = TMP / "chroot"
    subprocess.run(["bash", "-ec", """
        work=/nonexistent top=$1
        . "$top/dev/lib.sh"
        rm -rf --one-file-system "$2"
        mkdir -p "$2"
        tar -C "$2" -xpf "$3"
        for node in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9"; do
            set -- "$1" "$2" "$3" $node
            mknod -m 666 "$2/dev/$4" c "$5" "$6"
        done
        cp /etc/resolv.conf "$2/etc/"
        apt_as_here "$2"
        """, "-", TOP, root, machine], check=True)
    yield root
    subprocess.run(["rm", "-rf", "--one-file-system", root], check=True)


def test_piuparts_finds_nothing_left(debs, chroot):
    """Installed, removed, purged; what nginx itself makes when it is asked is nginx'."""
    done = subprocess.run(
        ["piuparts", "--existing-chroot", chroot, "--keep-sources-list", "-d", "bookworm",
         "--warn-on-debsums-errors", "--ignore-regex", "^/var/(lib|log)/nginx/", debs["new"]],
        capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert "PASS: Installation and purging test" in done.stdout + done.stderr


@pytest.fixture
def testbed(url, chroot):
    """An image of it that has what autopkgtest itself needs."""
    env = {**os.environ, "DOCKER_HOST": url}
    subprocess.run(["chroot", chroot, "sh", "-ec", r"""
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod 755 /usr/sbin/policy-rc.d
        apt-get -q update
        DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
            install dpkg-dev apt-utils
        rm /usr/sbin/policy-rc.d
        """], check=True, capture_output=True, timeout=600)
    subprocess.run(["bash", "-ec", "set -o pipefail; tar -C \"$1\" --exclude='./dev/*' -c . | docker "
                    "import -c 'CMD [\"/sbin/init\"]' -c 'ENV container=docker' - $2", "-", chroot,
                    "kiisrv-test-testbed"], env=env, check=True, capture_output=True)
    yield "kiisrv-test-testbed"
    subprocess.run(["docker", "rmi", "kiisrv-test-testbed"], env=env, check=True,
                   capture_output=True)


def test_autopkgtest_passes(url, debs, testbed):
    source = TMP / "source"
    subprocess.run(["bash", "-ec", 'work=/nonexistent top=$1; . "$top/dev/lib.sh"; '
                    'copy_source "$2"', "-", TOP, source], check=True)
    done = subprocess.run(
        ["autopkgtest", "-B", debs["new"], source, "--test-name=stack", "--", "docker", "--init",
         testbed, "--", "--network", "none", "--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN",
         "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined",
         "--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec", "--cgroupns", "host",
         "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw"],
        env={**os.environ, "DOCKER_HOST": url}, cwd=TMP, capture_output=True, text=True,
        check=False, timeout=900)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert "stack                PASS" in done.stdout + done.stderr
