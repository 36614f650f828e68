# SPDX-License-Identifier: MIT
"""Containers over REST, on both engines: made, looked at, started, stopped, removed, refused."""

import json
import os
import shlex
import socket
import subprocess
import threading
import time
import urllib.parse

import pytest

from client import check_error, free_port
from stack import wait_until

IMAGE = "kiisrv-test-tiny:latest"
MARK = f"kiisrv-test-c{os.getpid()}"   # nobody else's, on an engine that is shared


class Containers:
    """The zone under one token, and what a test makes in it; all of it carries a label."""

    def __init__(self, stack, engine):
        self.engine = engine
        self.op = stack.operator("containers:read,containers:write")
        self.count = 0

    def body(self, *command, **more):
        self.count += 1
        body = {"image": IMAGE, "name": f"{MARK}-{self.count}", "labels": {MARK: "1"},
                "network_mode": "none", "entrypoint": ["/bin/busybox"], **more}
        if command:
            body["command"] = list(command)
        return {name: value for name, value in body.items() if value is not None}

    def make(self, *command, **more):
        reply = self.op.post("/containers", self.body(*command, **more))
        assert reply.status == 201, reply
        assert reply.headers["Location"] == f"/api/v1/containers/{reply.json['id']}"
        return reply.json["id"]

    def run(self, script, **more):
        """A shell with this script, started."""
        return self.make("sh", "-c", script, start=True, **more)

    def show(self, container):
        reply = self.op.get(f"/containers/{container}")
        assert reply.status == 200, reply
        return reply.json

    def state(self, container):
        return self.show(container)["state"]

    def ended(self, container):
        wait_until(lambda: self.state(container) == "exited")
        return self.show(container)

    def verb(self, container, verb, **more):
        return self.op.post(f"/containers/{container}/{verb}", **more)

    def known(self):
        reply = self.engine.ask("GET", "/containers/json", all=1, filters={"label": [f"{MARK}=1"]})
        return {c["Id"] for c in json.loads(reply.body)}

    def clean(self):
        for container in self.known():
            # Podman's own force waits for the container's patience.
            self.engine.ask("POST", f"/containers/{container}/kill", signal="KILL")
            self.engine.remove(container)


@pytest.fixture
def containers(stack, engine):
    made = Containers(stack, engine)
    yield made
    made.clean()


@pytest.fixture
def network(engine):
    """A bridge of one's own: the test's Docker has none by itself."""
    names = [f"{MARK}-a", f"{MARK}-b"]
    for name in names:
        engine.ask("DELETE", f"/networks/{name}")
        made = engine.post("/networks/create", {"Name": name, "CheckDuplicate": True})
        assert made.status == 201, made
    yield names
    for name in names:
        engine.ask("DELETE", f"/networks/{name}")


# --- the requirement's own examples

PRINTED = """curl -X GET http://localhost:3000/api/v1/containers
curl -X POST http://localhost:3000/api/v1/containers \\
  -H "Content-Type: application/json" \\
  -d '{
    "image": "nginx:alpine",
    "name": "my-nginx",
    "ports": {"8080": "80"},
    "environment": {"ENV": "production"},
    "restart_policy": "unless-stopped"
  }'
curl -X POST http://localhost:3000/api/v1/containers/{id}/start
curl -X POST http://localhost:3000/api/v1/containers/{id}/restart
curl -X POST http://localhost:3000/api/v1/containers/{id}/stop
curl -X DELETE http://localhost:3000/api/v1/containers/{id}
curl -X GET http://localhost:3000/api/v1/runtime/info"""


@pytest.fixture
def nginx_alpine(engine):
    """An image of that name, which goes on until it is told to end."""
    made = engine.post("/containers/create", {"Image": IMAGE})
    assert made.status == 201, made
    command = ["/bin/busybox", "sh", "-c", "trap exit TERM; while :; do sleep 9 & wait; done"]
    query = urllib.parse.urlencode({"container": made.json["Id"], "repo": "nginx", "tag": "alpine",
                                    "changes": f"CMD {json.dumps(command)}"})
    image = engine.post(f"/commit?{query}", {})
    engine.remove(made.json["Id"])
    assert image.status == 201, image
    yield
    engine.ask("POST", "/containers/my-nginx/kill", signal="KILL")
    engine.remove("my-nginx")
    engine.ask("DELETE", "/images/nginx:alpine")


