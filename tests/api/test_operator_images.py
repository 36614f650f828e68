# SPDX-License-Identifier: MIT
"""The engine's images over REST: list, show, tag, delete, prune; all made here and removed again."""

import io
import json
import signal
import socket
import sqlite3
import tarfile
import urllib.parse

import pytest

from client import UnixConnection, ask, check_error
from stack import wait_until

MARK = "kiisrv-test-images"


class Images:
    """Images of this module: a file of a few bytes each."""

    def __init__(self, stack, engine):
        self.engine = engine
        self.instance = stack.instance()
        self.ids = []
        self.containers = []

    def make(self, name, content, labels=()):
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as t:
            entry = tarfile.TarInfo("file")
            entry.size = len(content)
            t.addfile(entry, io.BytesIO(content))
        query = [("fromSrc", "-"), ("changes", f"LABEL {MARK}=1")]
        query += [("changes", f"LABEL {label}") for label in labels]
        reply = ask(UnixConnection(self.engine.socket, 60), "POST",
                    "/images/create?" + urllib.parse.urlencode(query), tar.getvalue(),
                    {"Content-Type": "application/x-tar"})
        assert reply.status == 200, reply
        told = [json.loads(line) for line in reply.body.splitlines()][-1]["status"]
        self.ids.append(told if told.startswith("sha256:") else f"sha256:{told}")
        if name:   # Podman's import knows no tag
            repo, tag = name.rsplit(":", 1)
            reply = self.engine.ask("POST", f"/images/{self.ids[-1]}/tag", repo=repo, tag=tag)
            assert reply.status == 201, reply
        return self.ids[-1]

    def use(self, image):
        reply = ask(UnixConnection(self.engine.socket, 60), "POST", "/containers/create",
                    json.dumps({"Image": image, "Cmd": ["/x"], "Labels": {MARK: "1"}}),
                    {"Content-Type": "application/json"})
        assert reply.status == 201, reply
        self.containers.append(reply.json["Id"])
        return self.containers[-1]

    def clean(self):
        for container in self.containers:
            self.engine.remove(container)
        for image in self.ids:
            self.engine.ask("DELETE", f"/images/{image}", force=1)
        left = self.engine.ask("GET", "/images/json", filters={"label": [f"{MARK}=1"]})
        assert json.loads(left.body) == [], left


@pytest.fixture
def images(stack, engine):
    made = Images(stack, engine)
    yield made
    made.clean()


@pytest.fixture(scope="module")
def anna(stack):
    return stack.operator("images:read,images:write")


def listed(anna, **query):
    reply = anna.get("/images?" + urllib.parse.urlencode(query))
    assert reply.status == 200, reply
    return reply.json["images"]


def test_an_image_is_listed_and_shown(anna, images):
    one = images.make(f"{MARK}/a:1.2", b"one", ["note=hello"])
    two = images.make(f"{MARK}/a:latest", b"two")
    got = {i["id"]: i for i in listed(anna, label=MARK)}
    assert set(got) == {one, two}
    assert got[one]["tags"] == [f"{MARK}/a:1.2"] and got[one]["labels"]["note"] == "hello"
    assert got[one]["created"].startswith("20") and got[one]["size"] > 0
    for name, want in ((f"{MARK}/a", {one, two}), (f"{MARK}/a:1.2", {one}), (f"{MARK}/b", set()),
                       (f"docker.io/{MARK}/a:1.2", {one}), (f"{MARK}/a:1", set())):
        assert {i["id"] for i in listed(anna, name=name)} == want, name
    for ref in (f"{MARK}/a:1.2", f"docker.io/{MARK}/a:1.2", one):
        shown = anna.get(f"/images/{ref}")
        assert shown.status == 200, shown
        shown = shown.json
        assert shown["id"] == one and shown["layers"] == 1 and shown["architecture"] == "amd64"
        assert shown["environment"] == [] or isinstance(shown["environment"][0], str)
        assert shown["labels"]["note"] == "hello" and shown["command"] == []


