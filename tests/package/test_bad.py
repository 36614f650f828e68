# SPDX-License-Identifier: MIT
"""What is not as a package wishes it: each time kiisrv is installed anew, on one machine with an
engine of its own."""

import json
import re
import time

import pytest

from conftest import LONG
from machine import TMP, TOP, repacked, wait_until
from engines import OwnEngine

pytestmark = pytest.mark.skipif(not LONG, reason="long")
SITE = "/etc/nginx/sites-available/kiisrv"
ENABLED = "/etc/nginx/sites-enabled/kiisrv"
GOOD = "//! exit 0"


@pytest.fixture(scope="module")
def own():
    # In a folder of its own: of the engine's, with all that is mounted below it, every service of
    # the machine would get a copy.
    folder = TMP / "socket"
    folder.mkdir(parents=True, exist_ok=True)
    made = OwnEngine("docker", "-H", f"unix://{folder}/docker.sock").start().load()
    made.folder = folder
    yield made
    made.stop()


@pytest.fixture(scope="module")
def shared(new_machine, own):
    made = new_machine(own.folder)
    made.give_engine()
    return made


@pytest.fixture
def machine(shared):
    """With an engine, without kiisrv; what a test leaves is gone after it."""
    yield shared
    shared.purge()
    shared.give_engine()


def built(machine, name):
    status, body = machine.build("v0.5.6", GOOD, name)
    assert status == 200, body
    assert json.loads(body)["success"] is True, body + machine.sh(
        "journalctl --no-pager -u kiisrv-worker | tail -n 5")
    return True


# --- the engine


DOCKER_COMES = "dpkg-trigger --no-await /usr/sbin/dockerd && dpkg --triggers-only --pending"


def operators(machine, secret):
    """What each program of the operator's zone that asks the engine answers."""
    return {path: machine.sh("curl -s -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer "
                             f"{secret}' http://localhost:3001/api/v1/{path}")
            for path in ("containers", "images", "runtime/info")}


def groups(machine):
    return machine.sh("id -nG kiisrv-engine").split()


def test_no_engine_and_then_one(machine, debs):
    machine.sh("rm /run/docker.sock && groupdel docker")
    said = machine.install(debs["new"])
    assert "no container engine yet" in said, said
    assert machine.active() == "active" and machine.answers()
    assert machine.reasons() == ["engine: down"]
    secret = machine.sh("kiisrvctl token add --scope containers:read,images:read,runtime:read "
                        "package").split()[-1]
    assert set(operators(machine, secret).values()) == {"503"}
    # As the installation of docker.io would.
    machine.give_engine()
    machine.sh(DOCKER_COMES)
    assert "docker" in groups(machine)
    wait_until(lambda: machine.reasons() == [], 20, 0.2)
    wait_until(lambda: set(operators(machine, secret).values()) == {"200"}, 20, 0.5)
    assert built(machine, "no engine")


def test_an_engine_that_comes_while_kiisrv_is_removed(machine, debs):
    machine.sh("rm /run/docker.sock && groupdel docker")
    machine.install(debs["new"])
    machine.sh("apt-get -q -y remove kiisrv")
    machine.give_engine()
    machine.install(debs["new"])
    assert "docker" in groups(machine)
    wait_until(lambda: machine.reasons() == [], 20, 0.2)


@pytest.mark.parametrize("record", [True, False], ids=["record", "older"])
def test_who_was_taken_out_of_the_group_stays_out(machine, debs, record):
    """Over upgrades of Docker and of kiisrv, from a version without a record of it as well."""
    machine.install(debs["new"])
    machine.sh("gpasswd -d kiisrv-engine docker")
    if not record:
        machine.sh("rm /var/lib/kiisrv/engine-group")
    worker = machine.show("kiisrv-worker", "MainPID")
    said = machine.install(repacked(debs["new"], "9.0.1", debs["new"].parent))
    assert ("is not in group docker" in said) != record, said
    machine.sh(DOCKER_COMES)
    said = machine.install(repacked(debs["new"], "9.0.2", debs["new"].parent))
    assert "docker" not in groups(machine) and "group docker" not in said, said
    assert machine.show("kiisrv-worker", "MainPID") == worker
    # Docker's group that is gone and comes again is another one.
    machine.sh(f"groupdel docker && {DOCKER_COMES}")
    machine.give_engine()
    machine.sh(DOCKER_COMES)
    assert "docker" in groups(machine)


