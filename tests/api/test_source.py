# SPDX-License-Identifier: MIT
"""Sources out of git by ssh and by file, where the server's own rules say so; http is in
test_image_builds.py. The container of images/fetch fetches them from this machine."""

import os
import shutil
import subprocess

import pytest

from client import free_port
from stack import TMP, Process, Stack, wait_until
from test_image_builds import BUILD, BASE, build, image, log

NAME = "ctx-source:1"


class Server:
    """A repository with a link and a submodule, and an sshd on loopback for it."""

    def __init__(self, folder):
        self.dir = folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        for name in ("lib", "app"):
            self.git("init", "-q", "-b", "main", name)
        self.commit("lib", {"in-lib": "x\n"})
        self.commit("app", {"Dockerfile": f"FROM {BASE}\nCOPY . /app/\n", "a": "x\n"})
        os.symlink("a", folder / "app/link")
        self.git("-C", "app", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add",
                 "--", folder / "lib", "lib")
        self.git("-C", "app", "config", "-f", ".gitmodules", "submodule.lib.url", "../lib")
        self.commit("app", {"Dockerfile": f"FROM {BASE}\nCOPY link lib/in-lib /app/\n"})
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key],
                           check=True)
        self.port = free_port()
        os.makedirs("/run/sshd", exist_ok=True)
        self.sshd = Process("sshd", [
            "/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-p", str(self.port), "-h",
            folder / "host", "-o", "ListenAddress=127.0.0.1", "-o", "PidFile=none", "-o",
            f"AuthorizedKeysFile={folder}/user.pub", "-o", "StrictModes=no", "-o", "UsePAM=no",
            "-o", "PermitRootLogin=yes", "-o", "PasswordAuthentication=no"], folder / "log")
        wait_until(lambda: "Server listening" in self.sshd.text())
        self.url = f"ssh://root@127.0.0.1:{self.port}{folder}/app"

    def git(self, *args):
        return subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *args], cwd=self.dir,
            check=True, capture_output=True, text=True).stdout

    def commit(self, name, files):
        for file, text in files.items():
            (self.dir / name / file).write_text(text)
        self.git("-C", name, "add", "-A")
        self.git("-C", name, "commit", "-q", "-m", "x")

    def known_hosts(self, key):
        text = (self.dir / f"{key}.pub").read_text()
        return f"[127.0.0.1]:{self.port} {text}"

    def stop(self):
        self.sshd.stop()
        shutil.rmtree(self.dir)


@pytest.fixture(scope="module")
def ssh(engine):
    """(stack, operator, server)"""
    server = Server(TMP / "ssh")
    stack = Stack(engine)
    try:
        secrets = stack.etc / "secrets"
        secrets.mkdir()
        shutil.copy(server.dir / "user", secrets / "deploy")
        (secrets / "deploy").chmod(0o640)
        shutil.chown(secrets / "deploy", "root", "kiisrv-engine")
        hosts = stack.etc / "known_hosts"
        hosts.write_text(server.known_hosts("host"))
        stack.write_conf({"paths": {"secrets": str(secrets)},
                          "build": {"allow_private": True, "allow_file": True,
                                    "known_hosts": str(hosts), "source_network": "host",
                                    "source_timeout": 20}})
        stack.start()
        yield stack, stack.operator(), server
    finally:
        stack.stop()
        server.stop()


def of(url, **more):
    return {"git_repo": url, "buildpack_type": "dockerfile", "image_tag": NAME, **more}


def built(stack, anna, request):
    told = build(anna, request)
    assert told["success"], (told, log(anna, told["job"]))
    assert image(stack, NAME)
    assert stack.engine.ask("DELETE", f"/images/{NAME}", force=1).status == 200
    assert not stack.containers()


def refused(stack, anna, request, *words):
    told = build(anna, request)
    assert (told["state"], told["outcome"]) == ("failed", "bad_source"), told
    assert any(word in told["error"] for word in words), told
    assert not stack.containers()


def test_over_ssh_with_a_key_and_a_submodule(ssh):
    stack, anna, server = ssh
    built(stack, anna, of(server.url, git_auth="deploy", submodules=True))
    everything = b"".join(p.read_bytes() for p in [*stack.logs.iterdir(),
                          *(stack.state / "operator-logs").iterdir(),
                          *(stack.state / "engine").glob("operator.sqlite*")])
    secret = (server.dir / "user").read_bytes().splitlines()[2]
    assert secret not in everything


def test_a_host_or_a_key_that_is_not_known_is_refused(ssh):
    stack, anna, server = ssh
    refused(stack, anna, of(server.url), "Permission denied")
    hosts = stack.etc / "known_hosts"
    hosts.write_text(server.known_hosts("user"))
    try:
        refused(stack, anna, of(server.url, git_auth="deploy"), "ost key")
    finally:
        hosts.write_text(server.known_hosts("host"))


def test_out_of_a_file_of_the_machine(ssh):
    stack, anna, server = ssh
    built(stack, anna, of(f"file://{server.dir}/app", submodules=True))
    refused(stack, anna, of(f"file://{server.dir}/none"), "no such repository",
            "cannot be had", "there is no")
    refused(stack, anna, of(f"file://{server.dir}/app", git_branch="none"),
            "no branch, tag or commit none")


def test_files_are_refused_by_default(stack):
    reply = stack.operator().post(BUILD, of("file:///etc"))
    assert reply.status == 400 and reply.json["field"] == "git_repo", reply
