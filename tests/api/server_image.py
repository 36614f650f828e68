# SPDX-License-Identifier: MIT
"""kiisrv-server as a container: built by the engine's own client on a Debian that was made without
a registry (tests/images/make debian), run with the engine's socket, asked in its own network."""

import ctypes
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import threading

import pytest

from client import UnixConnection, ask
from stack import TMP, TOP, wait_until

IMAGE = "kiisrv-test-server:latest"
STAGE = "kiisrv-test-server:build"
BASE = "kiisrv-test-debian"
CAPS = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID")
CLONE_NEWNET = 0x40000000
MIB = 1 << 20


def cli(engine, *args, timeout=600, check=True, **more):
    """Docker's or Podman's own command on this engine."""
    words = (["docker", "-H", engine.url] if engine.name == "docker" else
             ["podman", "--remote", "--url", engine.url])
    done = subprocess.run([*words, *map(str, args)], capture_output=True, text=True,
                          timeout=timeout, check=False, **more)
    assert not check or done.returncode == 0, (args, done.stdout[-2000:], done.stderr[-2000:])
    return done


def inspect(engine, what, name):
    reply = engine.ask("GET", f"/{what}/{name}/json")
    assert reply.status == 200, reply
    return reply.json


def build(engine):
    """The image as the recipe makes it. Its first stage gets a name, so that it is kept."""
    if engine.ask("GET", f"/images/{BASE}-build/json").status != 200:
        pytest.skip("no base: tests/images/make debian, then server")
    # OCI's own format knows no health check.
    form = ["--format", "docker"] if engine.name == "podman" else []
    for args in ([*form, "--target", "build", "-t", STAGE], [*form, "-t", IMAGE]):
        cli(engine, "build", *args, "--network", "none", "--build-arg", f"BASE={BASE}-run",
            "--build-arg", f"BUILD_BASE={BASE}-build", "-f", TOP / "images/server/Dockerfile", TOP)


class InsideConnection(http.client.HTTPConnection):
    """To a port of another network namespace."""

    def __init__(self, pid, port, timeout):
        super().__init__("127.0.0.1", port, timeout=timeout)
        self.pid = pid

    def connect(self):
        libc = ctypes.CDLL(None, use_errno=True)
        failed = []

        def inside():
            # setns changes this thread alone; the socket stays where it was made.
            try:
                with open(f"/proc/{self.pid}/ns/net", "rb") as file:
                    if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                self.sock = socket.create_connection((self.host, self.port), self.timeout)
            except OSError as error:
                failed.append(error)
        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]


