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


def test_lintian_finds_nothing(debs):
    # All that was built, the source too, where that was asked for.
    done = subprocess.run(["lintian", "-i", "--pedantic", "--allow-root",
                           debs["new"].with_suffix(".changes" if LONG else ".deb")],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stdout.strip(), done.stdout + done.stderr


def test_its_size(debs):
    size = subprocess.run(["dpkg-deb", "-f", debs["new"], "Installed-Size"], check=True,
                          capture_output=True, text=True).stdout
    assert int(size) <= 3 * 1024


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


def test_every_process_has_its_user_and_no_more(machine):
    lines = machine.sh("ps -eo user:20,args | grep -E '/usr/libexec/kiisr[v]'").splitlines()
    # The worker, and of each other program a keeper and a child.
    assert sorted(line.split()[1].rpartition("/")[2] for line in lines) == \
        sorted(["kiisrv-worker", *KEEPERS.values(), *KEEPERS.values()])
    for line in lines:
        user, program = line.split()[:2]
        assert user == ("kiisrv" if program.rpartition("/")[2] in PUBLIC else "kiisrv-engine"), line
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


def test_a_reload_under_load_loses_nothing(machine):
    before = children(machine)
    worker = machine.show("kiisrv-worker", "MainPID")
    with Load(machine) as load:
        for _ in range(2):
            time.sleep(1)
            machine.sh("systemctl reload kiisrv")
        told = load.end()
    assert told["errors"] == [] and told["posts"] >= 3 and told["gets"] >= 50, told
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
    old_database(machine)
    machine.install(debs["new"])
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