def test_an_engine_that_is_down_and_comes_back(machine, debs, own):
    own.process.stop()
    try:
        machine.install(debs["new"])
        assert machine.active() == "active" and machine.answers()
        wait_until(lambda: machine.reasons() == ["engine: down"], 20, 0.2)
    finally:
        own.start()
    wait_until(lambda: machine.reasons() == [], 20, 0.2)
    assert built(machine, "down and back")


def test_no_right_to_its_socket(machine, debs):
    machine.sh("groupdel docker")
    machine.install(debs["new"])
    assert machine.reasons() == ["engine: down"]
    wait_until(lambda: "ermission denied" in machine.fails("kiisrvctl doctor"), 20, 0.5)
    machine.give_engine()
    machine.sh("usermod -a -G docker kiisrv-engine && systemctl restart kiisrv-worker")
    wait_until(lambda: machine.reasons() == [], 20, 0.2)


def test_an_engine_whose_name_does_not_resolve(machine, debs):
    machine.install(debs["new"])
    readme = (TOP / "packaging/debian/README.Debian").read_text()
    commands = re.search(r"^    cd /etc/systemd/system\n.*?restart kiisrv$", readme, re.M | re.S)[0]
    machine.sh(commands.replace("//engine:2376", "//engine.invalid:2376"))
    try:
        assert machine.active() == "active" and machine.answers()
        wait_until(lambda: machine.reasons() == ["engine: down"], 20, 0.2)
        said = machine.journal("kiisrv-worker", "0")
        assert "resolve" in said and "engine.invalid" in said, said[-2000:]
        for unit in ("kiisrv-worker", "kiisrv-operator-containers", "kiisrv-operator-images"):
            assert "engine.invalid" in machine.show(unit, "Environment"), unit
    finally:
        machine.sh("rm -r /etc/systemd/system/kiisrv-*.service.d && systemctl daemon-reload && "
                   "systemctl restart kiisrv")
    wait_until(lambda: machine.reasons() == [], 20, 0.2)


# --- nginx


def test_nginx_is_not_there(machine, debs):
    machine.sh("dpkg --purge --force-depends nginx nginx-common")
    try:
        said = machine.run(f"dpkg -i --force-depends /debs/{debs['new'].name}")
        assert said.returncode == 0 and "nginx is not there" in said.stderr, said
        assert machine.active() == "active"
    finally:
        machine.sh("dpkg -i /var/cache/apt/archives/nginx*.deb")
    # What it has said to do then.
    machine.sh(f"ln -s {SITE} {ENABLED} && nginx -t && systemctl reload nginx")
    wait_until(machine.answers, 10)


def test_nginx_does_not_run(machine, debs):
    machine.sh("systemctl stop nginx")
    said = machine.install(debs["new"])
    assert "nginx does not run" in said, said
    assert machine.active("nginx") == "inactive"
    machine.sh("systemctl start nginx")
    assert machine.answers()


def test_nginx_is_broken_by_something_else(machine, debs):
    machine.sh("echo 'nonsense on;' >/etc/nginx/conf.d/broken.conf")
    try:
        said = machine.install(debs["new"])
        assert "nginx' own configuration is broken" in said, said
        machine.sh(f"test ! -e {ENABLED}")
        assert machine.active() == machine.active("nginx") == "active"
    finally:
        machine.sh("rm /etc/nginx/conf.d/broken.conf")


def test_another_site_has_the_name(machine, debs):
    machine.sh("printf 'server { listen 80; server_name localhost; return 200 mine; }' "
               ">/etc/nginx/sites-enabled/mine && systemctl reload nginx")
    try:
        said = machine.install(debs["new"])
        assert "not go together" in said and 'conflicting server name "localhost"' in said, said
        machine.sh(f"test ! -e {ENABLED}")
        assert machine.get("/", "localhost") == (200, "mine")
    finally:
        machine.sh("rm /etc/nginx/sites-enabled/mine && systemctl reload nginx")


@pytest.mark.parametrize("address", ["127.0.0.1:3001", "[::]:3001"])
def test_the_port_is_taken(machine, debs, address):
    machine.sh("systemd-run --quiet --unit=other --property=Type=exec "
               f"systemd-socket-activate -l '{address}' /bin/cat")
    wait_until(lambda: "3001" in machine.sh("ss -Hltn"), 10)
    try:
        said = machine.install(debs["new"])
        assert "something listens on port 3001" in said, said
        machine.sh(f"test ! -e {ENABLED} && nginx -t")
        assert machine.active() == "active"
    finally:
        machine.sh("systemctl stop other")
    machine.sh(f"ln -s {SITE} {ENABLED} && nginx -t && systemctl reload nginx")
    wait_until(machine.answers, 10)


