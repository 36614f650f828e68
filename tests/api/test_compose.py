# SPDX-License-Identifier: MIT
"""The way to a server without a network: images by `docker save`, then compose.prod.yaml, on an
engine of its own in a network of its own; by the commands of docs/deployment.md, as they stand
there."""

import json
import os
import shutil
import subprocess
import zipfile

import pytest

from client import ask
from docs import changed, reference
from engines import OwnEngine
from server_image import BASE, IMAGE, InsideConnection, build, cli
from stack import TMP, TOP, wait_until

LONG = bool(os.environ.get("KIISRV_TEST_LONG"))
# Debian's is version 1; version 2 is tried where its program is named.
COMPOSE = os.environ.get("KIISRV_TEST_COMPOSE", "docker-compose")
pytestmark = pytest.mark.skipif(not LONG, reason="long: an engine of its own")


class NetworkEngine(OwnEngine):
    """With Docker's own bridge, in a network namespace where it is in nobody's way."""

    def docker(self):
        words = [str(word) for word in super().docker()[0]
                 if word not in ("--bridge=none", "--iptables=false", "--ip6tables=false")]
        return ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *words], {}


class Composed:
    """compose.prod.yaml as an administrator has it."""

    def __init__(self, engine, folder):
        self.engine = engine
        self.folder = folder
        folder.mkdir(parents=True)
        # What goes to such a server: docker-compose wants to see the recipes that it does not use.
        shutil.copy(TOP / "compose.prod.yaml", folder)
        shutil.copytree(TOP / "images", folder / "images")

    def run(self, commands, engine=None, **env):
        """On the machine of this engine, or of another."""
        engine = engine or self.engine
        inside = ["nsenter", "-t", str(engine.process.pid), "-n"] if engine == self.engine else []
        done = subprocess.run(
            [*inside, "bash", "-euo", "pipefail", "-c",
             commands.replace("docker-compose", COMPOSE)], cwd=self.folder,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600,
            env={**os.environ, "DOCKER_HOST": engine.url, "COMPOSE_PROJECT_NAME": "kiisrv",
                 "COMPOSE_ANSI": "never", "KIISRV_SOCKET": engine.socket, **env}, check=False)
        assert done.returncode == 0, (commands, done.stdout[-2000:], done.stderr[-3000:])
        return done.stdout + done.stderr

    def docs(self, heading, word, *changes, **more):
        return self.run(changed(heading, word, *changes), **more)

    def ask(self, method, path, body=None, headers=None):
        return ask(InsideConnection(self.engine.process.pid, 3001, 120), method, path, body,
                   headers or {})

    def get(self, path, **headers):
        return self.ask("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def healthy(self):
        try:
            return self.get("/healthz").status == 200
        except OSError:
            return False

    def firmware(self, env="latest"):
        layout = self.get("/layouts/MD1-Standard.json").json
        reply = self.ask("POST", "/download.php", json.dumps({"env": env, "config": layout}),
                         {"Content-Type": "application/json"})
        assert reply.status == 200 and reply.json["success"] is True, reply
        return reply

@pytest.fixture(scope="module")
def composed(engine):
    if engine.name != "docker":
        pytest.skip("Compose is Docker's")
    build(engine)
    own = NetworkEngine("docker").start()
    one = Composed(own, TMP / "compose")
    try:
        yield one
    finally:
        try:
            one.run("docker-compose -f compose.prod.yaml down -v")
        finally:
            own.stop()
            subprocess.run(["rm", "-rf", one.folder], check=True)


SELF, ELSEWHERE = "Self-hosting with one command", "Images that were built elsewhere"


def test_images_arrive_as_files(composed, engine):
    """Built elsewhere, here without Compose, and carried there."""
    cli(engine, "tag", IMAGE, "kiisrv-server:latest")
    try:
        composed.docs(ELSEWHERE, "docker save", ("docker-compose -f compose.prod.yaml build\n", ""),
                      ("scp kiisrv-images.tar.gz kiisrv-compose.tar.gz 'root@[2001:db8::1]:'",
                       "rm -r compose.prod.yaml images"), engine=engine)
    finally:
        cli(engine, "rmi", "kiisrv-server:0.1.0", "kiisrv-server:latest")
    said = composed.docs(ELSEWHERE, "docker load")
    assert "kiisrv-server:latest" in said and "kiisrv-controller-057:latest" in said, said
    (composed.folder / "kiisrv-images.tar.gz").unlink()


def test_one_command_starts_it(composed):
    wait_until(composed.healthy, 60)
    # It cannot ask the repository what a tag is, so an administrator says it.
    assert "{}" in composed.docs(SELF, "curl")
    composed.docs(ELSEWHERE, "versions release")
    wait_until(lambda: "v0.5.7" in composed.get("/versions").json, 20)
    reply = composed.firmware()
    body = composed.get("/" + reply.json["filename"][2:]).body
    (composed.folder / "zip").write_bytes(body)
    with zipfile.ZipFile(composed.folder / "zip") as archive:
        assert archive.read("kiibohd.dfu.bin")
    assert composed.firmware("lts")
    # The controllers' own containers ended at once, without a fault.
    for container in composed.engine.all_containers():
        if "com.docker.compose.service" in container["Labels"] and \
                container["Names"] != ["/kiisrv"]:
            assert container["State"] == "exited" and "Exited (0)" in container["Status"], container


def test_its_limits_and_its_health(composed):
    state = composed.engine.ask("GET", "/containers/kiisrv/json").json
    host = state["HostConfig"]
    assert host["Memory"] == 512 << 20 and host["PidsLimit"] == 256
    assert host["NanoCpus"] == 2_000_000_000 and host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"] and not host["Privileged"]
    assert host["PortBindings"] == {"3001/tcp": [{"HostIp": "127.0.0.1", "HostPort": "3001"}]}
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    wait_until(lambda: composed.engine.ask("GET", "/containers/kiisrv/json").json["State"][
        "Health"]["Status"] == "healthy", 60, 0.5)


def test_the_host_s_proxy_is_believed(composed):
    composed.get("/stats", X_Forwarded_For="198.51.100.7")
    wait_until(lambda: "nginx: 198.51.100.7 [" in composed.run("docker logs kiisrv"), 20)


def test_another_tag_and_back_keep_the_state(composed):
    job = composed.firmware().headers["X-Kiisrv-Job"]
    lines = changed("Upgrade, and back", "KIISRV_TAG=").splitlines()
    assert len(lines) == 3, lines
    for line, tag in zip(lines[1:], ("0.1.0", "latest")):
        composed.run("docker image inspect kiisrv-server:0.1.0 >/dev/null || " + lines[0])
        composed.run(line)
        wait_until(composed.healthy, 60)
        image = composed.engine.ask("GET", "/containers/kiisrv/json").json["Config"]["Image"]
        assert image == f"kiisrv-server:{tag}"
        assert composed.get(f"/api/v1/jobs/{job}").json["state"] == "succeeded"
        assert composed.get(f"/logs/{job}.log").status == 200


def test_looked_at_taken_down_and_up_again_it_keeps_the_state(composed):
    job = composed.firmware().headers["X-Kiisrv-Job"]
    said = composed.docs(SELF, "kiisrvctl doctor")
    for words in ("versions: level=info", " 0 failures", job):
        assert words in said, (words, said)
    assert not composed.engine.all_containers()
    composed.run("docker-compose -f compose.prod.yaml up -d --no-build")
    wait_until(composed.healthy, 60)
    assert composed.get(f"/api/v1/jobs/{job}").json["state"] == "succeeded"


def test_hup_is_the_reload(composed):
    begun = composed.engine.ask("GET", "/containers/kiisrv/json").json["State"]["StartedAt"]
    composed.run("docker kill -s HUP kiisrv")
    wait_until(lambda: "event=told name=nginx signal=1" in composed.run("docker logs kiisrv"), 20)
    assert composed.healthy()
    state = composed.engine.ask("GET", "/containers/kiisrv/json").json["State"]
    assert state["StartedAt"] == begun and state["Running"]


def test_a_backup_of_the_container_comes_back(composed):
    composed.run("docker exec kiisrv kiisrvctl versions add mine stable controller-057 v0.5.7")
    commands = changed("Backup and restore", "docker exec")
    line, rest = commands.split("\n", 1)
    composed.run(line + "\ndocker exec kiisrv kiisrvctl versions remove mine")
    assert "restored" in composed.run(rest)
    wait_until(composed.healthy, 60)
    assert "mine" in composed.run("docker exec kiisrv kiisrvctl versions list")


def test_the_rust_servers_counts_come_along(composed):
    assert "Linux" not in composed.get("/stats").text
    reference(composed.folder / "reference")
    composed.docs("Coming from the Rust server", "docker exec -i", ("/opt/kiisrv ", "reference "))
    assert "older" in composed.run("docker exec kiisrv kiisrvctl versions list")
    wait_until(lambda: "Linux" in composed.get("/stats").text, 10)


def test_compose_builds_the_server(composed, engine):
    """As docs/deployment.md says it for a base that is no registry's."""
    for name in ("run", "build"):
        save = cli(engine, "save", "-o", composed.folder / "base.tar", f"{BASE}-{name}")
        assert not save.stdout
        cli(composed.engine, "load", "-i", composed.folder / "base.tar")
    (composed.folder / "base.tar").unlink()
    for name in ("Makefile.am", "configure.ac", "cgi", "ctl", "docs", "layouts", "lib", "m4",
                 "nginx", "packaging", "schema", "tests", "worker", ".dockerignore"):
        if (TOP / name).is_dir():
            shutil.copytree(TOP / name, composed.folder / name, symlinks=True)
        else:
            shutil.copy(TOP / name, composed.folder / name)
    docs = changed("Images that are built on the server", "--build-arg BASE",
                   ("BUILD_BASE=debian:bookworm-slim", f"BUILD_BASE={BASE}-build"),
                   (" BASE=debian:bookworm-slim", f" BASE={BASE}-run"))
    composed.run(docs.partition("docker import - debian:bookworm-slim\n")[2], KIISRV_TAG="built")
    composed.run("docker-compose -f compose.prod.yaml up -d --no-build", KIISRV_TAG="built")
    wait_until(composed.healthy, 60)
    assert composed.firmware()


def test_taken_down_with_its_volume_nothing_is_left(composed):
    composed.run("docker-compose -f compose.prod.yaml up -d --no-build")
    wait_until(composed.healthy, 60)
    composed.docs("Removal", "down -v")
    assert not composed.engine.all_containers() and not composed.engine.volumes()
    assert composed.run("docker network ls --filter name=kiisrv -q") == ""