def test_the_requirement_s_commands_work(stack, nginx_alpine):
    """As printed in mikrocloud's text, but for the address and the token."""
    op = stack.operator()
    with socket.socket() as s:   # on a machine where that port is somebody's, another will do
        port = 8080 if s.connect_ex(("127.0.0.1", 8080)) else free_port()

    def curl(command, made=None):
        for old, new in (("http://localhost:3000", f"http://127.0.0.1:{stack.port}"),
                         ('"8080"', f'"{port}"'), ("{id}", made)):
            command = command.replace(old, new or old)
        words = shlex.split(command) + ["-sS", "-w", "\n%{http_code}",
                                        "-H", f"Authorization: Bearer {op.secret}"]
        out = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
        body, status = out.rsplit("\n", 1)
        return int(status), json.loads(body) if body else None

    def shown(made):
        return op.get(f"/containers/{made}").json

    look, make, start, restart, stop, remove, info = PRINTED.replace(" \\\n", " ").replace(
        "\ncurl", "\0curl").split("\0")
    status, made = curl(make)
    assert status == 201 and made["name"] == "my-nginx" and made["warnings"] == [], made
    one = made["id"]
    assert one not in {c["id"] for c in curl(look)[1]["containers"]}
    assert shown(one)["environment"]["ENV"] == "production"
    assert shown(one)["restart_policy"] == "unless-stopped" and shown(one)["state"] == "created"
    assert curl(start, one) == (204, None)
    status, listed = curl(look)
    assert status == 200 and one in {c["id"] for c in listed["containers"]}, listed
    if stack.engine.name == "podman":   # the test's Docker has no bridge to publish ports on
        assert shown(one)["ports"] == [{"host_ip": None, "host_port": port, "container_port": 80,
                                        "protocol": "tcp"}], shown(one)["ports"]
    before = shown(one)["started"]
    assert curl(restart, one) == (204, None)
    assert shown(one)["state"] == "running" and shown(one)["started"] > before
    assert curl(stop, "my-nginx") == (204, None)
    assert shown(one)["state"] == "exited"
    assert curl(remove, one) == (204, None)
    assert op.get(f"/containers/{one}").status == 404
    status, told = curl(info)
    assert status == 200 and told["runtime"] == stack.engine.name
    assert told["socket_path"] == stack.engine.socket and told["build_dir"], told
    assert told["rootless"] is stack.engine.rootless


# --- a container's life


def test_a_container_s_life(containers):
    one = containers.make("sleep", "1000", stop_timeout=1)
    assert containers.state(one) == "created"
    for _ in range(2):
        assert containers.verb(one, "start").status == 204
        assert containers.state(one) == "running"
    assert containers.verb(one, "restart?timeout=0").status == 204
    assert containers.state(one) == "running"
    check_error(containers.op.delete(f"/containers/{one}"), 409, "conflict")
    for _ in range(2):
        assert containers.verb(one, "stop?timeout=0").status == 204
        assert containers.state(one) == "exited"
    check_error(containers.verb(one, "kill?signal=HUP"), 409, "conflict")
    assert containers.verb(one, "kill").status == 204
    assert containers.verb(one, "start").status == 204
    assert containers.verb(one, "kill?signal=SIGKILL").status == 204
    assert containers.ended(one)["exit_code"] == 137
    assert containers.op.delete(f"/containers/{one}").status == 204
    assert one not in containers.known()
    check_error(containers.op.get(f"/containers/{one}"), 404, "not_found")
    check_error(containers.op.delete(f"/containers/{one}"), 404, "not_found")