def test_a_name_is_given_and_taken_away(anna, images):
    one = images.make(f"{MARK}/t:1", b"t")
    reply = anna.post("/images/tag", {"image": f"{MARK}/t:1", "tag": f"{MARK}/u"})
    assert reply.status == 201, reply
    assert sorted(listed(anna, label=MARK)[0]["tags"]) == [f"{MARK}/t:1", f"{MARK}/u:latest"]
    # An ID with two names is not removed by chance.
    check_error(anna.delete(f"/images/{one}"), 409, "conflict")
    done = anna.delete(f"/images/{MARK}/u:latest")
    assert done.status == 200 and done.json == {"untagged": [f"{MARK}/u:latest"], "deleted": []}
    done = anna.delete(f"/images/{one}")
    assert done.status == 200 and one in done.json["deleted"], done
    check_error(anna.delete(f"/images/{one}"), 404, "not_found")
    row = anna.stack.operator("audit:read").get(f"/audit?who={anna.name}&limit=1").json["entries"][0]
    assert row["status"] == 404 and row["target"] == f"/api/v1/images/{one}", row


def test_an_image_in_use_stays(anna, images):
    images.make(f"{MARK}/busy:1", b"busy")
    images.use(f"{MARK}/busy:1")
    reply = anna.delete(f"/images/{MARK}/busy:1")
    told = check_error(reply, 409, "conflict")
    assert "engine says" not in told["error"], told
    assert len(listed(anna, label=MARK)) == 1


def test_prune_takes_only_what_is_ours(anna, images):
    label = f"kiisrv.instance={images.instance}"
    nameless = images.make(None, b"nameless", [label])
    named = images.make(f"{MARK}/named:1", b"named", [label])
    busy = images.make(f"{MARK}/busy:1", b"busy", [label])
    images.use(f"{MARK}/busy:1")
    foreign = images.make(None, b"foreign", ["kiisrv.instance=0000000000000000"])
    bare = images.make(f"{MARK}/bare:1", b"bare")

    def left():
        return {i["id"] for i in listed(anna, label=MARK)}
    done = anna.post("/images/prune")
    assert done.status == 200 and nameless in done.json["deleted"], done
    assert left() == {named, busy, foreign, bare}
    done = anna.post("/images/prune?all=true").json
    assert named in done["deleted"] and done["kept"] == 1, done
    assert left() == {busy, foreign, bare}
    assert anna.post("/images/prune?all=1").json == {"untagged": [], "deleted": [], "kept": 1}


@pytest.mark.parametrize("ref", ["A", "a:b:c", "a@sha256:00", "-a", "a/-b", "a b", "a;b", "$(a)",
                                 "a\n", "a:.b", "sha256:xyz/", "a//b", "..%2f", "a" * 300])
def test_a_name_that_is_none_is_refused(anna, ref):
    quoted = urllib.parse.quote(ref, safe="/:@%")
    for reply in (anna.get(f"/images/{quoted}"), anna.delete(f"/images/{quoted}")):
        assert reply.status in (400, 404), reply
        check_error(reply, reply.status)
    for path in ("tag", "pull", "push"):
        check_error(anna.post(f"/images/{path}", {"image": ref, "tag": "x"} if path == "tag"
                              else {"image": ref}), 400, "bad_request", "image")
    check_error(anna.post("/images/tag", {"image": "x", "tag": ref}), 400, "bad_request", "tag")


@pytest.mark.parametrize("body,field", [
    ({}, "image"), ([], "body"), ({"image": 5}, "image"), ({"image": None}, "image"),
    ({"image": "a", "more": 1}, "more"), ({"image": "a", "registry_auth": 5}, "registry_auth"),
    ({"image": "a\0b"}, "image")])
def test_bad_bodies_of_a_pull(anna, body, field):
    for kind in ("pull", "push"):
        check_error(anna.post(f"/images/{kind}", body), 400, "bad_request", field)


