# SPDX-License-Identifier: MIT
"""What /versions tells, out of the tags of a repository: images/fetch in the worker's container. The
engines of these tests have no network, so the repository lies in the mirror's own volume."""

import io
import json
import os
import subprocess
import tarfile

import pytest

from stack import TOP, wait_until
from test_ctl import command, ctl, ctl_json, environment

GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
FETCH = "kiisrv-fetch:latest"


class Upstream:
    """A repository on this machine, and its copy where the container finds it."""

    def __init__(self, stack, folder):
        self.stack = stack
        self.folder = folder / "up.git"
        subprocess.run(["git", "init", "-q", "--bare", self.folder], check=True)
        self.tree = self.git("mktree", input="").strip()
        self.commits = []

    def git(self, *args, date="2020-01-02T03:04:05Z", **more):
        env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_COMMITTER_DATE": date,
               "GIT_AUTHOR_DATE": date}
        return subprocess.run([*GIT, "-C", self.folder, *args], check=True, env=env,
                              capture_output=True, text=True, **more).stdout

    def commit(self, date):
        parent = ["-p", self.commits[-1]] if self.commits else []
        self.commits.append(self.git("commit-tree", self.tree, *parent, "-m", date,
                                     date=date).strip())

    def tag(self, name):
        self.git("tag", "-f", name, self.commits[-1])

    def put(self):
        """Into the volume, through a container that is never started."""
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            def own(entry):
                entry.uid = entry.gid = 1000
                return entry
            archive.add(self.folder, "up.git", filter=own)
        engine = self.stack.engine
        made = post(engine, "/containers/create", {
            "Image": FETCH, "HostConfig": {"Mounts": [{
                "Type": "volume", "Source": self.stack.mirror(), "Target": "/mirror"}]}})
        try:
            reply = post(engine, f"/containers/{made['Id']}/archive?path=/mirror", tar.getvalue())
            assert reply is None
        finally:
            engine.remove(made["Id"])


def post(engine, path, body):
    from client import UnixConnection, ask
    raw = isinstance(body, bytes)
    reply = ask(UnixConnection(engine.socket, 60), "PUT" if raw else "POST", path,
                body if raw else json.dumps(body).encode(),
                {"Content-Type": "application/x-tar" if raw else "application/json"})
    assert reply.status in (200, 201, 204), reply
    return json.loads(reply.body) if reply.body else None


@pytest.fixture
def own(new_stack):
    """kiisrv whose repository is one in the volume; nothing is fetched before it is asked for."""
    return new_stack(conf={"firmware": {"git_url": "file:///mirror/up.git"}})


def test_versions_are_the_repositorys_tags(own, tmp_path):
    # There is none yet: that is said, and nothing is known. The volume is there from now on.
    _, err = ctl(own, "versions", "refresh", status=1)
    assert "cannot be had: fatal:" in err, err
    assert own.get("/versions").json == {}
    assert own.mirror() in own.engine.volumes()

    upstream = Upstream(own, tmp_path)
    for day in range(1, 4):
        upstream.commit(f"2020-01-0{day}T12:00:00Z")
    upstream.tag("v0.5.6")
    for day in range(1, 301):
        upstream.commit("2020-02-01T12:00:00Z")
    upstream.tag("v0.5.7")
    upstream.tag("a/b")
    upstream.put()
    assert ctl(own, "versions", "refresh")[0] == "2 tags\n"
    wanted = {"commit": 3, "date": "2020-01-03", "hash": upstream.commits[2], "bcd": "0.3",
              "notes": ""}
    # v0.5.7 has no image on every engine of the tests.
    assert wait_until(lambda: own.get("/versions").json, 10)["v0.5.6"] == wanted
    rows = own.sql("SELECT commit_count, bcd FROM Releases WHERE git_tag = 'v0.5.7'")
    assert [tuple(row) for row in rows] == [(303, "1.47")]
    assert not own.containers()

    # The next look sees what has moved, from the mirror that is there, whatever worker asks.
    own.worker.stop()
    own.start_worker()
    wait_until(lambda: own.get("/healthz").json["checks"]["engine"], 30)
    assert own.mirror() in own.engine.volumes()
    upstream.tag("v0.5.6")
    upstream.put()
    assert ctl_json(own, "versions", "refresh")["tags"] == 2
    assert wait_until(lambda: own.get("/versions").json["v0.5.6"]["commit"] == 303, 10)
    text = own.worker.text()
    assert "event=git tags=2" in text
    assert own.get("/healthz").status == 200


def test_only_the_administrator_may_ask(own):
    _, err = ctl(own, "versions", "refresh", status=1, user="kiisrv")
    assert "only root" in err or "Permission denied" in err, err
    assert own.mirror() not in own.engine.volumes()


def hanging(engine, folder):
    """An image that prints nothing and never ends, as kiihang-fetch."""
    tar = folder / "hang.tar"
    with tarfile.open(tar, "w") as archive:
        archive.add("/bin/busybox", "bin/busybox")
        link = tarfile.TarInfo("bin/sh")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        archive.addfile(link)
    subprocess.run(["/usr/bin/python3", TOP / "tests/images/engine.py", engine.url, tar,
                    "kiihang-fetch", "1", 'ENTRYPOINT ["/bin/sh", "-c", "busybox sleep 900"]',
                    "ENV PATH=/bin", "USER 1000:1000"], check=True, stdout=subprocess.DEVNULL)


def test_a_look_does_not_outlive_its_worker(new_stack, engine, tmp_path):
    hanging(engine, tmp_path)
    mine = new_stack(conf={"firmware": {"image_prefix": "kiihang-", "git_refresh": "1 h",
                                       "git_url": "file:///mirror/x.git"}})
    wait_until(lambda: any(c["State"] == "running" for c in mine.containers()), 30)
    assert mine.get("/layouts/").status == 200
    mine.kill_worker()
    assert mine.containers()
    # The next worker removes it, and begins anew: never two at a time.
    before = {c["Id"] for c in mine.containers()}
    mine.start_worker()
    wait_until(lambda: any(c["Id"] not in before for c in mine.containers()), 60)
    assert not before & {c["Id"] for c in mine.containers()}
    # A worker that is told to end does not wait for it, and leaves nothing.
    asked = subprocess.Popen(command(mine, "versions", "refresh"), env=environment(mine),
                             stderr=subprocess.PIPE, text=True)
    with pytest.raises(subprocess.TimeoutExpired):
        asked.wait(1)
    assert mine.worker.stop(20) == 0
    assert not mine.containers()
    assert asked.wait(20) == 1, asked.stderr.read()
    asked.stderr.close()
    engine.ask("DELETE", "/images/kiihang-fetch:latest", force=1)


def test_without_the_image_nothing_is_done(new_stack):
    mine = new_stack(conf={"firmware": {"image_prefix": "kiinone-", "git_refresh": "1 s"}})
    _, err = ctl(mine, "versions", "refresh", status=1)
    assert "kiinone-fetch:latest" in err, err
    assert not mine.containers() and mine.mirror() not in mine.engine.volumes()
    assert "event=git" not in mine.worker.text()
