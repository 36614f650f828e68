# SPDX-License-Identifier: MIT
"""The commands of docs/deployment.md and docs/operations.md on a machine with the package, as they
are written there."""

import json
import re
import shutil
import subprocess

import pytest

from conftest import LONG
from machine import TMP, TOP, wait_until
from docs import block, changed, reference

pytestmark = pytest.mark.skipif(not LONG, reason="long")
SITE = "/etc/nginx/sites-available/kiisrv"
NAME = "firmware.example.org"


def run(machine, heading, word, *changes):
    """Do what a block says; `changes` are pairs of what this machine calls otherwise."""
    return machine.sh("set -e; export PAGER=cat SYSTEMD_PAGER=cat\ncd /root\n" +
                      changed(heading, word, *changes))


@pytest.fixture(scope="module")
def shared(new_machine):
    made = new_machine()
    made.give_engine()
    return made


@pytest.fixture
def machine(shared):
    yield shared
    shared.purge()


def built(machine, name, url="http://localhost:3001"):
    layout = json.loads((TOP / "layouts/MD1-Standard.json").read_text())
    layout["header"]["Author"] = name
    (TMP / "request.json").write_text(json.dumps({"env": "latest", "config": layout}))
    machine.docker("cp", str(TMP / "request.json"), f"{machine.name}:/root/request.json")
    answer = machine.sh("curl -sS --cacert /root/ca.crt -H 'Content-Type: application/json' "
                        f"--data-binary @/root/request.json {url}/download.php"
                        if url.startswith("https") else
                        "curl -sS -H 'Content-Type: application/json' "
                        f"--data-binary @/root/request.json {url}/download.php")
    assert json.loads(answer)["success"] is True, answer
    return json.loads(answer)["filename"][1:]


def install(machine, deb):
    return run(machine, "The Debian package", "apt install docker.io",
               ("docker.io ", "-y -q --allow-downgrades "),
               ("/tmp/kiisrv_0.1.0_amd64.deb", f"/debs/{deb.name}"))


def certificate(machine):
    """Made here by the commands, used there."""
    folder = TMP / "ca"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    subprocess.run(["bash", "-ec", block("nginx and TLS", "openssl req")], cwd=folder, check=True,
                   capture_output=True)
    for file in (f"{NAME}.crt", f"{NAME}.key", "ca.crt"):
        machine.docker("cp", str(folder / file), f"{machine.name}:/root/{file}")


def test_installed_looked_at_and_reloaded(machine, debs):
    said = install(machine, debs["new"])
    assert "active" in said and " 0 failures" in said, said
    run(machine, "The Debian package", "systemctl reload kiisrv")
    assert "kiisrv-worker.service" in machine.sh("systemctl list-units 'kiisrv*'")
    assert built(machine, "docs")


def test_nginx_with_tls(machine, debs):
    install(machine, debs["new"])
    certificate(machine)
    machine.sh(f"grep -q {NAME} /etc/hosts || echo '127.0.0.1 {NAME}' >>/etc/hosts")
    run(machine, "nginx and TLS", "nginx -t && systemctl reload nginx")
    wait_until(lambda: machine.run("cd /root && " + block("nginx and TLS", "curl --cacert")
                                   ).returncode == 0, 10)
    assert built(machine, "TLS", f"https://{NAME}").startswith("/tmp/")
    # Who knows no such CA trusts it not; http leads to https; the port behind goes on.
    machine.fails(f"curl -sS https://{NAME}/versions")
    head = machine.sh(f"curl -s -i http://{NAME}/versions")
    assert " 308 " in head and f"https://{NAME}/versions" in head, head
    assert machine.answers()
    tls = machine.sh(f"curl -sv --cacert /root/ca.crt https://{NAME}/versions 2>&1")
    assert "TLSv1.3" in tls and "HTTP/2 200" in tls, tls


