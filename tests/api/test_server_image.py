# SPDX-License-Identifier: MIT
"""images/server: kiisrv in a container does what it does on a host, and its zones stay apart."""

import concurrent.futures
import io
import json
import os
import pwd
import re
import socket
import zipfile

import pytest

from client import check_error
from server_image import BASE, IMAGE, MIB, Server, build, cli, inspect
from stack import wait_until

LONG = bool(os.environ.get("KIISRV_TEST_LONG"))
ABOVE_BASE = 60 * MIB
# A program, and the user that it has in the image (images/server/recipe/users.sh).
PUBLIC, ENGINE, WWW = 801, 802, pwd.getpwnam("www-data").pw_uid


@pytest.fixture(scope="module")
def image(engine):
    if engine.name == "podman" and not LONG:
        pytest.skip("one engine builds it; with KIISRV_TEST_LONG both do")
    build(engine)
    return IMAGE


@pytest.fixture
def new_server(engine, image):
    made = []

    def make(**more):
        made.append(Server(engine, image=image, **more))
        return made[-1]
    yield make
    for each in made:
        each.remove()


@pytest.fixture(scope="module")
def server(engine, image):
    """One for all tests that leave it as it was."""
    one = Server(engine, image=image)
    try:
        yield one.run()
    finally:
        one.remove()


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(4) as made:
        yield made


def request(stack, name):
    return {"env": "latest", "config": stack.layout(name)}


def test_it_is_small_and_has_nothing_that_it_does_not_need(server):
    sizes = {name: inspect(server.engine, "images", name)["Size"]
             for name in (IMAGE, f"{BASE}-bare")}
    above = sizes[IMAGE] - sizes[f"{BASE}-bare"]
    assert 10 * MIB < above <= ABOVE_BASE, sizes
    for program in ("git", "docker", "podman", "gcc", "make", "curl"):
        assert server.exec("sh", "-c", f"command -v {program}", check=False).returncode != 0
    config = inspect(server.engine, "images", IMAGE)["Config"]
    assert config["ExposedPorts"] == {"3001/tcp": {}} and config["StopSignal"] == "SIGTERM"
    assert list(config["Volumes"]) == ["/var/lib/kiisrv"], config
    if server.engine.name == "podman":
        # Its Docker API does not tell.
        config = json.loads(cli(server.engine, "image", "inspect", IMAGE).stdout)[0]
    assert config["Healthcheck"]["Test"][1:] == ["/usr/libexec/kiisrv/server/healthy"]


def test_it_answers_as_on_a_host(server, stack):
    mine, theirs = server.get("/versions"), stack.get("/versions")
    assert mine.status == 200 and mine.json == theirs.json and mine.body == theirs.body
    assert server.get("/layouts/").json == stack.get("/layouts/").json
    assert server.get("/layouts/MD1-Standard.json").body == stack.get(
        "/layouts/MD1-Standard.json").body
    check_error(server.get("/nothing"), 404, "not_found")
    assert server.get("/stats").status == 200


def test_a_firmware_through_it_is_the_host_s(server, stack):
    asked = request(stack, "MD1-Standard")
    mine, theirs = server.build(asked), stack.post(asked)
    assert mine.status == 200 and mine.json["success"] is True, (mine, server.logs()[-3000:])
    assert mine.json["filename"].split("-")[:2] == theirs.json["filename"].split("-")[:2]
    with zipfile.ZipFile(io.BytesIO(server.zip(mine))) as archive:
        names = archive.namelist()
        firmware = archive.read("kiibohd.dfu.bin")
    with zipfile.ZipFile(io.BytesIO(stack.fetch(theirs.json["filename"])[1].body)) as archive:
        assert archive.namelist() == names
        assert archive.read("kiibohd.dfu.bin") == firmware
    assert not server.containers()