def test_what_is_asked_for_is_what_there_is(stack, containers, engine):
    limits = {"memory": 64 << 20, "cpus": 0.5, "pids": 20}
    enforced = stack.operator("runtime:read").get("/runtime/info").json["limits"]
    for limit in [name for name in limits if not enforced[name]]:   # an engine without root
        told = check_error(containers.op.post("/containers", containers.body(
            "true", limits={limit: limits.pop(limit)})), 400, "bad_request", f"limits.{limit}")
        assert "would not enforce" in told["error"], told
    # Without root, runc prepares what lies in a read-only container's /tmp in the host's.
    read_only = not engine.rootless or bool(os.stat("/tmp").st_mode & 0o002)
    body = containers.body(
        "sh", "-c", "echo $A $(id -u) $(pwd) $(hostname) $(cat /v/x); exit 3",
        environment={"A": "one\ttwo; $(exit)"}, working_dir="/tmp", user="1000:1000",
        hostname="host-1", start=True, volumes=[{"target": "/v"}], init=True,
        limits=limits, stop_timeout=3,
        restart_policy="on-failure:1", capabilities_drop=["ALL"], read_only=read_only,
        healthcheck={"test": ["CMD", "true"], "interval": 60, "retries": 2})
    reply = containers.op.post("/containers", body)
    assert reply.status == 201, reply
    one = reply.json["id"]
    # Between its two runs Podman says "exited" as well.
    shown = wait_until(lambda: (lambda s: s if (s["state"], s["restart_count"]) == ("exited", 1)
                                else None)(containers.show(one)))
    assert shown["exit_code"] == 3 and shown["name"] == body["name"]
    assert shown["limits"] == {"memory": None, "cpus": None, "pids": None, **limits}, shown
    assert shown["user"] == "1000:1000" and shown["working_dir"] == "/tmp"
    assert shown["restart_policy"] == "on-failure:1" and shown["read_only"] is read_only
    assert shown["labels"][MARK] == "1" and shown["labels"]["kiisrv.by"] == containers.op.name
    assert shown["volumes"][0]["target"] == "/v" and shown["volumes"][0]["type"] == "volume"
    log = containers.op.get(f"/containers/{one}/logs?stream=stdout").json["entries"]
    assert log[0]["text"] == "one two; $(exit) 1000 /tmp host-1\n", log
    assert containers.op.delete(f"/containers/{one}?volumes=1").status == 204
    assert shown["volumes"][0]["source"] not in engine.volumes()


def test_private_namespaces_are_its_own(containers, engine):
    """Be the engine's default another: with cgroups of version 1 it is the host's."""
    kinds = ["ipc", "cgroup", "uts", "pid"]
    if engine.name != "docker" and not os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        kinds.remove("cgroup")   # Podman has no other there
    modes = {f"{kind}_mode": "private" for kind in ("ipc", "cgroupns", "uts", "pid")}
    one = containers.run("ls -l /proc/self/ns", user="0:0", **modes)
    containers.ended(one)
    text = containers.op.get(f"/containers/{one}/logs").json["entries"]
    text = "".join(entry["text"] for entry in text)
    for kind in kinds:
        name = os.readlink(f"/proc/self/ns/{kind}")
        assert f"{kind} -> {kind}:[" in text and name not in text, (name, text)


def test_a_name_is_made_up_where_none_is_given(containers):
    reply = containers.op.post("/containers", containers.body("true", name=None))
    assert reply.status == 201, reply
    assert containers.show(reply.json["name"])["id"] == reply.json["id"]
    assert containers.show(reply.json["id"][:12])["id"] == reply.json["id"]


def test_networks_and_ports(containers, network):
    port = free_port()
    one = containers.run("exec nc -ll -p 80 -e echo hello", network_mode=None, networks=network,
                         ports={f"127.0.0.1:{port}": "80"})
    shown = containers.show(one)
    assert sorted(shown["networks"]) == network, shown["networks"]
    assert all(n["ip_address"] for n in shown["networks"].values())
    assert {"host_ip": "127.0.0.1", "host_port": port, "container_port": 80,
            "protocol": "tcp"} in shown["ports"]

    def answers():
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as s:
                return s.recv(100) == b"hello\n"
        except OSError:
            return False
    wait_until(answers)