def test_a_proxy_in_front(machine, debs):
    """The block for the container's proxy, before the same port."""
    install(machine, debs["new"])
    certificate(machine)
    machine.sh(f"grep -q {NAME} /etc/hosts || echo '127.0.0.1 {NAME}' >>/etc/hosts; cd /root; "
               f"cat {NAME}.crt >/etc/ssl/certs/{NAME}.pem && install -m 600 {NAME}.key "
               f"/etc/ssl/private/{NAME}.key")
    (TMP / "proxy.conf").write_text(block("nginx and TLS", "proxy_pass"))
    machine.docker("cp", str(TMP / "proxy.conf"),
                   f"{machine.name}:/etc/nginx/sites-enabled/proxy")
    try:
        machine.sh("sed -i 's,# set_real_ip_from 127.0.0.1,set_real_ip_from 127.0.0.1,; "
                   f"s,# real_ip_header,real_ip_header,' {SITE} && nginx -t && "
                   "systemctl reload nginx")
        assert built(machine, "proxy", f"https://{NAME}")
    finally:
        machine.sh("rm /etc/nginx/sites-enabled/proxy && systemctl reload nginx")


def test_backup_and_restore(machine, debs):
    install(machine, debs["new"])
    machine.sh("kiisrvctl versions add mine stable controller-057 v0.5.7")
    assert built(machine, "kept")
    counted = machine.get("/stats")[1]
    machine.sh("mkdir -p /var/backups")
    run(machine, "Backup and restore", "kiisrvctl backup /var")
    machine.sh("kiisrvctl versions remove mine")
    said = run(machine, "Backup and restore", "kiisrvctl restore /var")
    assert " 0 failures" in said, said
    assert "mine" in machine.sh("kiisrvctl versions list")
    wait_until(lambda: machine.get("/stats")[1] == counted, 10)
    # On another machine, that is one where nothing is.
    machine.sh("cp /var/backups/kiisrv.tar.gz /root/")
    machine.purge()
    install(machine, debs["new"])
    assert "mine" not in machine.sh("kiisrvctl versions list")
    machine.sh("cp /root/kiisrv.tar.gz /var/backups/")
    run(machine, "Backup and restore", "kiisrvctl restore /var")
    assert "mine" in machine.sh("kiisrvctl versions list")
    assert built(machine, "kept") and machine.reasons() == []


def test_upgrade_and_back(machine, debs):
    install(machine, debs["old"])
    machine.sh("kiisrvctl versions add mine stable controller-057 v0.5.7; mkdir -p /var/backups")
    version = machine.sh("dpkg-query -W -f '${Version}' kiisrv")
    run(machine, "Upgrade, and back", "kiisrv-before.tar.gz\napt",
        ("apt install ./kiisrv_0.2.0_amd64.deb", f"apt install -y -q /debs/{debs['new'].name}"))
    assert machine.sh("dpkg-query -W -f '${Version}' kiisrv") != version
    # What a newer program would have made of it.
    machine.sh("systemctl stop 'kiisrv*' && cd /var/lib/kiisrv && "
               "sqlite3 queue/jobs.sqlite 'PRAGMA user_version = 99' && "
               "sqlite3 queue/config.sqlite 'PRAGMA user_version = 99; DELETE FROM Versions'")
    run(machine, "Upgrade, and back", "--allow-downgrades",
        ("--allow-downgrades ./kiisrv_0.1.0_amd64.deb",
         f"--allow-downgrades -y -q /debs/{debs['old'].name} || true"))
    assert machine.sh("dpkg-query -W -f '${Version}' kiisrv") == version
    assert "newer" in machine.fails("kiisrvctl doctor")
    run(machine, "Upgrade, and back", "systemctl stop 'kiisrv*'")
    assert machine.reasons() == [] and "mine" in machine.sh("kiisrvctl versions list")
    assert built(machine, "back")


