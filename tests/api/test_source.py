# SPDX-License-Identifier: MIT
"""Sources out of git by https, by ssh and by file, where the server's own rules say so; http is in
test_image_builds.py. The container of images/fetch fetches them from this machine."""

import io
import os
import shutil
import subprocess
import tarfile

import pytest

from client import UnixConnection, ask, free_port
from stack import TMP, Process, Stack, wait_until
from test_image_builds import BASE, BUILD, LONG, SHELL, Repository, build, image, log
from tls import Authority

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
        secrets = stack.add_secret("deploy", (server.dir / "user").read_text())
        hosts = stack.etc / "known_hosts"
        hosts.write_text(server.known_hosts("host"))
        stack.write_conf({"paths": {"secrets": secrets},
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


# --- https

HELPER = "kiisrv-tls-fetch:latest"


def make_helper(engine, certificate):
    """The tests' image of images/fetch knows no CA; this one knows one, in the file that
    update-ca-certificates of images/fetch/README.md would write."""
    recipe = f"FROM {SHELL}\nCOPY ca.crt /etc/ssl/certs/ca-certificates.crt\n"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in (("Dockerfile", recipe.encode()), ("ca.crt", certificate.read_bytes())):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    reply = ask(UnixConnection(engine.socket, 120), "POST",
                f"/v1.41/build?version=1&rm=1&forcerm=1&networkmode=none&t={HELPER}",
                out.getvalue(), {"Content-Type": "application/x-tar"})
    assert reply.status == 200 and "error" not in reply.text, reply.text


@pytest.fixture(scope="module")
def https(engine):
    """(stack, operator, repository, one of an unknown CA): http itself is not open to it."""
    if engine.name == "podman" and not LONG:
        pytest.skip("on Docker; on both with KIISRV_TEST_LONG")
    folder = TMP / f"https-{engine.name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    known, unknown = (Authority(folder / name) for name in ("known", "unknown"))
    make_helper(engine, known.cert)
    servers = [Repository(folder / f"by-{authority.folder.name}",
                          authority.issue("git", "DNS:localhost"))
               for authority in (known, unknown)]
    stack = Stack(engine)
    try:
        secrets = stack.add_secret("deploy", "u:s3cret-word\n")
        stack.write_conf({"paths": {"secrets": secrets},
                          "firmware": {"image_prefix": "kiisrv-tls-", "git_refresh": 0},
                          "build": {"allow_private": True, "source_network": "host",
                                    "source_timeout": 20}})
        stack.start()
        yield stack, stack.operator(), *servers
    finally:
        stack.stop()
        for server in servers:
            server.stop()
        engine.ask("DELETE", f"/images/{HELPER}", force=1)
        shutil.rmtree(folder)


def test_over_https_with_a_password_and_a_submodule(https):
    stack, anna, repository, _ = https
    url = repository.url.replace("/app/", "/secret/app/")
    built(stack, anna, of(url, git_branch="with-lib", submodules=True, git_auth="deploy"))
    refused(stack, anna, of(url), "could not read Username", "Authentication failed")


def test_a_certificate_has_to_be_of_a_known_ca_and_of_that_name(https):
    stack, anna, repository, unknown = https
    refused(stack, anna, of(unknown.url), "ertificate")
    # The same server under its address, which its certificate does not name.
    refused(stack, anna, of(repository.url.replace("localhost", "127.0.0.1")), "ertificate")
    # No encryption, no fetch; and what encrypts is not spoken to in the clear.
    reply = anna.post(BUILD, of(repository.url.replace("https:", "http:")))
    assert reply.status == 400 and reply.json["field"] == "git_repo", reply