def test_a_port_that_is_taken_says_by_whom(containers, network):
    port = free_port()
    more = {"network_mode": None, "networks": network[:1], "ports": {str(port): "80"}}
    one = containers.run("sleep 1000", **more)
    before = containers.known()
    told = check_error(containers.op.post("/containers", containers.body(
        "sleep", "1000", start=True, **more)), 409, "conflict", "ports")
    name = containers.show(one)["name"]
    assert f"{port}/tcp is held by container {name} ({one[:12]})" in told["error"], told
    assert containers.known() == before
    # The same at a start by itself, and nothing is taken away then.
    two = containers.make("sleep", "1000", **more)
    told = check_error(containers.verb(two, "start"), 409, "conflict", "ports")
    assert name in told["error"]
    with socket.socket() as s:
        s.bind(("0.0.0.0", 0))
        s.listen()
        told = check_error(containers.op.post("/containers", containers.body(
            "sleep", "1000", start=True, **{**more, "ports": {str(s.getsockname()[1]): "80"}})),
            409, "conflict", "ports")
        assert "another program" in told["error"]


# --- lists


def test_lists_are_filtered(containers):
    running = containers.run("sleep 1000", name=f"{MARK}.run", labels={MARK: "1", "x": "a=b"})
    made = containers.make("true", name=f"{MARK}-made")

    def listed(query):
        reply = containers.op.get(f"/containers?{query}")
        assert reply.status == 200, reply
        ids = {c["id"]: c for c in reply.json["containers"]}
        return {i: ids[i] for i in (running, made) if i in ids}
    assert set(listed("")) == {running}
    both = listed("all=1")
    assert set(both) == {running, made}
    assert both[running]["state"] == "running" and both[made]["state"] == "created"
    assert both[running]["name"] == f"{MARK}.run" and both[running]["labels"]["x"] == "a=b"
    assert both[made]["image"].endswith(IMAGE) and both[made]["created"].startswith("20")
    assert set(listed("state=created")) == {made}
    assert set(listed(f"all=1&name={MARK}.")) == {running}
    assert set(listed("label=x")) == {running}
    assert set(listed("all=1&label=x%3Da%3Db")) == {running}
    assert set(listed("all=1&label=x%3Dc")) == set()
    for query, field in (("state=up", "state"), ("name=%24(x)", "name"), ("label=", "label"),
                         ("all=maybe", "all"), ("al=1", "al")):
        check_error(containers.op.get(f"/containers?{query}"), 400, "bad_request", field)


# --- what a container does


def test_processes_and_stats(containers):
    one = containers.run("sleep 998 & while :; do :; done", init=True)

    def asleep():
        # Before its exec, the shell that becomes it has another command.
        processes = containers.op.get(f"/containers/{one}/top").json["processes"]
        assert {"pid", "user", "time", "command"} == set(processes[0])
        return any(p["command"] == "sleep 998" and p["user"] == "root" for p in processes)

    wait_until(asleep)
    figures(containers, one)
    containers.verb(one, "kill")
    containers.ended(one)
    check_error(containers.op.get(f"/containers/{one}/stats"), 409, "conflict")
    check_error(containers.op.get(f"/containers/{one}/top"), 409, "conflict")


def figures(containers, one):
    stats = containers.op.get(f"/containers/{one}/stats")
    own = json.loads(containers.engine.ask("GET", f"/containers/{one}/stats", stream="0").body)
    if own["read"].startswith("0001"):
        # Docker's own collector fails on machines with both kinds of cgroups at times.
        check_error(stats, 502, "broken_reply")
        return
    assert stats.status == 200, stats
    stats = stats.json
    assert stats["time"].startswith("20"), stats
    if counts(containers):
        assert stats["cpu_percent"] > 5 and stats["memory"] > 0 and stats["memory_limit"] > 0
        assert stats["pids"] >= 2, stats


def counts(containers):
    """Does the engine have cgroups to count with? Without root, and of version 1, it has none."""
    op = containers.op.stack.operator("runtime:read")
    return op.get("/runtime/info").json["limits"]["memory"]


# --- what is refused