class Server:
    """A container of it, as compose.prod.yaml would run it but for the network."""
    count = 0

    def __init__(self, engine, conf=None, env=None, socket_path=None, binds=(), image=IMAGE):
        Server.count += 1
        self.engine = engine
        self.name = f"kiisrv-test-server-{os.getpid()}-{Server.count}"
        self.volume = f"{self.name}-state"
        self.dir = TMP / f"server{Server.count}"
        self.etc = self.dir / "etc"
        (self.etc / "layouts").mkdir(parents=True, exist_ok=True)
        self.write_conf(conf or {})
        self.binds = [f"{socket_path or engine.socket}:/run/docker.sock",
                      f"{self.etc}:/etc/kiisrv:ro", f"{self.volume}:/var/lib/kiisrv", *binds]
        self.env = env or {}
        self.image = image
        self.pid = 0
        self.known = None   # its instance, as soon as somebody asked

    def write_conf(self, conf):
        tables = {"docker": {"runtime": self.engine.name, "socket_path": "/run/docker.sock"},
                  "limits": {"disk_floor": "64 MiB"}, "firmware": {"git_refresh": 0}}
        for table, keys in conf.items():
            tables.setdefault(table, {}).update(keys)
        (self.etc / "kiisrv.toml").write_text("".join(
            f"[{table}]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in keys.items())
            for table, keys in tables.items()))

    def create(self):
        body = {
            "Image": self.image, "Env": [f"{k}={v}" for k, v in self.env.items()],
            "HostConfig": {
                "Binds": self.binds, "NetworkMode": "none", "ReadonlyRootfs": True,
                "Tmpfs": {"/run": "", "/tmp": ""}, "CapDrop": ["ALL"], "CapAdd": list(CAPS),
                "SecurityOpt": ["no-new-privileges"]}}
        reply = self.post(f"/containers/create?name={self.name}", body)
        assert reply.status == 201, reply
        return self

    def post(self, path, body=None, timeout=60):
        return ask(UnixConnection(self.engine.socket, timeout), "POST", path,
                   json.dumps(body or {}), {"Content-Type": "application/json"})

    def start(self, wait=True):
        assert self.post(f"/containers/{self.name}/start").status == 204
        if wait:
            wait_until(self.answers, 30)
        return self

    def run(self):
        return self.create().start()

    def state(self):
        return inspect(self.engine, "containers", self.name)["State"]

    def answers(self):
        state = self.state()
        assert state["Running"], self.logs()
        self.pid = state["Pid"]
        try:
            return self.get("/healthz").status == 200 and bool(self.known or self.instance())
        except OSError:
            return False

    def restart(self, seconds=30):
        assert self.post(f"/containers/{self.name}/restart?t={seconds}", timeout=90).status == 204
        wait_until(self.answers, 30)

    def stop(self, seconds=30):
        """Its exit status."""
        self.post(f"/containers/{self.name}/stop?t={seconds}", timeout=90)
        return self.state()["ExitCode"]

    def signal(self, name):
        assert self.post(f"/containers/{self.name}/kill?signal={name}").status == 204

    def logs(self):
        return subprocess.run(
            [*(["docker", "-H"] if self.engine.name == "docker" else
               ["podman", "--remote", "--url"]), self.engine.url, "logs", self.name],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            timeout=60, check=False).stdout

    def wait_log(self, words, times=1, seconds=20):
        wait_until(lambda: self.logs().count(words) >= times, seconds, 0.1)

    def exec(self, *args, check=True, **more):
        return cli(self.engine, "exec", self.name, *args, check=check, **more)

    def request(self, method, path, body=None, headers=None, timeout=120):
        return ask(InsideConnection(self.pid, 3001, timeout), method, path, body, headers)

    def get(self, path, headers=None):
        return self.request("GET", path, None, headers)

    def build(self, document, **more):
        return self.request("POST", "/download.php", json.dumps(document),
                            {"Content-Type": "application/json", **more.pop("headers", {})}, **more)

    def zip(self, reply):
        assert reply.status == 200, (reply, self.logs()[-3000:])
        return self.get("/" + reply.json["filename"][2:]).body

    def instance(self):
        self.known = self.exec("cat", "/var/lib/kiisrv/engine/instance").stdout.strip()
        return self.known

    def containers(self):
        return self.engine.containers(self.instance())

    def own_volumes(self):
        """The engine's, by what they are called."""
        own = f"kiisrv-{self.known}-"
        return {name for name in self.engine.volumes() if self.known and name.startswith(own)}

    def processes(self):
        """{pid: (command, effective user, groups)} of the container, by the host's numbers."""
        found = {}
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            try:
                text = status.read_text()
                same = os.stat(status.parent / "ns/pid").st_ino == os.stat(
                    f"/proc/{self.pid}/ns/pid").st_ino
            except OSError:
                continue
            if same:
                found[int(status.parent.name)] = (
                    re.search(r"Name:\t(.*)", text)[1], int(re.search(r"Uid:\t\d+\t(\d+)", text)[1]),
                    set(map(int, re.search(r"Groups:\t(.*)", text)[1].split())))
        return found

    def remove(self):
        """It, its state, what it has on the engine, and its files."""
        try:
            runs = bool(self.instance())
        except AssertionError:
            runs = False
        if runs:   # a build's volumes go after its answer
            wait_until(lambda: self.own_volumes() <= {f"kiisrv-{self.known}-git"}, 20)
        self.engine.remove(self.name)
        # Who was stopped right after an answer would have removed the rest at its next start.
        for volume in self.own_volumes() | {self.volume}:
            self.engine.ask("DELETE", f"/volumes/{volume}", force=1)
        subprocess.run(["rm", "-rf", self.dir], check=True)
