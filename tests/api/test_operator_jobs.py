# SPDX-License-Identifier: MIT
"""The operator's jobs: pulls and pushes against Debian's own registry on loopback, and what is done
with jobs over HTTP."""

import io
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tarfile
import threading

import pytest

from client import check_error, free_port
from stack import TMP, Engine, Process, Stack, wait_until
from test_operator_images import Images

JOBS = "/operator/jobs"
TINY = "kiisrv-test-tiny:latest"
MARK = f"kiisrv-test-j{os.getpid()}"
# htpasswd's line for u and the password.
USER = "u:$2b$04$dl1Xd7Ihaw3sy8bGPiP5ZuNY5WPAuTH7rfoPpeoNs736X5bVSms82"
PASSWORD = "s3cret"


class Registry:
    """docker-registry with a folder of its own; with `users`, for those only."""

    def __init__(self, name, users=False):
        self.dir = TMP / f"registry-{name}"
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(parents=True)
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        (self.dir / "users").write_text(USER + "\n")
        (self.dir / "config.yml").write_text(json.dumps({
            "version": 0.1, "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(self.dir / "data")}},
            "http": {"addr": self.host},
            **({"auth": {"htpasswd": {"realm": "x", "path": str(self.dir / "users")}}}
               if users else {})}))
        self.process = None

    def start(self):
        self.process = Process("registry", ["docker-registry", "serve", self.dir / "config.yml"],
                               self.dir / "log")
        wait_until(self.answers, 20)
        return self

    def answers(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.stop()
        shutil.rmtree(self.dir)


class Podman(Engine):
    """A second service over the first one's storage, to which some registries need no TLS."""

    def __init__(self, first, hosts):
        self.dir = TMP / "podman-insecure"
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(parents=True)
        super().__init__("podman", f"unix://{self.dir}/podman.sock")
        (self.dir / "registries.conf").write_text("".join(
            f'[[registry]]\nlocation = "{host}"\ninsecure = true\n' for host in hosts))
        top = pathlib.Path(first.socket).parent
        self.process = Process("podman", [
            "podman", "--root", top / "data", "--runroot", top / "run", "--tmpdir", top / "tmp",
            "--network-config-dir", top / "net", "system", "service", "--time=0", self.url],
            self.dir / "log", {"CONTAINERS_CONF": str(top / "containers.conf"),
                               "CONTAINERS_REGISTRIES_CONF": str(self.dir / "registries.conf")})
        wait_until(lambda: os.path.exists(self.socket) and
                   self.ask("GET", "/_ping", 5).status == 200, 30)
        subprocess.run(["chgrp", "docker", self.socket], check=True)
        os.chmod(self.socket, 0o660)

    def stop(self):
        self.process.stop()
        shutil.rmtree(self.dir)


@pytest.fixture(scope="module")
def registries():
    both = Registry("open").start(), Registry("closed", users=True).start()
    yield both
    for each in both:
        each.stop()


@pytest.fixture(scope="module")
def world(engine, registries):
    """A stack whose engine reaches the registries."""
    second = None
    if engine.name == "podman":
        second = Podman(engine, [r.host for r in registries] + ["127.0.0.1:9"])
    made = Stack(second or engine)
    secrets = made.etc / "secrets"
    secrets.mkdir()
    made.write_conf({"paths": {"secrets": str(secrets)}, "queue": {"operator_slots": 1}})
    made.start()
    yield made
    left = made.engine.ask("GET", "/containers/json", all=1, filters={"label": [f"{MARK}=1"]})
    for container in json.loads(left.body):
        made.engine.remove(container["Id"])
    for tag in tags(made):
        made.engine.ask("DELETE", f"/images/{tag}")
    made.stop()
    if second:
        second.stop()


def tags(world):
    images = json.loads(world.engine.ask("GET", "/images/json").body)
    return [t for image in images for t in image["RepoTags"] or [] if t.startswith("127.0.0.1:")]


@pytest.fixture(scope="module")
def anna(world):
    return world.operator()


def put_secret(world, name, registry, **more):
    world.add_secret(name, json.dumps({"username": "u", "password": PASSWORD,
                                       "serveraddress": registry.host, **more}))


def tag(world, registry, name):
    reply = world.engine.ask("POST", f"/images/{TINY}/tag", repo=f"{registry.host}/t/{name}",
                             tag="1")
    assert reply.status == 201, reply
    return f"{registry.host}/t/{name}:1"


def submit(world, kind, image, **more):
    """As kiisrv-engine over worker.sock; what cgi/images does."""
    code = ("import json,socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
            "s.sendall(sys.argv[2].encode()+b'\\n')\nprint(s.makefile().readline())")
    message = {"op": "submit", "tag": 1, "kind": kind, "client": "anna",
               "request": {"image": image, **more}}
    done = subprocess.run(["/usr/bin/python3", "-c", code, world.run / "worker/worker.sock",
                           json.dumps(message)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def ended(anna, job, seconds=60):
    def there():
        told = anna.get(f"{JOBS}/{job}").json
        return told if told["finished"] else None
    return wait_until(there, seconds)


def done(world, anna, kind, image, **more):
    told = submit(world, kind, image, **more)
    assert told["ok"], told
    return ended(anna, told["job"])


def log(anna, job):
    reply = anna.get(f"{JOBS}/{job}/log")
    assert reply.status == 200, reply
    return reply.body.decode()


@pytest.fixture(scope="module")
def pushed(world, anna, registries):
    """An image that is in the open registry only."""
    name = tag(world, registries[0], "base")
    job = done(world, anna, "push", name)
    assert (job["state"], job["outcome"]) == ("succeeded", "pushed"), (job, log(anna, job["id"]))
    assert world.engine.ask("DELETE", f"/images/{name}").status == 200
    return name


def test_an_image_goes_and_comes(world, anna, pushed):
    job = done(world, anna, "pull", pushed)
    assert (job["state"], job["outcome"], job["subject"]) == ("succeeded", "pulled", pushed), job
    assert job["client"] == "anna" and job["attempts"] == 1 and not job["error"], job
    image = json.loads(world.engine.ask("GET", f"/images/{pushed}/json").body)
    assert job["image"].removeprefix("sha256:") == image["Id"].removeprefix("sha256:"), job
    assert log(anna, job["id"]).startswith(f"pull {pushed}\n"), log(anna, job["id"])
    world.engine.ask("DELETE", f"/images/{pushed}")


def test_what_is_not_there_is_told_apart(world, anna, pushed, registries):
    gone = "127.0.0.1:9/t/x:1"
    for kind, image, outcome in (
            ("pull", pushed + "x", "not_found"),
            ("pull", f"{registries[0].host}/t/none:1", "not_found"),
            ("push", f"{registries[0].host}/t/none:1", "not_found"),
            ("pull", gone, "registry_down")):
        job = done(world, anna, kind, image)
        assert (job["state"], job["outcome"]) == ("failed", outcome), (job, log(anna, job["id"]))
        assert "dial tcp" not in job["error"], job
    assert "refused" in log(anna, job["id"])


def test_credentials_come_from_a_secret_and_stay_there(world, anna, registries):
    closed = registries[1]
    name = tag(world, closed, "private")
    put_secret(world, "good", closed)
    put_secret(world, "bad", closed, password="wr0ng-word")
    put_secret(world, "other", registries[0])
    # Docker tries a push that is denied for some seconds, a pull only once.
    for kind, more, outcome in (("push", {"registry_auth": "good"}, "pushed"),
                                ("pull", {}, "denied"), ("pull", {"registry_auth": "bad"}, "denied"),
                                ("pull", {"registry_auth": "good"}, "pulled")):
        job = done(world, anna, kind, name, **more)
        assert job["outcome"] == outcome, (job, log(anna, job["id"]))
    told = submit(world, "pull", name, registry_auth="other")
    assert (told["status"], told["field"]) == (400, "registry_auth"), told
    config = world.etc / "secrets/config"
    config.write_text(json.dumps({"auths": {closed.host: {"auth": "dTpzM2NyZXQ="}}}))
    config.chmod(0o600)
    shutil.chown(config, "kiisrv-engine", "kiisrv-engine")
    assert done(world, anna, "pull", name, registry_auth="config")["outcome"] == "pulled"
    config.chmod(0o644)
    told = submit(world, "pull", name, registry_auth="config")
    assert (told["status"], told["field"]) == (400, "registry_auth"), told
    everything = b"".join(p.read_bytes() for p in [*world.logs.iterdir(),
                          *(world.state / "operator-logs").iterdir(),
                          *(world.state / "engine").glob("operator.sqlite*")])
    assert b"wr0ng-word" not in everything and PASSWORD.encode() not in everything


def test_requests_for_the_same_share_a_job(world, anna, pushed):
    port = free_port()
    with socket.socket() as s:
        s.bind(("127.0.0.1", port))
        s.listen(5)
        # Nobody answers: the pulls go on until they are told to end.
        first = submit(world, "pull", f"127.0.0.1:{port}/t/x")
        same = [submit(world, "pull", f"127.0.0.1:{port}/t/x:latest") for _ in range(3)]
        other = submit(world, "pull", f"127.0.0.1:{port}/t/y")
        waiting = submit(world, "pull", f"127.0.0.1:{port}/t/z")
        assert {t["job"] for t in same} == {first["job"]}
        wait_until(lambda: [anna.get(f"{JOBS}/{j['job']}").json["state"]
                            for j in (first, other, waiting)] == ["running", "running", "queued"])
        # A push does not wait for them.
        assert done(world, anna, "push", "none:1")["outcome"] == "not_found"
        listed = anna.get(f"{JOBS}?state=running&kind=pull").json["jobs"]
        assert [j["id"] for j in listed] == [other["job"], first["job"]]
        reply = anna.post(f"{JOBS}/{waiting['job']}/cancel")
        assert reply.status == 200 and reply.json["state"] == "cancelled", reply
        for each in first, other:
            reply = anna.post(f"{JOBS}/{each['job']}/cancel")
            assert reply.status == 202 and reply.json["cancel"], reply
            assert ended(anna, each["job"])["state"] == "cancelled"
    check_error(anna.post(f"{JOBS}/{first['job']}/cancel"), 409, "conflict")


def test_a_pull_outlives_the_worker(world, anna, pushed, registries):
    port = free_port()
    with socket.socket() as s:
        s.bind(("127.0.0.1", port))
        s.listen(5)
        held = submit(world, "pull", f"127.0.0.1:{port}/t/x")
        wait_until(lambda: anna.get(f"{JOBS}/{held['job']}").json["state"] == "running")
        wait_until(lambda: anna.get(f"{JOBS}/{held['job']}/log").status == 200)
        world.kill_worker()
        world.start_worker()
        again = wait_until(lambda: (t := anna.get(f"{JOBS}/{held['job']}").json)["attempts"] == 2
                           and t)
        assert again["state"] == "running", again
        wait_until(lambda: anna.get(f"{JOBS}/{held['job']}/log?attempt=1").status == 200)
        assert anna.post(f"{JOBS}/{held['job']}/cancel").status == 202
        assert ended(anna, held["job"])["state"] == "cancelled"


def test_a_job_that_has_ended_is_done_again(world, anna, pushed):
    job = done(world, anna, "pull", pushed)
    reply = anna.post(f"{JOBS}/{job['id']}/retry")
    assert reply.status in (200, 202), reply
    assert reply.headers["Location"] == f"/api/v1{JOBS}/{reply.json['id']}"
    again = ended(anna, reply.json["id"])
    assert again["id"] != job["id"] and again["outcome"] == "pulled", again
    assert again["client"] == anna.name and again["subject"] == job["subject"]
    listed = json.loads(world.ctl("--json", "jobs", "list"))
    assert [j["id"] for j in listed[:2]] == [again["id"], job["id"]], listed
    shown = json.loads(world.ctl("--json", "jobs", "show", job["id"]))
    assert shown["kind"] == "pull" and shown["request"]["image"] == pushed, shown
    assert pushed in world.ctl("jobs", "log", job["id"])
    world.ctl("jobs", "retry", job["id"])


def test_who_asks_wrongly_is_told_where(world, anna):
    for path in ("", "/x", "/" + "0" * 32, "/" + "0" * 32 + "/log"):
        reply = anna.get(JOBS + path) if path else anna.get(JOBS + "/")
        check_error(reply, 404, "not_found")
    for path in (f"/{'0' * 32}/cancel", f"/{'0' * 32}/retry", "/..%2f/cancel"):
        check_error(anna.post(JOBS + path), 404, "not_found")
    for query, field in (("state=x", "state"), ("limit=0", "limit"), ("limit=501", "limit")):
        told = check_error(anna.get(f"{JOBS}?{query}"), 400, "bad_request")
        assert told["field"] == field
    assert anna.get(f"{JOBS}?kind=none").json == {"jobs": []}
    check_error(anna.post(JOBS), 405, "method_not_allowed")


def make(anna, image, **more):
    """A container of the stand-in's image under this name."""
    return anna.post("/containers", {"image": image, "network_mode": "none", "command": ["true"],
                                     "entrypoint": ["/bin/busybox"],
                                     "labels": {MARK: "1"}, **more})


def test_containers_wait_for_one_pull(world, anna):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(5)
        image = f"127.0.0.1:{s.getsockname()[1]}/t/shared:1"   # nobody answers there
        replies = []
        threads = [threading.Thread(target=lambda: replies.append(make(anna, image)))
                   for _ in range(5)]
        for t in threads:
            t.start()

        def jobs():
            return [j for j in anna.get(f"{JOBS}?kind=pull&limit=20").json["jobs"]
                    if j["subject"] == image]
        wait_until(lambda: jobs() and jobs()[0]["state"] == "running")
        # All of them are held by now, or come to a job that runs.
        assert anna.get("/containers").status == 200 and not replies
        assert anna.post(f"{JOBS}/{jobs()[0]['id']}/cancel").status == 202
        for t in threads:
            t.join()
    for reply in replies:
        check_error(reply, 409, "cancelled")
        assert "Retry-After" not in reply.headers
    ids = {r.headers["X-Kiisrv-Job"] for r in replies}
    assert ids == {j["id"] for j in jobs()} and jobs()[0]["id"] in ids, (ids, jobs())


def test_a_container_s_image_is_pulled_as_it_asks(world, anna, pushed, registries):
    def pulls():
        return len([j for j in anna.get(f"{JOBS}?kind=pull&limit=100").json["jobs"]
                    if j["subject"] == pushed])
    before, made = pulls(), []
    world.engine.ask("DELETE", f"/images/{pushed}")
    check_error(make(anna, pushed, pull="never"), 404, "not_found", "image")
    for how, more in (("missing", 1), ("missing", 1), ("always", 2), ("never", 2)):
        reply = make(anna, pushed, pull=how)
        assert reply.status == 201, reply
        made.append(reply.json["id"])
        assert pulls() == before + more, how
    newest = anna.get(f"{JOBS}?kind=pull&limit=1").json["jobs"][0]
    assert newest["client"] == anna.name and newest["subject"] == pushed, newest
    for each in made:
        assert anna.delete(f"/containers/{each}").status == 204
    check_error(make(anna, pushed + "x"), 404, "not_found", "image")
    closed = f"{registries[1].host}/t/secret:1"
    check_error(make(anna, closed), 403, "pull_denied", "image")
    world.engine.ask("DELETE", f"/images/{pushed}")


def test_a_build_pulls_its_base_image_or_shares_a_pull(world, anna, pushed):
    if world.engine.name == "podman" and not os.environ.get("KIISRV_TEST_LONG"):
        pytest.skip("on Docker; on both with KIISRV_TEST_LONG")

    def build(base):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            info = tarfile.TarInfo("Dockerfile")
            text = f"FROM {base}\nENV A=1\n".encode()
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
        source = anna.post("/images/sources", out.getvalue()).json["source"]
        return anna.post("/images/build", {"source": source, "buildpack_type": "dockerfile",
                                           "image_tag": "127.0.0.1:9/t/built:1"}).json["job"]
    world.engine.ask("DELETE", f"/images/{pushed}", force=1)
    told = ended(anna, made := build(pushed))
    assert told["outcome"] == "built", (told, log(anna, made))
    assert f"base image {pushed}: pulled, job " in log(anna, made)
    port = free_port()
    with socket.socket() as s:
        s.bind(("127.0.0.1", port))
        s.listen(5)
        name = f"127.0.0.1:{port}/t/x:1"
        first = submit(world, "pull", name)["job"]
        made = build(name)
        wait_until(lambda: anna.get(f"{JOBS}/{made}").json["progress"] == f"pull {name}")
        listed = anna.get(f"{JOBS}?state=running&kind=pull").json["jobs"]
        assert [j["id"] for j in listed] == [first]
        for each in made, first:
            assert anna.post(f"{JOBS}/{each}/cancel").status == 202
            assert ended(anna, each)["state"] == "cancelled"


def test_a_pull_tells_how_far_it_is(world, anna, registries):
    """An image of which nothing is here."""
    made = Images(world, world.engine)
    name = f"{registries[0].host}/t/new:1"
    made.make(name, os.urandom(1 << 20))
    assert done(world, anna, "push", name)["outcome"] == "pushed"
    world.engine.ask("DELETE", f"/images/{made.ids[0]}", force=1)
    reply = make(anna, name)
    assert reply.status == 201, reply
    job = anna.get(f"{JOBS}?kind=pull&limit=1").json["jobs"][0]
    assert job["subject"] == name and re.match(r"([12]) of \1 layers", job["progress"]), job
    assert anna.delete(f"/containers/{reply.json['id']}").status == 204
    made.clean()


def test_scopes_and_zones_hold(world, anna, pushed):
    job = done(world, anna, "pull", pushed)["id"]
    reader, writer = world.operator("jobs:read"), world.operator("jobs:write")
    assert reader.get(f"{JOBS}/{job}").status == 200
    check_error(reader.post(f"{JOBS}/{job}/retry"), 403, "forbidden")
    check_error(writer.get(f"{JOBS}/{job}/log"), 403, "forbidden")
    check_error(world.get(f"/api/v1{JOBS}"), 401, "unauthorized")
    # Neither the public's routes nor nginx itself give anything of it away.
    check_error(world.get(f"/api/v1/jobs/{job}"), 404, "not_found")
    assert world.get(f"/logs/{job}.log").status == 404
    assert world.get(f"/kiisrv-operator-log/{job}.log").status == 404
    public = subprocess.run(
        ["setpriv", "--reuid", "kiisrv", "--regid", "kiisrv", "--clear-groups", "/usr/bin/python3",
         "-c", "import json,socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
         "for m in sys.argv[2:]:\n s.sendall(m.encode()+b'\\n')\n"
         "f=s.makefile()\nfor m in sys.argv[2:]:\n print(f.readline().strip())",
         world.run / "worker/worker.sock",
         json.dumps({"op": "submit", "kind": "pull", "request": {"image": "x"}}),
         json.dumps({"op": "attach", "job": job}), json.dumps({"op": "cancel", "job": job}),
         json.dumps({"op": "status"})], capture_output=True, text=True, check=True, cwd="/")
    answers = [json.loads(line) for line in public.stdout.splitlines()]
    assert [a.get("status") for a in answers[:3]] == [400, 404, 403], answers
    assert answers[0]["field"] == "kind"
    assert answers[3]["operator"]["ended"]["pull"]["pulled"] >= 1, answers[3]
    assert pushed not in public.stdout