def test_bad_bodies_are_refused_before_any_engine_hears_of_them(containers):
    bad = {
        "image": ({"image": 1}, {"image": "-x"}, {"image": "a b"}, {"image": ""}),
        "name": ({"name": "$(reboot)"}, {"name": "../x"}, {"name": "-x"}, {"name": "x" * 200}),
        "ports.70000": ({"ports": {"70000": "80"}},),
        "ports.80": ({"ports": {"80": 80}},),
        "command": ({"command": "ls"},),
        "limits.memory": ({"limits": {"memory": 1 << 62}}, {"limits": {"memory": "1g"}}),
        "network": ({"network": "x"},),
        "labels.kiisrv.job": ({"labels": {"kiisrv.job": "1"}},),
        "working_dir": ({"working_dir": "a"}, {"working_dir": "/a/../b"}),
        "environment.A B": ({"environment": {"A B": "x"}},),
    }
    before = containers.known()
    for field, cases in bad.items():
        for case in cases:
            check_error(containers.op.post("/containers", containers.body(**case)), 400,
                        "bad_request", field)
    nul = json.dumps(containers.body("true", user="a\0b")).encode()
    check_error(containers.op.post("/containers", nul), 400, "bad_request", "user")
    check_error(containers.op.post("/containers", b"{"), 400, "bad_request", "body")
    check_error(containers.op.request("POST", "/containers", b"x=1",
                                      headers={"Content-Type": "text/plain"}), 415)
    assert containers.known() == before


def test_policy_refuses_by_rule(containers):
    rules = {
        "privileged": {"privileged": True},
        "capabilities": {"capabilities": ["SYS_ADMIN"]},
        "devices": {"devices": ["/dev/kmsg"]},
        "host_namespaces": {"network_mode": "host"},
        "container_namespaces": {"pid_mode": "container:x"},
        "bind_roots": {"volumes": {"/etc": "/x:ro"}},
        "engine_socket": {"volumes": {containers.engine.socket: "/x"}},
        "volume_driver": {"volumes": [{"source": "v", "target": "/x", "driver": "nfs"}]},
        "volume_options": {"volumes": [{"source": "v", "target": "/x",
                                        "driver_options": {"type": "ext4", "device": "/dev/x"}}]},
    }
    for rule, more in rules.items():
        told = check_error(containers.op.post("/containers", containers.body("true", **more)), 403,
                           "policy")
        assert told["rule"] == rule and told["error"].startswith(rule), told
    assert not containers.known()


def test_a_volume_that_is_a_bind_in_disguise_is_refused(containers, engine):
    name = f"{MARK}-disguise"
    for options, rule in (({"type": "none", "o": "bind", "device": "/etc"}, "bind_roots"),
                          ({"type": "tmpfs", "o": "bind", "device": "/etc"}, "volume_options")):
        made = engine.post("/volumes/create", {"Name": name, "DriverOpts": options})
        assert made.status == 201, made
        try:
            told = check_error(containers.op.post("/containers", containers.body(
                "true", volumes={name: "/x"})), 403, "policy")
            assert told["rule"] == rule, told
        finally:
            engine.ask("DELETE", f"/volumes/{name}")
    assert not containers.known()


def test_what_fails_leaves_nothing(containers, engine):
    more = {"start": True, "volumes": {f"{MARK}-left": "/x"}}
    cases = (({"entrypoint": ["/no/such"]}, 400, "command"), ({"user": "nobody-here"}, 400, "user"),
             ({"entrypoint": ["/etc"]}, 400, "command"),
             ({"network_mode": None, "networks": ["no-such"]}, 404, "networks"))
    for case, status, field in cases:
        check_error(containers.op.post("/containers", containers.body("x", **{**more, **case})),
                    status, None, field)
        assert not containers.known(), case
    wait_until(lambda: f"{MARK}-left" not in engine.volumes())


def test_names_collide(containers):
    body = containers.body("true")
    assert containers.op.post("/containers", body).status == 201
    check_error(containers.op.post("/containers", body), 409, "conflict", "name")
    assert len(containers.known()) == 1


def test_verbs_on_what_there_is_not(containers):
    for name in ("no-such", "-x", "a%20b", "%24(x)", "0" * 64, "..%2Fx"):
        for verb in ("start", "stop", "restart", "kill"):
            check_error(containers.verb(name, verb), 404, "not_found")
        for what in ("", "/logs", "/stats", "/top", "/logs?follow=1", "/stats?stream=1"):
            check_error(containers.op.get(f"/containers/{name}{what}"), 404, "not_found")
    one = containers.make("sleep", "1000")
    for verb, field in (("stop?timeout=-1", "timeout"), ("stop?timeout=9999", "timeout"),
                        ("kill?signal=a%3Bb", "signal"), ("kill?signal=NOSUCH", "signal"),
                        ("kill?signa=HUP", "signa"), ("restart?timeout=1e9", "timeout")):
        if "NOSUCH" in verb:
            assert containers.verb(one, "start").status == 204
        check_error(containers.verb(one, verb), 400, "bad_request", field)
    check_error(containers.op.delete(f"/containers/{one}?force=perhaps"), 400, None, "force")
    check_error(containers.op.request("PUT", f"/containers/{one}"), 405, "method_not_allowed")