def test_a_hand_edited_site_stays(machine, debs):
    machine.install(debs["new"])
    machine.sh(f"sed -i 's/3001/3002/' {SITE} && systemctl reload nginx")
    mine = machine.sh(f"cat {SITE}")

    def change(folder):
        site = folder / "etc/nginx/sites-available/kiisrv"
        site.write_text(site.read_text() + "# newer\n")
    newer = repacked(debs["new"], "9.0.1", debs["new"].parent, change)
    machine.install(newer, "-o Dpkg::Options::=--force-confold")
    assert machine.sh(f"cat {SITE}") == mine
    assert machine.sh(f"tail -n 1 {SITE}.dpkg-dist") == "# newer\n"
    assert machine.get("/versions", "localhost:3002")[0] == 200
    # Nor is a site enabled that an administrator has disabled.
    machine.sh(f"rm {ENABLED} && systemctl reload nginx")
    machine.install(repacked(debs["new"], "9.0.2", debs["new"].parent),
                    "-o Dpkg::Options::=--force-confold")
    machine.sh(f"test ! -e {ENABLED}")


# --- the machine


@pytest.mark.parametrize("moment", ["test -e /usr/libexec/kiisrv/kiisrv-worker.dpkg-new",
                                    "pgrep -f '/kiisrv[.]postinst configure'"])
def test_an_upgrade_that_is_killed(machine, debs, moment):
    """In the middle of its files, and of what it does then."""
    machine.install(debs["old"])
    machine.sh(f"setsid dpkg -i /debs/{debs['new'].name} >/dev/null 2>&1 & dpkg=$!; "
               f"until {moment} >/dev/null; do kill -0 $dpkg || exit 1; done; kill -9 -$dpkg")
    assert "ok installed" not in machine.sh("dpkg-query -W -f '${Status}' kiisrv")
    assert machine.answers() and built(machine, moment)
    # As apt wants it: what is left of it first, then the file again.
    machine.sh("dpkg --configure -a")
    machine.install(debs["new"])
    assert machine.reasons() == [] and machine.active() == "active"
    assert not machine.sh("dpkg --audit; find /usr /lib /etc -xdev -name '*.dpkg-new'")
    assert built(machine, moment)


def test_a_full_disk_in_the_postinst(machine, debs):
    machine.sh("mkdir -p /var/lib/kiisrv && "
               "mount -t tmpfs -o size=64k,nr_inodes=3 full /var/lib/kiisrv")
    try:
        said = machine.fails(f"apt-get -q -y install /debs/{debs['new'].name}")
        assert "could not be made (is the disk full?)" in said, said
    finally:
        machine.sh("umount /var/lib/kiisrv")
    machine.sh("dpkg --configure kiisrv")
    assert machine.active() == "active" and machine.answers() and machine.reasons() == []


def test_the_rust_servers_unit(machine, debs):
    machine.sh("printf '[Service]\\nExecStart=/bin/sleep 1000\\n' "
               ">/etc/systemd/system/kiisrv.service && systemctl daemon-reload && "
               "systemctl start kiisrv")
    pid = machine.show("kiisrv", "MainPID")
    try:
        said = machine.install(debs["new"])
        assert "is not this package's" in said and "systemctl disable --now kiisrv" in said, said
        assert machine.units() == {"kiisrv.service"}
        machine.install(debs["old"])
        machine.sh("apt-get -q -y remove kiisrv")
        assert machine.show("kiisrv", "MainPID") == pid and machine.active() == "active"
        machine.install(debs["new"])
        # What it has said to do.
        machine.sh("systemctl disable --now kiisrv; mv /etc/systemd/system/kiisrv.service /root/ "
                   "&& systemctl daemon-reload && systemctl enable --now kiisrv")
        assert machine.active("kiisrv-worker") == "active" and machine.reasons() == []
    finally:
        machine.sh("rm -f /etc/systemd/system/kiisrv.service && systemctl daemon-reload")


def test_a_broken_configuration_over_an_upgrade_and_a_start(machine, debs):
    machine.install(debs["old"])
    machine.sh("sed -i '1i [nonsense]' /etc/kiisrv/kiisrv.toml")
    # Where the new one has another file too, an administrator is asked.
    said = machine.install(debs["new"], "-o Dpkg::Options::=--force-confold")
    assert "nothing is started or reloaded" in said, said
    assert "/etc/kiisrv/kiisrv.toml:1:2: nonsense" in said, said
    assert machine.answers() and built(machine, "broken configuration")
    since = machine.now()
    machine.sh("systemctl stop kiisrv")
    machine.fails("systemctl start kiisrv")
    assert "kiisrv.toml:1:2: nonsense" in machine.journal("kiisrv*", since)
    # Nor is it tried again and again.
    wait_until(lambda: "activating" not in machine.run("systemctl is-active 'kiisrv*'").stdout, 30,
               0.2)
    assert machine.units() == set() and machine.active("kiisrv-worker") == "failed"
    machine.sh("sed -i 1d /etc/kiisrv/kiisrv.toml && systemctl start kiisrv")
    assert machine.reasons() == []