def test_a_firmware_by_shared_folders(new_server, stack):
    """`transport = "bind"`: the folders have other names on the host than in the container."""
    mine = new_server(conf={"firmware": {"transport": "bind"}})
    for name in ("config", "builds"):
        (mine.dir / f"host_{name}").mkdir()
        mine.env[f"HOST_TMP_{name.upper()}"] = f"{mine.dir}/host_{name}"
        mine.binds.append(f"{mine.dir}/host_{name}:/srv/kiisrv/tmp_{name}")
    mine.run()
    reply = mine.build(request(stack, "MD1-Standard"))
    assert reply.status == 200 and reply.json["success"] is True, (reply, mine.logs()[-3000:])
    with zipfile.ZipFile(io.BytesIO(mine.zip(reply))) as archive:
        assert archive.read("kiibohd.dfu.bin")
    wait_until(lambda: not any(mine.dir.glob("host_*/*")), 20)


def test_the_zones_are_those_of_a_host(server):
    group = os.stat(server.engine.socket).st_gid
    found = server.processes()
    by_name = {}
    for name, user, groups in found.values():
        by_name.setdefault(name, set()).add((user, frozenset(groups)))
    nobody = frozenset()
    # Docker gives root its group besides.
    (init, groups), = by_name.pop("init")
    assert init == 0 and groups <= {0}
    assert by_name.pop("nginx") == {(WWW, nobody)}
    assert by_name.pop("kiisrv-worker") == {(ENGINE, frozenset({group}))}
    for name in ("versions", "stats", "layouts", "jobs", "health", "build"):
        assert (PUBLIC, nobody) in by_name.pop(name), name
    # What holds the sockets is one program, in both zones.
    assert by_name.pop("kiisrv-keeper") == {(PUBLIC, nobody), (ENGINE, frozenset({group}))}
    # Whatever else there is is of the operator's zone.
    assert all(each == {(ENGINE, frozenset({group}))} for each in by_name.values()), by_name


def test_the_doctor_finds_no_fault(server):
    done = server.exec("kiisrvctl", "doctor", check=False)
    assert done.returncode == 0 and " 0 failures" in done.stdout, done.stdout
    assert "FAIL" not in done.stdout
    # It tried the walls, and the public zone did not get through.
    assert re.search(r"^ok .*engine", done.stdout, re.M), done.stdout


def test_the_log_has_what_each_says_by_its_name(server):
    server.get("/versions")
    server.wait_log('"GET /versions ')
    log = server.logs()
    for words in (r"worker: level=info prog=kiisrv-worker event=ready",
                  r"versions: level=info prog=versions event=child_ready",
                  r"build: level=info prog=build event=child_ready",
                  r'nginx: 127\.0\.0\.1 \[\S+\] "GET /versions HTTP/1\.1" 200',
                  r"init: event=started name=nginx"):
        assert re.search("^" + words, log, re.M), (words, log[-3000:])
    assert all(re.match(r"[a-z]+: ", line) for line in log.splitlines()), log


def test_the_health_check_is_healthz(server):
    done = server.exec("/usr/libexec/kiisrv/server/healthy")
    assert done.stdout.startswith('{"ok":true'), done.stdout
    server.get("/stats?seen")
    server.wait_log("nginx: 127.0.0.1", 1)
    assert '"GET /healthz' not in server.logs(), "it fills nginx's log"


def test_a_restart_in_the_middle_of_a_build_loses_nothing(new_server, stack, pool):
    mine = new_server().run()
    # Podman takes its time to restart a container.
    ticks = 4 if mine.engine.name == "docker" else 20
    asked = stack.ordered("restart of the container", f"tick {ticks}")
    held = pool.submit(mine.build, asked)
    wait_until(lambda: [c for c in mine.containers() if c["State"] == "running"], 60)
    build_id = mine.containers()[0]["Id"]
    mine.restart()
    first = held.result(60)
    check_error(first, 503)
    assert [c["Id"] for c in mine.containers()] == [build_id], "the build went on"
    reply = mine.build(asked)
    assert reply.status == 200 and reply.json["success"] is True, (reply, mine.logs()[-3000:])
    job = reply.headers["X-Kiisrv-Job"]
    assert mine.get(f"/api/v1/jobs/{job}").json["attempts"] == 1
    lines = mine.get(f"/logs/{job}.log").text.splitlines()
    assert [line for line in lines if line.startswith("tick")] == [
        f"tick {n}" for n in range(1, ticks + 1)]
    assert mine.stop() == 0 and "event=killed" not in mine.logs()