def test_kiisrv_s_own_are_not_touched(stack, containers, engine):
    made = engine.post("/containers/create?name=kiisrv-0123456789abcdef-test", {
        "Image": IMAGE, "Cmd": ["sleep", "1000"], "Labels": {MARK: "1", "kiisrv.job": "x"}})
    assert made.status == 201, made
    own = made.json["Id"]
    for ref in (own, own[:12], "kiisrv-0123456789abcdef-test"):
        for verb in ("start", "stop", "restart", "kill"):
            told = check_error(containers.verb(ref, verb), 403, "policy")
            assert told["rule"] == "own_jobs"
        check_error(containers.op.delete(f"/containers/{ref}?force=1"), 403, "policy")
    assert containers.state(own) == "created"


def test_scopes(stack, containers):
    reader = stack.operator("containers:read")
    one = containers.make("true")
    assert reader.get("/containers?all=1").status == 200
    assert reader.get(f"/containers/{one}").status == 200
    check_error(reader.post("/containers", containers.body("true")), 403, "forbidden")
    check_error(reader.delete(f"/containers/{one}"), 403, "forbidden")
    check_error(reader.post(f"/containers/{one}/start"), 403, "forbidden")
    check_error(stack.get("/api/v1/containers"), 401, "unauthorized")
    writer = stack.operator("containers:write")
    check_error(writer.get("/containers"), 403, "forbidden")
    assert containers.state(one) == "created"


def test_what_is_done_is_audited(stack, containers):
    one = containers.make("true")
    containers.op.delete(f"/containers/{one}")
    rows = stack.operator("audit:read").get(
        f"/audit?who={containers.op.name}&limit=2").json["entries"]
    assert [r["status"] for r in rows] == [204, 201], rows
    assert rows[1]["target"].endswith(f"{MARK}-1 {IMAGE}"), rows


# --- pulls


def test_an_image_that_is_nowhere(containers):
    body = containers.body("true", image="localhost:1/no/such:1")
    check_error(containers.op.post("/containers", {**body, "pull": "never"}), 404, "not_found",
                "image")
    reply = containers.op.post("/containers", body)
    check_error(reply, 503, "registry_down", "image")
    assert len(reply.headers["X-Kiisrv-Job"]) == 32
    check_error(containers.op.post("/containers", {**body, "registry_auth": "nobody"}), 400,
                "bad_request", "registry_auth")


# --- many at once


def test_many_at_once(containers):
    replies = []

    def life(n):
        reply = containers.op.post("/containers", containers.body("sleep", "1000", start=True))
        if reply.status == 201:
            one = reply.json["id"]
            replies.append(containers.op.delete(f"/containers/{one}?force=1").status)
        else:
            replies.append(reply)
    threads = [threading.Thread(target=life, args=(n,)) for n in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert replies == [204] * 6, replies
    assert not containers.known()


def test_delete_returns_when_it_is_gone_whoever_does_it(containers):
    one = containers.run("trap '' TERM; sleep 1000")
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(
        (containers.op.delete(f"/containers/{one}?force=1").status, one in containers.known())))
        for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(status in (204, 404) and not there for status, there in replies), replies
    assert (204, False) in replies


def test_a_slow_verb_holds_nobody(containers):
    deaf = [containers.run("trap '' TERM; while :; do sleep 1; done") for _ in range(5)]
    for one in deaf:
        wait_until(lambda one=one: containers.state(one) == "running")
    threads = [threading.Thread(target=containers.verb, args=(one, "stop?timeout=2"))
               for one in deaf]
    start = time.monotonic()
    for t in threads:
        t.start()
    for _ in range(5):
        assert containers.op.get("/containers").status == 200
    assert time.monotonic() - start < 1.9
    for t in threads:
        t.join()
    assert all(containers.state(one) == "exited" for one in deaf)