def test_bad_queries(anna):
    check_error(anna.get("/images?dangling=maybe"), 400, "bad_request", "dangling")
    check_error(anna.get("/images?name=A"), 400, "bad_request", "name")
    check_error(anna.delete("/images/a?force=2"), 400, "bad_request", "force")
    check_error(anna.post("/images/prune?all=x"), 400, "bad_request", "all")
    check_error(anna.post("/images/tag", {"image": "a", "tag": "b@sha256:" + "0" * 64}), 400,
                "bad_request", "tag")


def test_what_is_not_there(anna):
    check_error(anna.get(f"/images/{MARK}/none"), 404, "not_found")
    check_error(anna.delete(f"/images/{MARK}/none"), 404, "not_found")
    check_error(anna.post("/images/tag", {"image": f"{MARK}/none", "tag": "b"}), 404, "not_found")
    check_error(anna.get("/images/sha256:" + "0" * 64), 404, "not_found")


def test_reading_is_not_writing(stack):
    reader = stack.operator("images:read")
    assert reader.get("/images").status == 200
    for reply in (reader.delete("/images/x"), reader.post("/images/prune"),
                  reader.post("/images/tag", {"image": "a", "tag": "b"}),
                  reader.post("/images/pull", {"image": "a"}),
                  reader.post("/images/push", {"image": "a"})):
        check_error(reply, 403, "forbidden")


def ended(stack, job):
    """The row of an operator's job, when it has ended."""
    def look():
        with sqlite3.connect(f"file:{stack.state}/engine/operator.sqlite?mode=ro", uri=True) as db:
            db.row_factory = sqlite3.Row
            row = db.execute("SELECT * FROM Jobs WHERE id = ?", (job,)).fetchone()
        db.close()
        return row if row["state"] not in ("queued", "running") else None
    return wait_until(look, 60)


@pytest.mark.parametrize("kind", ["pull", "push"])
def test_a_pull_or_push_is_a_job(stack, anna, images, kind):
    name = "127.0.0.1:9/kiisrv-test-images/none:1"   # nobody listens there
    if kind == "push":
        images.make(name, b"push")
    reply = anna.post(f"/images/{kind}", {"image": name})
    assert reply.status == 202, reply
    told = reply.json
    assert told["kind"] == kind and told["url"] == f"/api/v1/operator/jobs/{told['job']}", told
    assert told["log"] == told["url"] + "/log"
    assert reply.headers["Location"] == told["url"]
    assert reply.headers["X-Kiisrv-Job"] == told["job"]
    row = ended(stack, told["job"])
    assert row["kind"] == kind and row["state"] == "failed" and row["client"] == anna.name, dict(row)
    audit = stack.operator("audit:read").get(f"/audit?who={anna.name}&limit=1").json["entries"][0]
    assert audit["target"] == f"/api/v1/images/{kind} {name}" and audit["status"] == 202, audit


def test_a_secret_that_is_none_is_refused_by_the_worker(anna):
    reply = anna.post("/images/pull", {"image": "127.0.0.1:9/a", "registry_auth": "no-such"})
    check_error(reply, 400, "bad_request", "registry_auth")


def test_a_client_that_leaves_is_written_down(new_stack):
    s = new_stack()
    anna = s.operator()
    s.worker.kill(signal.SIGSTOP)
    body = json.dumps({"image": "127.0.0.1:9/a"}).encode()
    with socket.create_connection(("127.0.0.1", s.port)) as c:
        c.sendall(b"POST /api/v1/images/pull HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
                  b"\r\nAuthorization: Bearer " + anna.secret.encode() +
                  b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        first = wait_until(lambda: anna.get("/audit").json["entries"])
        assert first[0]["status"] is None and first[0]["duration_ms"] is None, first
    wait_until(lambda: anna.get("/audit").json["entries"][0]["status"] == 499)
    s.worker.kill(signal.SIGCONT)
    # Nobody is left to hear of it, and the next one is served.
    assert anna.post("/images/pull", {"image": "127.0.0.1:9/a"}).status == 202
    s.kill_worker()
    check_error(anna.post("/images/pull", {"image": "127.0.0.1:9/b"}), 503, "worker_down")
    s.start_worker()