def test_hup_reloads_and_a_broken_configuration_is_refused(new_server):
    mine = new_server().run()
    good = (mine.etc / "kiisrv.toml").read_text()
    (mine.etc / "layouts/Mine-Own.json").write_bytes(mine.get("/layouts/MD1-Standard.json").body)
    mine.signal("HUP")
    wait_until(lambda: "Mine-Own.json" in str(mine.get("/layouts/").json), 20)
    mine.wait_log("event=told name=nginx signal=1")
    (mine.etc / "kiisrv.toml").write_text(good + "[queue]\nslots = \"many\"\n")
    mine.signal("HUP")
    mine.wait_log("event=reload_refused")
    assert re.search(r"^reload: .*kiisrv\.toml:\d+:\d+: queue\.slots: ", mine.logs(), re.M)
    assert mine.get("/versions").status == 200
    # Such a container does not start again either, and says the same.
    assert mine.stop() == 0
    mine.start(wait=False)
    wait_until(lambda: not mine.state()["Running"], 20)
    assert mine.state()["ExitCode"] == 78 and "queue.slots" in mine.logs().splitlines()[-1]
    (mine.etc / "kiisrv.toml").write_text(good)
    mine.start()


def test_who_is_killed_is_back_at_once(server):
    for name in ("kiisrv-worker", "nginx", "versions"):
        pid = min(pid for pid, (command, _, _) in server.processes().items() if command == name)
        os.kill(pid, 9)
        wait_until(lambda: pid not in server.processes(), 20)
    # The worker says ready a second time; nginx's children were taken along.
    wait_until(lambda: server.get("/versions").status == 200 if server.answers() else False, 30)
    assert server.logs().count("event=died name=worker") == 1
    assert server.get("/versions").status == 200


def test_whom_the_container_believes(new_server, stack):
    """X-Forwarded-For counts from who is named, and from nobody else."""
    mine = new_server(env={"KIISRV_PROXIES": "gateway 127.0.0.1 192.0.2.0/24"}).run()
    reply = mine.get("/versions", {"X-Forwarded-For": "198.51.100.7"})
    assert reply.status == 200
    mine.wait_log("nginx: 198.51.100.7 [")
    other = new_server().run()
    other.get("/versions", {"X-Forwarded-For": "198.51.100.7"})
    other.wait_log('"GET /versions ')
    assert "198.51.100.7" not in other.logs()
    bad = new_server(env={"KIISRV_PROXIES": "example.org;"}).create().start(wait=False)
    wait_until(lambda: not bad.state()["Running"], 20)
    assert bad.state()["ExitCode"] == 78
    assert "start: KIISRV_PROXIES: example.org; is no address" in bad.logs()


def test_a_command_instead_of_the_server(engine, image):
    done = cli(engine, "run", "--rm", "--network", "none", image, "kiisrvctl", "--version")
    assert done.stdout.startswith("kiisrv "), done


def test_without_an_engine_it_serves_what_needs_none(new_server, tmp_path_factory):
    nowhere = tmp_path_factory.mktemp("sock") / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(nowhere))          # nobody answers there
        mine = new_server(socket_path=nowhere).create().start(wait=False)
        mine.pid = mine.state()["Pid"]

        def served():
            try:
                return mine.get("/layouts/").status == 200
            except OSError:
                return False
        wait_until(served, 30)
        wait_until(lambda: any(reason.startswith("engine:") for reason in
                               mine.get("/healthz").json["reasons"]), 20)
        assert mine.exec("/usr/libexec/kiisrv/server/healthy", check=False).returncode == 1
