# SPDX-License-Identifier: MIT
"""The way to a server without a network: images by `docker save`, then compose.prod.yaml, on an
engine of its own in a network of its own. docs/deployment.md says the same commands."""

import json
import os
import shutil
import subprocess
import zipfile

import pytest

from client import ask
from engines import OwnEngine
from server_image import BASE, IMAGE, InsideConnection, build, cli
from stack import TMP, TOP, wait_until

LONG = bool(os.environ.get("KIISRV_TEST_LONG"))
# Debian's is version 1; version 2 is tried where its program is named.
COMPOSE = os.environ.get("KIISRV_TEST_COMPOSE", "docker-compose")
CONTROLLERS = ("kiisrv-controller-057:latest", "kiisrv-controller-050:latest",
               "kiisrv-fetch:latest")
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

    def compose(self, *args, **env):
        done = subprocess.run(
            [COMPOSE, "--ansi", "never", "-f", "compose.prod.yaml", *args], cwd=self.folder,
            env={**os.environ, "DOCKER_HOST": self.engine.url, "COMPOSE_PROJECT_NAME": "kiisrv",
                 "KIISRV_SOCKET": self.engine.socket, **env},
            capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, (args, done.stdout[-2000:], done.stderr[-3000:])
        return done.stdout + done.stderr

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

    def logs(self):
        done = cli(self.engine, "logs", "kiisrv")
        return done.stdout + done.stderr


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
            one.compose("down", "-v")
        finally:
            own.stop()
            subprocess.run(["rm", "-rf", one.folder], check=True)


def test_images_arrive_as_one_file(composed, engine):
    """Built elsewhere: `docker save | gzip`, a file that is copied, `docker load`."""
    file = composed.folder / "kiisrv.tar.gz"
    cli(engine, "tag", IMAGE, "kiisrv-server:0.1")
    cli(engine, "tag", IMAGE, "kiisrv-server:latest")
    try:
        subprocess.run(
            ["bash", "-c", 'set -o pipefail; docker -H "$1" save "${@:3}" | gzip -1 >"$2"', "-",
             engine.url, file, "kiisrv-server:latest", "kiisrv-server:0.1", *CONTROLLERS],
            check=True, timeout=300)
    finally:
        cli(engine, "rmi", "kiisrv-server:0.1", "kiisrv-server:latest")
    done = cli(composed.engine, "load", "-i", file)
    assert "kiisrv-server:latest" in done.stdout and CONTROLLERS[0] in done.stdout
    file.unlink()


def test_one_command_starts_it(composed):
    composed.compose("up", "-d", "--no-build")
    wait_until(composed.healthy, 60)
    # It cannot ask the repository what a tag is, so an administrator says it.
    assert composed.get("/versions").json == {}
    cli(composed.engine, "exec", "kiisrv", "kiisrvctl", "versions", "release", "v0.5.7", "1500",
        "2020-01-01", "0123456", "5dc", "By hand.")
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
    wait_until(lambda: "nginx: 198.51.100.7 [" in composed.logs(), 20)


def test_another_tag_and_back_keep_the_state(composed):
    job = composed.firmware().headers["X-Kiisrv-Job"]
    for tag in ("0.1", "latest"):
        composed.compose("up", "-d", "--no-build", KIISRV_TAG=tag)
        wait_until(composed.healthy, 60)
        image = composed.engine.ask("GET", "/containers/kiisrv/json").json["Config"]["Image"]
        assert image == f"kiisrv-server:{tag}"
        assert composed.get(f"/api/v1/jobs/{job}").json["state"] == "succeeded"
        assert composed.get(f"/logs/{job}.log").status == 200


def test_down_and_up_again_keep_the_state(composed):
    job = composed.firmware().headers["X-Kiisrv-Job"]
    composed.compose("down")
    assert not composed.engine.all_containers()
    composed.compose("up", "-d", "--no-build")
    wait_until(composed.healthy, 60)
    assert composed.get(f"/api/v1/jobs/{job}").json["state"] == "succeeded"


def test_a_backup_of_the_container_comes_back(composed):
    cli(composed.engine, "exec", "kiisrv", "kiisrvctl", "versions", "add", "mine", "stable",
        "controller-057", "v0.5.7")
    file = composed.folder / "kiisrv.tar"
    with open(file, "wb") as out:
        subprocess.run(["docker", "-H", composed.engine.url, "exec", "kiisrv", "kiisrvctl", "backup",
                        "-"], stdout=out, check=True, timeout=60)
    cli(composed.engine, "exec", "kiisrv", "kiisrvctl", "versions", "remove", "mine")
    composed.compose("stop", "kiisrv")
    with open(file, "rb") as saved:
        done = subprocess.run(
            [COMPOSE, "-f", "compose.prod.yaml", "run", "--rm", "-T", "kiisrv", "kiisrvctl",
             "restore", "--state-only", "-"], cwd=composed.folder, stdin=saved, timeout=120,
            env={**os.environ, "DOCKER_HOST": composed.engine.url, "COMPOSE_PROJECT_NAME": "kiisrv",
                 "KIISRV_SOCKET": composed.engine.socket}, capture_output=True, text=True,
            check=False)
    assert done.returncode == 0 and "restored" in done.stdout, done
    composed.compose("up", "-d", "--no-build")
    wait_until(composed.healthy, 60)
    assert "mine" in cli(composed.engine, "exec", "kiisrv", "kiisrvctl", "versions", "list").stdout


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
    composed.compose("build", "--build-arg", f"BASE={BASE}-run", "--build-arg",
                     f"BUILD_BASE={BASE}-build", "kiisrv", KIISRV_TAG="built")
    composed.compose("up", "-d", "--no-build", KIISRV_TAG="built")
    wait_until(composed.healthy, 60)
    assert composed.firmware()