def test_what_an_administrator_has_switched_off_stays_off(machine, debs):
    machine.install(debs["old"])
    machine.sh("systemctl disable --now kiisrv")
    machine.install(debs["new"])
    assert machine.active() == "inactive" and machine.units() == set()
    assert machine.run("systemctl is-enabled kiisrv").stdout == "disabled\n"


def test_processes_that_die_or_hang_are_started_again(machine, debs):
    machine.install(debs["new"])
    for unit in ("kiisrv-layouts", "kiisrv-worker"):
        pid = machine.show(unit, "MainPID")
        machine.sh(f"kill -9 {pid}")
        wait_until(lambda: machine.active(unit) == "active" and
                   machine.show(unit, "MainPID") not in (pid, "0"), 20, 0.1)
    machine.sh("mkdir -p /run/systemd/system/kiisrv-worker.service.d && printf "
               "'[Service]\\nWatchdogSec=1\\nTimeoutAbortSec=1\\n' "
               ">/run/systemd/system/kiisrv-worker.service.d/test.conf && "
               "systemctl daemon-reload && systemctl restart kiisrv-worker")
    pid = machine.show("kiisrv-worker", "MainPID")
    # One that is well is left alone.
    time.sleep(3)
    assert machine.show("kiisrv-worker", "MainPID") == pid
    machine.sh(f"kill -STOP {pid}")
    wait_until(lambda: machine.active("kiisrv-worker") == "active" and
               machine.show("kiisrv-worker", "MainPID") not in (pid, "0"), 20, 0.1)
    machine.sh("rm -r /run/systemd/system/kiisrv-worker.service.d && systemctl daemon-reload")
    wait_until(lambda: machine.reasons() == [], 20, 0.2)


def ahead(machine, time_ahead):
    """Have kiisrv's clock go ahead, or as it should."""
    drop = "[Service]\\nEnvironment=DONT_FAKE_MONOTONIC=1 FAKETIME=" + time_ahead + \
        " LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1\\n"
    what = f"mkdir -p $d && printf '{drop}' >$d/test.conf" if time_ahead else "rm -rf $d"
    machine.sh("for u in worker build jobs stats versions health; do "
               f"d=/run/systemd/system/kiisrv-$u.service.d; {what}; done; "
               "systemctl daemon-reload && systemctl restart kiisrv")


def test_a_clock_that_is_set_back(machine, debs):
    machine.install(debs["new"])
    ahead(machine, "+40d")
    try:
        assert built(machine, "from the future")
        assert machine.get("/stats")[0] == 200
        created = machine.sh("sqlite3 /var/lib/kiisrv/queue/jobs.sqlite "
                             "'SELECT max(created) FROM Jobs'")
        assert int(created) / 1000 > time.time() + 39 * 86400
    finally:
        ahead(machine, "")
    # What was built is there, and what is new is built.
    assert built(machine, "from the future") and built(machine, "from today")
    machine.sh("kiisrvctl gc")
    assert built(machine, "from the future")
    assert machine.get("/stats")[0] == 200 and machine.reasons() == []


def test_ipv6_alone_and_a_host_name_that_does_not_resolve(machine, debs):
    machine.sh("ip address add 2001:db8::1/128 dev lo && hostname nowhere.invalid")
    try:
        machine.install(debs["new"])
        assert not machine.sh("ip -4 -brief address show scope global").strip()
        out = machine.sh("curl -g -s -H 'Host: localhost' 'http://[2001:db8::1]/healthz'")
        assert [r for r in json.loads(out)["reasons"] if not r.startswith("images:")] == []
        machine.sh("sed -i 's/server_name localhost/server_name six.example/' " + SITE +
                   " && systemctl reload nginx")
        wait_until(lambda: machine.run("curl -g -fs -o /dev/null -H 'Host: six.example' "
                                       "'http://[2001:db8::1]/versions'").returncode == 0, 10)
        assert built(machine, "six")
    finally:
        machine.sh("ip address del 2001:db8::1/128 dev lo; hostname machine")