def test_coming_from_the_rust_server(machine, debs):
    reference(TMP / "reference")
    machine.docker("cp", str(TMP / "reference"), f"{machine.name}:/opt/kiisrv")
    machine.sh("printf '[Service]\\nExecStart=/usr/bin/systemd-socket-activate -l 127.0.0.1:3001 "
               "/bin/cat\\n[Install]\\nWantedBy=multi-user.target\\n' "
               ">/etc/systemd/system/kiisrv.service && systemctl daemon-reload && "
               "systemctl enable --now kiisrv")
    wait_until(lambda: "3001" in machine.sh("ss -Hltn"), 10)
    try:
        said = machine.run("cd /debs && apt-get install -y -q --allow-downgrades "
                           f"./{debs['new'].name}")
        said = said.stdout + said.stderr
        assert "listens on port 3001" in said and "stands in place of ours" in said, said
        said = run(machine, "Coming from the Rust server", "systemctl disable --now kiisrv")
        assert "Linux" in said, said
        assert "older" in machine.sh("kiisrvctl versions list")
        assert machine.reasons() == [] and built(machine, "migrated")
    finally:
        machine.sh("rm -rf /opt/kiisrv /etc/systemd/system/kiisrv.service "
                   "/root/kiisrv.service && systemctl daemon-reload")


# These need a network, or a checkout.
ELSEWHERE = ("images build", "versions refresh", "docker compose")


def test_the_commands_of_operations(machine, debs):
    """In their order; what they call by a word is put in."""
    install(machine, debs["new"])
    reference(TMP / "reference")
    machine.docker("cp", str(TMP / "reference"), f"{machine.name}:/srv/kiisrv-rs")
    words = {"layouts/MD1": "/usr/share/kiisrv/layouts/MD1", " DIR": " /usr/share/kiisrv/layouts",
             "jobs list ": "jobs list --json "}
    text = (TOP / "docs/operations.md").read_text(encoding="utf-8")
    lines = [line.strip() for line in re.findall(r"^    (.*)", text, re.M)
             if not any(word in line for word in ELSEWHERE)]
    assert len(lines) >= 20, lines
    assert built(machine, "for operations")
    job = None
    for line in lines:
        for theirs, ours in words.items():
            line = line.replace(theirs, ours)
        if "jobs cancel" in line:
            # A job that still runs.
            endless = machine.build("v0.5.6", "//! tick 60", "endless", "/api/v1/builds")[1]
            line = line.replace(" ID", f" {json.loads(endless)['job']}")
        said = machine.sh("cd /root && set -e; " + line.replace(" ID", f" {job}"))
        if "jobs list" in line:
            job = json.loads(said)[0]["id"]
        if "jobs cancel" in line:
            assert "cancelled" in said, said
        if "token add" in line:
            words["$TOKEN"] = said.split()[-1]
    machine.sh("rm -rf /srv/kiisrv-rs /root/MD1*")


def test_removed(machine, debs):
    install(machine, debs["new"])
    for word in ("apt remove kiisrv", "apt purge kiisrv"):
        line = next(line for line in block("Removal", "apt remove").splitlines() if word in line)
        machine.sh(line.split("#")[0].replace("apt ", "apt -y -q "))
    machine.sh("test ! -e /var/lib/kiisrv -a ! -e /etc/kiisrv")


def test_by_hand(machine):
    """Built here, where a compiler is, and installed there; the last one on this machine."""
    source, out = TMP / "by-hand", TMP / "by-hand.out"
    build, _, rest = changed("By hand", "autoreconf", (
        "make && make check && make install",
        f"make -s -j$(nproc) && make -s install DESTDIR={out}")).partition("systemd-sysusers")
    subprocess.run(["bash", "-ec", 'work=/nonexistent top=$1; . "$top/dev/lib.sh"; '
                    'copy_source "$2"; rm -rf "$3"', "-", TOP, source, out], check=True)
    done = subprocess.run(["bash", "-ec", build], cwd=source, capture_output=True, text=True,
                          check=False, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    subprocess.run(["tar", "-C", out, "-cf", f"{out}.tar", "--owner=0", "--group=0", "."],
                   check=True)
    machine.docker("cp", f"{out}.tar", f"{machine.name}:/root/out.tar")
    machine.sh("tar -C / --keep-directory-symlink -xf /root/out.tar && set -e\n"
               "systemd-sysusers" + rest)
    wait_until(lambda: machine.reasons() == [], 20, 0.2)
    assert built(machine, "by hand")
    assert " 0 failures" in machine.sh("kiisrvctl doctor")
    subprocess.run(["rm", "-rf", source, out, f"{out}.tar"], check=True)
