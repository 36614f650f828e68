# SPDX-License-Identifier: MIT
"""A package's life on one machine: installed, used, reloaded, upgraded, removed, purged. Each test
goes on where the one before it ended."""

import json
import re
import sqlite3
import subprocess
import time

import pytest

from conftest import LONG
from machine import TMP, TOP, Load, own_containers, own_volumes, wait_until

PUBLIC = {"build", "health", "jobs", "layouts", "stats", "versions"}
OPERATOR = {"audit", "containers", "images", "operator", "runtime"}
KEEPERS = {f"kiisrv-{name}.service": name for name in PUBLIC} | {
    f"kiisrv-operator-{name}.service": name for name in OPERATOR}
SERVICES = {"kiisrv-worker.service"} | set(KEEPERS)


class Life:
    """What the tests hand on to each other."""


@pytest.fixture(scope="module", autouse=True)
def lintian(debs):
    """It runs beside the other tests, which wait more than they work. All that was built is looked
    at, the source too, where that was asked for."""
    child = subprocess.Popen(["lintian", "-i", "--pedantic", "--allow-root",
                              debs["new"].with_suffix(".changes" if LONG else ".deb")],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
    yield child
    child.kill()
    child.wait()
    child.stdout.close()


@pytest.fixture(scope="module")
def life(new_machine):
    made = Life()
    made.machine = new_machine()
    made.machine.give_engine()
    made.files = made.machine.files()
    made.accounts = made.machine.accounts()
    return made


@pytest.fixture
def machine(life):
    return life.machine


def test_its_size(debs):
    size = subprocess.run(["dpkg-deb", "-f", debs["new"], "Installed-Size"], check=True,
                          capture_output=True, text=True).stdout
    assert int(size) * 1024 <= 3_000_000


@pytest.fixture(scope="module")
def unpacked(debs):
    folder = TMP / "unpacked"
    subprocess.run(["rm", "-rf", folder], check=True)
    subprocess.run(["dpkg-deb", "-R", debs["new"], folder], check=True)
    yield folder
    subprocess.run(["rm", "-rf", folder], check=True)


def test_what_is_in_it(unpacked):
    fields = dict(re.findall(r"^(\S+): (.*)$", (unpacked / "DEBIAN/control").read_text(), re.M))
    assert {"nginx", "spawn-fcgi", "systemd"} <= set(fields["Depends"].split(", ")), fields
    assert fields["Recommends"] == "docker.io | podman"
    files = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*")}
    assert {f"usr/libexec/kiisrv/{name}" for name in
            {"kiisrv-worker", "kiisrv-keeper"} | PUBLIC | OPERATOR} == \
        {name for name in files if name.startswith("usr/libexec/kiisrv/")}
    units = {name.rpartition("/")[2] for name in files if name.startswith("lib/systemd/system/")}
    assert units == SERVICES | {"kiisrv.service"}
    assert {"usr/sbin/kiisrvctl", "usr/share/man/man8/kiisrvctl.8.gz",
            "usr/share/man/man5/kiisrv.toml.5.gz", "usr/lib/sysusers.d/kiisrv.conf",
            "usr/lib/tmpfiles.d/kiisrv.conf"} <= files
    for name in ("layouts/MD1-Standard.json", "schema/jobs.sqlite", "nginx/locations.conf",
                 "images/controller/Dockerfile", "images/fetch/Dockerfile"):
        assert f"usr/share/kiisrv/{name}" in files
    conffiles = (unpacked / "DEBIAN/conffiles").read_text().split()
    assert sorted(conffiles) == ["/etc/kiisrv/kiisrv.toml", "/etc/nginx/sites-available/kiisrv"]
    assert not [path for path in unpacked.rglob("*") if not path.is_symlink() and
                path.stat().st_mode & 0o7000], "a bit that gives rights"


def test_all_flags_of_hardening_are_on(unpacked):
    """Any position, bindings at the start, relocations that stay, a stack that is no code and has
    its canary, checked calls."""
    def elf(program, what):
        return subprocess.run(["readelf", "-W", *what, program], check=True, capture_output=True,
                              text=True).stdout
    programs = [*(unpacked / "usr/libexec/kiisrv").iterdir(), unpacked / "usr/sbin/kiisrvctl"]
    for program in programs:
        text = elf(program, ["-h", "-l", "-d"])
        for words in (r"Type:\s+DYN \(Position-Independent", r"FLAGS_1\).* NOW", r"GNU_RELRO",
                      r"GNU_STACK .* RW "):
            assert re.search(words, text), (program, words)
        symbols = elf(program, ["--dyn-syms"])
        assert "__stack_chk_fail@" in symbols, program
        assert re.search(r"__\w+_chk@", symbols.replace("__stack_chk", "")), program


def test_an_installation_brings_everything_up(machine, debs):
    said = machine.install(debs["old"])
    # It has nothing to explain.
    assert "kiisrv: " not in said, said
    assert machine.active() == "active"
    assert machine.units() == SERVICES | {"kiisrv.service"}
    assert machine.get("/versions")[0] == 200
    assert machine.get("/versions", "localhost")[0] == 200
    assert "nginx" in machine.get("/", "127.0.0.1")[1]      # another name: not ours
    assert machine.reasons() == []
    doctor = machine.sh("kiisrvctl doctor --json")
    assert json.loads(doctor)["failures"] == 0, doctor
    for unit in SERVICES:
        assert re.search("event=(ready|child_ready)", machine.journal(unit, "0")), unit


def test_folders_have_the_rights_that_are_told(machine):
    """Those that docs/deployment.md lists; what is in them is the doctor's."""
    text = (TOP / "docs/deployment.md").read_text(encoding="utf-8")
    told = set()
    for path, owner, group, mode in re.findall(
            r"^    (/(?:var/lib|run|etc)/kiisrv\S*) +(\S+) +(\S+) +([0-7]{4})$", text, re.M):
        head, _, names = path.partition("{")
        for name in names.rstrip("}").split(","):
            told.add(f"{head}{name} {owner} {group} {mode.lstrip('0')}")
    assert len(told) == 12, told
    paths = " ".join(line.split()[0] for line in told)
    assert set(machine.sh(f"stat -c '%n %U %G %a' {paths}").splitlines()) == told


def test_every_process_has_its_user_and_no_more(machine):
    lines = machine.sh("ps -eo user:20,args | grep -E '/usr/libexec/kiisr[v]'").splitlines()
    # The worker, and of each other program a keeper and a child.
    assert sorted(line.split()[1].rpartition("/")[2] for line in lines) == \
        sorted(["kiisrv-worker", *KEEPERS.values(), *KEEPERS.values()])
    for line in lines:
        user, program = line.split()[:2]
        assert user == ("kiisrv" if program.rpartition("/")[2] in PUBLIC else "kiisrv-engine"), line
    files = machine.sh("for p in $(pgrep -f '^/usr/libexec/kiisrv/'); do "
                       "grep '^Max open files' /proc/$p/limits; done").splitlines()
    assert len(files) == len(lines) and {line.split()[3] for line in files} == {"16384"}, files
    for unit in SERVICES:
        text = machine.run(f"systemd-analyze security --no-pager {unit}").stdout
        level = float(re.search(r"exposure level for \S+: ([0-9.]+)", text)[1])
        assert level <= 2.5, text


def test_a_firmware_is_built_in_a_sibling(machine, engine):
    status, body = machine.build(name="package")
    assert status == 200 and json.loads(body)["success"] is True, body
    name = json.loads(body)["filename"][1:]
    assert machine.sh(f"curl -fs http://localhost:3001{name} | head -c 2") == "PK"
    assert own_containers(engine, machine.instance()) == []


def test_autopkgtests_build(machine):
    """What autopkgtest itself runs only on a machine with an engine of its own."""
    script = TOP / "packaging/debian/tests/build"
    machine.docker("cp", str(script), f"{machine.name}:/root/build")
    assert "MD1-Standard-" in machine.sh("sh /root/build; rc=$?; rm -f /root/build /tmp/MD1*; "
                                         "exit $rc")


def test_the_operators_zone_takes_a_token(machine):
    secret = machine.sh("kiisrvctl token add --scope containers:read,images:read,jobs:read,"
                        "runtime:read,audit:read package").split()[-1]
    for path in ("containers", "images", "operator/jobs", "runtime/info", "audit"):
        assert machine.get(f"/api/v1/{path}")[0] == 401
        out = machine.sh(f"curl -s -w ' %{{http_code}}' -H 'Authorization: Bearer {secret}' "
                         f"http://localhost:3001/api/v1/{path}")
        assert out.endswith(" 200"), out


def children(machine):
    """{unit: (process, child that serves)}"""
    found = {}
    for unit in KEEPERS:
        pid = machine.show(unit, "MainPID")
        found[unit] = (pid, machine.sh(f"cat /proc/{pid}/task/{pid}/children").split()[-1])
    return found


def attempts(machine):
    """How often the unluckiest build was begun."""
    return machine.sh("sqlite3 -readonly /var/lib/kiisrv/queue/jobs.sqlite "
                      "'SELECT max(attempts) FROM Jobs'").strip()


def test_a_reload_under_load_loses_nothing(machine):
    before = children(machine)
    worker = machine.show("kiisrv-worker", "MainPID")
    with Load(machine) as load:
        for _ in range(2):
            time.sleep(1)
            machine.sh("systemctl reload kiisrv")
        told = load.end()
    assert told["errors"] == [] and told["posts"] >= 3 and told["gets"] >= 50, told
    assert attempts(machine) == "1"
    after = children(machine)
    assert machine.show("kiisrv-worker", "MainPID") == worker
    for unit, (keeper, child) in before.items():
        assert after[unit][0] == keeper and after[unit][1] != child


def test_a_broken_configuration_refuses_the_reload(machine):
    before = children(machine)
    since = machine.now()
    machine.sh("sed -i '/^.queue.$/a slotz = 2' /etc/kiisrv/kiisrv.toml")
    machine.fails("systemctl reload kiisrv")
    said = machine.journal("kiisrv.service", since)
    line = machine.sh("grep -n slotz /etc/kiisrv/kiisrv.toml").partition(":")[0]
    assert re.search(rf"/etc/kiisrv/kiisrv\.toml:{line}:\d+: queue\.slotz: ", said), said
    assert children(machine) == before
    assert machine.active() == "active" and machine.answers()
    machine.sh("sed -i /slotz/d /etc/kiisrv/kiisrv.toml")
    machine.sh("systemctl reload kiisrv")


def old_database(machine):
    """The queue as version 1 of its schema had it."""
    old = TMP / "old.sqlite"
    old.unlink(missing_ok=True)
    with sqlite3.connect(old) as db:
        db.executescript((TOP / "schema/jobs.1.sql").read_text())
        db.execute("PRAGMA user_version = 1")
    machine.docker("cp", str(old), f"{machine.name}:/var/lib/kiisrv/queue/jobs.sqlite")
    machine.sh("cd /var/lib/kiisrv/queue && rm -f jobs.sqlite-* && "
               "chown kiisrv-engine:kiisrv jobs.sqlite && chmod 640 jobs.sqlite")


def test_an_upgrade_brings_databases_up_after_a_copy(machine, debs):
    machine.sh("systemctl stop kiisrv")
    assert machine.units() == set()
    assert machine.run("systemctl --no-pager status kiisrv").returncode == 3
    old_database(machine)
    machine.install(debs["new"])
    assert "Status: \"its services: " in machine.sh("systemctl --no-pager status kiisrv")
    assert machine.units() == SERVICES | {"kiisrv.service"}
    versions = machine.sh("cd /var/lib/kiisrv/queue && for f in jobs.sqlite jobs.sqlite.v1; do "
                          "sqlite3 $f 'PRAGMA user_version'; done").split()
    assert versions[0] > versions[1] == "1"
    assert machine.reasons() == []
    machine.install(debs["old"])


def test_an_upgrade_under_load_loses_nothing(machine, debs):
    with Load(machine) as load:
        time.sleep(1)
        machine.install(debs["new"])
        time.sleep(1)
        told = load.end()
    assert told["errors"] == [] and told["posts"] >= 3 and told["gets"] >= 50, told
    assert attempts(machine) == "1"
    version = machine.sh("dpkg-query -W -f '${Version}' kiisrv")
    assert f"_{version}_" in debs["new"].name
    # New programs run: what lies on the disk is what is in memory.
    programs = [p for p in machine.programs() if "/libexec/kiisrv/" in p]
    assert [p for p in programs if "worker" in p] == ["/usr/libexec/kiisrv/kiisrv-worker"]
    for name in KEEPERS.values():
        assert f"/usr/libexec/kiisrv/{name}" in programs


def test_an_interrupted_upgrade_is_taken_up_again(machine, debs):
    """Unpacked and no more: what runs goes on, and apt finishes it later."""
    machine.sh(f"dpkg --unpack /debs/{debs['new'].name}")
    assert machine.answers() and machine.build("v0.5.6", "//! exit 0", "interrupted")[0] == 200
    machine.sh("dpkg --configure --pending")
    assert machine.reasons() == [] and machine.active() == "active"


def test_a_removal_keeps_the_state_and_a_purge_takes_it(life, machine, engine, debs):
    instance = machine.instance()
    # A build runs while it goes.
    job = json.loads(machine.build("v0.5.6", "//! tick 8", "cut short", "/api/v1/builds")[1])
    wait_until(lambda: any(job["job"] in c["Names"][0] for c in own_containers(engine, instance)),
               30, 0.05)
    machine.sh("apt-get -q -y remove kiisrv")
    assert machine.units() == set()
    assert own_containers(engine, instance) == [] and own_volumes(engine, instance) == []
    # nginx goes on without its site, and the rest of its configuration is whole.
    machine.sh("nginx -t && systemctl is-active nginx && test ! -e /etc/nginx/sites-enabled/kiisrv")
    machine.sh("test -e /var/lib/kiisrv/queue/jobs.sqlite -a -e /etc/kiisrv/kiisrv.toml")
    # It comes back to what it had, its site included, and to the build that was cut short.
    machine.install(debs["new"])
    assert machine.instance() == instance and machine.answers()
    wait_until(lambda: json.loads(machine.get(f"/api/v1/jobs/{job['job']}")[1])["state"] ==
               "succeeded", 60, 0.2)
    machine.purge()
    assert machine.units() == set()
    assert machine.files() - life.files == set()
    assert machine.accounts() - life.accounts == set()
    assert "kiisrv" not in machine.sh("systemctl list-unit-files; systemctl list-units --all")
    assert own_containers(engine, instance) == [] and own_volumes(engine, instance) == []
    machine.sh("nginx -t && test ! -e /run/kiisrv && curl -fs -o /dev/null http://localhost/")


def test_lintian_finds_nothing(lintian):
    said = lintian.stdout.read()
    assert lintian.wait() == 0 and not said.strip(), said
