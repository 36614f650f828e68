# SPDX-License-Identifier: MIT
"""Images built from sources: what is asked, what the engine has then, what nothing is left of."""

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import threading
import time
import zipfile

import pytest

from client import check_error
from engines import OwnEngine
from gate import Gate
from stack import TMP, TOP, Process, Stack, wait_until

JOBS = "/operator/jobs"
BUILD = "/images/build"
BASE = "kiisrv-test-tiny:latest"     # has no shell
SHELL = "kiisrv-fetch:latest"        # has one
LANGUAGES = "kiisrv-test-languages:latest"
LONG = bool(os.environ.get("KIISRV_TEST_LONG"))


@pytest.fixture(scope="module")
def anna(stack):
    return stack.operator()


@pytest.fixture
def once(engine):
    """Of what is the same for both engines, one says enough; Podman is the slower."""
    if engine.name == "podman" and not LONG:
        pytest.skip("on Docker; on both with KIISRV_TEST_LONG")


@pytest.fixture(scope="module", autouse=True)
def tidy(stack):
    yield
    images = json.loads(stack.engine.ask("GET", "/images/json").body)
    for tag in (t for i in images for t in i["RepoTags"] or [] if "/kinds-" in f"/{t}"):
        stack.engine.ask("DELETE", f"/images/{tag}", force=1)
    assert not list((stack.state / "engine/work").iterdir())


def tar(files, mode="w:gz"):
    """{name: text, or a TarInfo's members} as an archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(text, dict):
                for member, value in text.items():
                    setattr(info, member, value)
                text = ""
            data = text.encode()
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def upload(anna, archive):
    reply = anna.post("/images/sources", archive)
    assert reply.status == 201, reply
    return reply.json["source"]


def source(anna, files):
    return upload(anna, tar(files))


def dockerfile(anna, text, files=None, **more):
    """A request for an image of this Dockerfile."""
    return {"source": source(anna, {"Dockerfile": text, **(files or {})}),
            "buildpack_type": "dockerfile", "image_tag": "kinds-a:1", **more}


def build(anna, request, status=200):
    reply = anna.post(BUILD + "?wait=1", request)
    assert reply.status == status, reply
    return reply.json


def log(anna, job):
    reply = anna.get(f"{JOBS}/{job}/log")
    assert reply.status == 200, reply
    return reply.body.decode(errors="replace")


def job(anna, id):
    return anna.get(f"{JOBS}/{id}").json


def image(stack, name):
    reply = stack.engine.ask("GET", f"/images/{name}/json")
    return json.loads(reply.body) if reply.status == 200 else None


def runs(text):
    """Does a process with this in its command line run?"""
    return any(text in line for line in subprocess.run(
        ["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
        if not line.startswith("ps "))


def test_a_dockerfile_becomes_an_image(stack, anna):
    # Podman's cache pays no attention to labels: what is built here was built by nobody else.
    told = build(anna, dockerfile(
        anna, f"FROM {BASE} AS first\nARG VERSION=none\nARG MORE=none\n"
        f"ENV V=$VERSION M=$MORE\nCOPY f /f\nENV RUN={stack.instance()}\nFROM first\nENV LAST=1\n",
        {"f": "x", "g": "y"},
        environment={"MORE": "of environment", "VERSION": "beaten"},
        dockerfile_config={"build_args": {"VERSION": "1.0.0"}, "target": "first"}))
    assert told["success"] and told["image_tag"] == "kinds-a:1", told
    made = image(stack, "kinds-a:1")
    assert made["Id"].removeprefix("sha256:") == told["image"].removeprefix("sha256:")
    assert {"V=1.0.0", "M=of environment"} <= set(made["Config"]["Env"]), made["Config"]
    assert "LAST=1" not in made["Config"]["Env"]
    assert made["Config"]["Labels"]["kiisrv.instance"] == stack.instance()
    row = job(anna, told["job"])
    assert (row["kind"], row["outcome"], row["client"]) == ("image", "built", anna.name), row
    assert "the upload had 3 files" in log(anna, told["job"])


def test_an_id_stands_for_one_request(stack, anna):
    request = dockerfile(anna, f"FROM {BASE}\nENV A=1\n", id="same-1")
    first = anna.post(BUILD, request)
    assert first.status == 202 and first.headers["Location"].endswith(first.json["job"]), first
    told = build(anna, dict(reversed(request.items())))
    assert told["success"] and told["job"] == first.json["job"], told
    again = anna.post(BUILD, request)
    assert again.status == 200 and again.json["job"] == told["job"], again
    reply = anna.post(BUILD, {**request, "image_tag": "kinds-a:2"})
    assert check_error(reply, 409, "conflict")["field"] == "id"
    # Without one, each is another.
    del request["id"]
    assert build(anna, request)["job"] != build(anna, request)["job"]
    retried = anna.post(f"{JOBS}/{told['job']}/retry").json["id"]
    assert retried != told["job"]
    wait_until(lambda: job(anna, retried)["finished"])
    assert anna.post(BUILD, {**request, "id": "same-1"}).json["job"] == retried


def test_a_step_that_fails_is_told(stack, anna):
    told = build(anna, dockerfile(
        anna, f"FROM {SHELL}\nUSER 0\nRUN echo a line; echo to the end >&2; exit 3\nRUN true\n"))
    assert not told["success"] and told["outcome"] == "build_failed", told
    assert "step 3/" in told["error"] and "exit code 3" in told["error"], told
    assert "to the end" in told["error"] and "RUN echo" in told["error"], told
    assert told["error"].splitlines()[0] in log(anna, told["job"])
    told = build(anna, dockerfile(anna, f"FROM {BASE}\nCOPY none /\n"))
    assert told["outcome"] == "build_failed" and "none" in told["error"], told


def test_what_the_engine_cannot_is_said_before(anna):
    told = build(anna, dockerfile(anna, f"FROM {SHELL}\nCOPY --link x /\n", {"x": "x"}))
    assert told["outcome"] == "needs_buildkit" and "line 2" in told["error"], told
    told = build(anna, dockerfile(anna, "FROM 127.0.0.1:9/none:1\n"))
    assert told["outcome"] == "base_image" and "127.0.0.1:9/none:1" in told["error"], told


def test_steps_are_progress_and_a_build_that_is_cancelled_ends(stack, anna):
    request = dockerfile(anna, f"FROM {SHELL}\nUSER 0\nRUN echo begun; exec sleep 86399\n",
                         no_cache=True, network_mode="none")
    made = anna.post(BUILD, request).json["job"]
    wait_until(lambda: (job(anna, made)["progress"] or "").startswith("step 3/"))
    wait_until(lambda: "begun" in log(anna, made))
    assert anna.post(f"{JOBS}/{made}/cancel").status == 202
    assert wait_until(lambda: (j := job(anna, made))["finished"] and j)["state"] == "cancelled"
    wait_until(lambda: not runs("sleep 86399"), 30)
    assert not stack.containers()


def test_limits_end_it(stack, anna):
    recipe = f"FROM {SHELL}\nUSER 0\nRUN exec sleep 86398\n"
    told = build(anna, dockerfile(anna, recipe, no_cache=True, limits={"timeout": 2}))
    assert not told["success"] and told["state"] == "timed_out", told
    wait_until(lambda: not runs("sleep 86398"), 30)
    for limits, field in (({"memory": 1 << 50}, "limits.memory"), ({"cpus": 1000}, "limits.cpus"),
                          ({"timeout": 86400}, "limits.timeout")):
        reply = anna.post(BUILD, dockerfile(anna, recipe, limits=limits))
        assert check_error(reply, 400, "bad_request")["field"] == field


def test_steps_have_the_limits_and_the_network_that_were_asked_for(stack, anna):
    told = build(anna, dockerfile(
        anna, f"FROM {SHELL}\nRUN cat /proc/net/dev; for f in memory.max "
        "memory/memory.limit_in_bytes cpu.max cpu/cpu.cfs_quota_us; do "
        "cat /sys/fs/cgroup/$f 2>/dev/null; done; ls -d /run/*/*.sock /var/run/*.sock; true\n",
        no_cache=True,
        network_mode="none", limits={"memory": 64 << 20, "cpus": 0.5}))
    text = log(anna, told["job"])
    assert told["success"] and f"\n{64 << 20}\n" in text and "\n50000" in text, text
    assert "lo:" in text and "eth0" not in text, text
    # Nor does the engine's socket come into a build.
    assert not re.search(r"^/\S+\.sock$", text, re.M), text


def test_an_engine_that_goes_away_in_the_middle(once, engine):
    """The connection is cut while a step runs: the job begins anew, and nothing is left."""
    gate = Gate(TMP / "gate-images", engine.socket, os.stat(engine.socket).st_gid)
    stack = Stack(engine, conf={"docker": {"socket_path": gate.path}}).start()
    try:
        anna = stack.operator()
        hold = gate.hold("POST /build", 60)
        made = anna.post(BUILD, dockerfile(
            anna, f"FROM {SHELL}\nRUN echo $$; sleep 1\n", no_cache=True)).json["job"]
        hold.wait()
        hold.cut()
        told = wait_until(lambda: (j := job(anna, made))["finished"] and j)
        assert (told["state"], told["attempts"]) == ("succeeded", 2), told
        assert anna.get(f"{JOBS}/{made}/log?attempt=1").status == 200
        assert not list((stack.state / "engine/work").iterdir())
    finally:
        gate.open()
        stack.stop()
        gate.close()


@pytest.fixture
def mortal(engine):
    """An engine that may be killed, and whose containers outlive it where it can have that."""
    if not LONG:
        pytest.skip("a long one: KIISRV_TEST_LONG")
    own = OwnEngine(engine.name, *(["--live-restore"] if engine.name == "docker" else [])).start()
    try:
        subprocess.run(["bash", "-c", 'set -o pipefail; curl -sf --unix-socket "$0" '
                        f'"http://x/v1.41/images/{SHELL}/get" | curl -sf --unix-socket "$1" '
                        '-X POST -H "Content-Type: application/x-tar" -T - '
                        'http://x/v1.41/images/load',
                        engine.socket, own.socket], check=True, stdout=subprocess.DEVNULL)
        yield own
    finally:
        own.stop()


def test_an_engine_that_is_killed_in_the_middle(mortal):
    """The step's container is nobody's for an engine that comes back; it goes all the same."""
    stack = Stack(mortal).start()
    try:
        anna = stack.operator()
        made = anna.post(BUILD, dockerfile(
            anna, f"FROM {SHELL}\nRUN exec sleep 86396\n", network_mode="none")).json["job"]
        wait_until(lambda: runs("sleep 86396"), 30)
        mortal.kill()
        mortal.start()
        wait_until(lambda: job(anna, made)["attempts"] == 2, 60)
        wait_until(lambda: runs("sleep 86396"), 30)
        assert anna.post(f"{JOBS}/{made}/cancel").status == 202
        assert wait_until(lambda: (j := job(anna, made))["finished"] and j)["state"] == "cancelled"
        wait_until(lambda: not runs("sleep 86396"), 60)
        wait_until(lambda: not mortal.all_containers(), 30)
        assert not list((stack.state / "engine/work").iterdir())
    finally:
        stack.stop()


def nameless(engine):
    """Podman cannot tell while an image is being removed."""
    reply = wait_until(lambda: (r := engine.ask("GET", "/images/json", all=1)).status == 200 and r)
    return {i["Id"] for i in reply.json
            if all(t.startswith("<none>") or "-tmp:" in t for t in i["RepoTags"] or [])}


def step_of(told):
    """Which one a build is at; 0 before the first."""
    found = re.match("step ([0-9]+)/", told["progress"] or "")
    return int(found[1]) if found else 0


def test_an_engine_that_is_killed_between_steps(mortal):
    """Whatever it had just made of a step, created and never run too, goes when it is back."""
    before = nameless(mortal)
    stack = Stack(mortal, conf={"retention": {"build_cache": 0, "working_containers": 0}}).start()
    try:
        anna = stack.operator()
        steps = "".join(f"RUN true {i}\nENV E{i}=x\n" for i in range(30))
        for step in (5, 22, 40):
            made = anna.post(BUILD, dockerfile(
                anna, f"FROM {SHELL}\n{steps}", network_mode="none", no_cache=True)).json["job"]
            wait_until(lambda: step_of(job(anna, made)) >= step, 60)
            mortal.kill()
            mortal.start()
            wait_until(lambda: job(anna, made)["attempts"] == 2, 60)
            assert anna.post(f"{JOBS}/{made}/cancel").status == 202
            wait_until(lambda: job(anna, made)["finished"], 30)
            wait_until(lambda: not mortal.all_containers(), 60)
            if mortal.name == "podman":
                wait_until(lambda: not mortal.working(), 90)
            wait_until(lambda: nameless(mortal) <= before, 90)
    finally:
        stack.stop()


def test_one_that_prints_for_ever_keeps_head_and_tail(once, new_stack):
    stack = new_stack(conf={"limits": {"log": 65536, "disk_floor": "64 MiB"}})
    anna = stack.operator()
    told = build(anna, dockerfile(
        anna, f"FROM {SHELL}\nUSER 0\nRUN seq 1 60000; echo the end; exit 1\n", no_cache=True))
    assert told["outcome"] == "build_failed" and "the end" in told["error"], told
    text = log(anna, told["job"])
    assert "bytes left out]" in text and len(text) < 80000, len(text)
    assert "\n17\n" in text and "\n59999\n" in text
    told = build(anna, dockerfile(anna, f"FROM {SHELL}\nRUN exec yes kinds-for-ever\n",
                                  no_cache=True, limits={"timeout": 2}))
    assert told["state"] == "timed_out", told
    assert len(log(anna, told["job"])) < 80000
    wait_until(lambda: not runs("kinds-for-ever"), 30)


def test_a_build_that_the_worker_leaves_is_begun_anew(stack, anna):
    request = dockerfile(
        anna, f"FROM {SHELL}\nUSER 0\nRUN echo begun; exec sleep 86397\n", no_cache=True,
        id="interrupted")
    made = anna.post(BUILD, request).json["job"]
    wait_until(lambda: runs("sleep 86397"), 30)
    others = of_steps(stack, made)
    stack.kill_worker()
    stack.start_worker()
    wait_until(lambda: job(anna, made)["attempts"] == 2)
    # The row is first, the name of the older log is next.
    wait_until(lambda: anna.get(f"{JOBS}/{made}/log?attempt=1").status == 200, 10)
    assert anna.post(f"{JOBS}/{made}/cancel").status in (200, 202)
    assert wait_until(lambda: (j := job(anna, made))["finished"] and j)["state"] == "cancelled"
    wait_until(lambda: not runs("sleep 86397"), 30)
    if others:
        wait_until(lambda: stack.engine.ask("GET", f"/containers/{others[0]}/json").status == 404)
        assert stack.engine.remove(others[1]).status == 204


def of_steps(stack, job):
    """[one of an attempt that is over, one of another kiisrv]: as a Docker that died has created and
    not yet told. What runs is marked likewise."""
    if stack.engine.name == "podman":
        return []
    mark = f"kiisrv-{stack.instance()}-{job}"
    running = [json.loads(stack.engine.ask("GET", f"/containers/{c['Id']}/json").body)
               for c in json.loads(stack.engine.ask("GET", "/containers/json").body)]
    assert [f"{mark}-1:127.0.0.1"] in [c["HostConfig"]["ExtraHosts"] for c in running]
    made = []
    for mark in (f"{mark}-0", f"kiisrv-{'0' * 16}-{job}-0"):
        reply = stack.engine.post("/containers/create", {
            "Image": BASE, "Cmd": ["x"], "HostConfig": {"ExtraHosts": [f"{mark}:127.0.0.1"]}})
        assert reply.status == 201, reply
        made.append(json.loads(reply.body)["Id"])
    return made


def test_a_plan_is_shown_and_built(stack, anna):
    site = {"index.html": "<h1>hello</h1>\n", "css/a.css": "b{}\n"}
    request = {"source": source(anna, site), "buildpack_type": "static"}
    reply = anna.post("/images/plan", request)
    assert reply.status == 200, reply
    plan = reply.json
    assert plan["providers"] == ["static"] and "FROM" in plan["dockerfile"], plan
    assert set(plan["phases"]) == {"setup", "install", "build"} and plan["start"]["cmd"], plan
    assert anna.post("/images/plan", {**request, "image_tag": "kinds-site:1"}).json == plan
    reply = anna.post("/images/plan", {"source": source(anna, {"README.txt": "?"}),
                                       "buildpack_type": "nixpacks"})
    told = check_error(reply, 422, "no_plan")
    assert "package.json" in told["error"], told
    reply = anna.post("/images/plan", dockerfile(anna, "FROM x\n"))
    assert check_error(reply, 400, "bad_request")["field"] == "buildpack_type"


def test_a_plan_that_is_cancelled_is_a_conflict(stack, anna):
    """It waits: all slots are taken."""
    recipe = f"FROM {SHELL}\nUSER 0\nRUN exec sleep 86395\n"
    held = [anna.post(BUILD, dockerfile(anna, recipe, no_cache=True)).json["job"]
            for _ in range(2)]
    wait_until(lambda: {job(anna, h)["state"] for h in held} == {"running"})
    request = {"source": source(anna, {"index.html": "x"}), "buildpack_type": "static"}
    replies = []
    thread = threading.Thread(target=lambda: replies.append(anna.post("/images/plan", request)))
    thread.start()
    try:
        plan = wait_until(lambda: anna.get(f"{JOBS}?kind=plan&state=queued").json["jobs"])[0]
        assert anna.post(f"{JOBS}/{plan['id']}/cancel").status in (200, 202)
    finally:
        for h in held:
            anna.post(f"{JOBS}/{h}/cancel")
        thread.join()
    check_error(replies[0], 409, "cancelled")
    assert "Retry-After" not in replies[0].headers
    assert replies[0].headers["X-Kiisrv-Job"] == plan["id"]
    wait_until(lambda: all(job(anna, h)["finished"] for h in held) and not runs("sleep 86395"), 30)


def test_sources_are_archives_of_many_kinds(once, stack, anna):
    text = f"FROM {BASE}\nCOPY f /f\n"
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("sub/Dockerfile", text)
        archive.writestr("sub/f", "x")
    for data in (tar({"sub/Dockerfile": text, "sub/f": "x"}, "w:xz"), zipped.getvalue()):
        told = build(anna, {"source": upload(anna, data), "buildpack_type": "dockerfile",
                            "context_root": "sub", "image_tag": "kinds-a:3"})
        assert told["success"], (told, log(anna, told["job"]))


def test_hostile_sources_are_refused(once, stack, anna):
    good = {"Dockerfile": f"FROM {BASE}\n"}
    # The rest: tests/unit/test_archive_check.c.
    bomb = tar({**good, "bomb": "\0" * (16 << 20)})
    for data in (b"no archive at all" * 100, bomb, tar({**good, "../x": "x"})):
        told = build(anna, {"source": upload(anna, data), "buildpack_type": "dockerfile",
                            "image_tag": "kinds-bad:1"})
        assert told["outcome"] == "bad_source", told
    # A link out of the source is not unpacked; one to the top of whatever is stays a link.
    for link, outcome in (("../../etc/shadow", "bad_source"), ("/etc/shadow", "bad_source")):
        told = build(anna, {"source": source(anna, {
            **good, "link": {"type": tarfile.SYMTYPE, "linkname": link}}),
            "buildpack_type": "dockerfile", "image_tag": "kinds-bad:1"})
        assert told["outcome"] == outcome, told
    for path in ("../Dockerfile", "/etc/passwd"):
        reply = anna.post(BUILD, {"source": source(anna, good), "buildpack_type": "dockerfile",
                                  "image_tag": "kinds-bad:1",
                                  "dockerfile_config": {"dockerfile_path": path}})
        assert check_error(reply, 400, "bad_request")["field"].endswith("dockerfile_path")
    told = build(anna, {"source": source(anna, good), "buildpack_type": "dockerfile",
                        "context_root": "none", "image_tag": "kinds-bad:1"})
    assert told["outcome"] == "bad_context" and "context_root" in told["error"], told
    assert image(stack, "kinds-bad:1") is None


def test_uploads_have_limits_and_an_end(once, stack, anna):
    check_error(anna.post("/images/sources", b""), 400, "bad_request")
    reply = anna.post(BUILD, {"source": "0" * 32, "buildpack_type": "dockerfile",
                              "image_tag": "kinds-a:1"})
    assert check_error(reply, 400, "bad_request")["field"] == "source"
    old = upload(anna, tar({"a": "b"}))
    path = stack.state / "engine/uploads" / old
    assert path.stat().st_mode & 0o777 == 0o600
    day = time.time() - 90000
    os.utime(path, (day, day))
    stack.kill_worker()
    stack.start_worker()
    wait_until(lambda: not path.exists())


def test_a_big_upload_crosses_no_memory(once, stack, anna):
    """32 MiB, of which the executable holds a piece at a time."""
    data = os.urandom(1 << 20) * 32
    made = upload(anna, data)
    assert (stack.state / "engine/uploads" / made).stat().st_size == len(data)
    (stack.state / "engine/uploads" / made).unlink()


def test_requests_are_checked(once, stack, anna):
    good = dockerfile(anna, f"FROM {BASE}\n")
    for more, field in (({"image_tag": None}, "image_tag"), ({"image_tag": "A"}, "image_tag"),
                        ({"git_branch": "x"}, "git_branch"), ({"git_repo": "x"}, "git_repo"),
                        ({"buildpack_type": "x"}, "buildpack_type"), ({"x": 1}, "x"),
                        ({"environment": {"A-B": "x"}}, "environment.A-B"),
                        ({"registry_auth": "none"}, "registry_auth"),
                        ({"network_mode": "host"}, "network_mode"), ({"id": "-x"}, "id")):
        reply = anna.post(BUILD, {**good, **more})
        assert check_error(reply, 400, "bad_request")["field"] == field
    check_error(anna.post(BUILD, b"{"), 400, "bad_request")
    check_error(anna.get(BUILD), 404, "not_found")
    for scopes in ("images:write", "images:read", "jobs:write"):
        for path in ("build", "plan", "sources"):
            check_error(stack.operator(scopes).post(f"/images/{path}", good), 403, "forbidden")


def test_a_client_that_goes_ends_no_build(once, stack, anna):
    request = dockerfile(anna, f"FROM {SHELL}\nUSER 0\nRUN sleep 3\n", no_cache=True, id="left")

    def leave():
        try:
            anna.post(BUILD + "?wait=1", request, timeout=0.5)
        except OSError:
            pass
    thread = threading.Thread(target=leave)
    thread.start()
    thread.join()
    told = build(anna, request)
    assert told["success"], told


COMPOSE = f"""
name: kinds-shop
x-args: &args {{V: "${{TAG:-none}}"}}
services:
  web:
    build: {{context: web, args: {{<<: *args, W: of web}}, cache_from: [x]}}
    ports: ["80"]
  job:
    image: kinds-job:7
    build: {{context: ., dockerfile: D.job}}
  db: {{image: postgres}}
"""


def compose(anna, text=COMPOSE, **more):
    recipe = f"FROM {BASE}\nARG V=x\nARG W=x\nENV V=$V W=$W\n"
    return {"source": source(anna, {"docker-compose.yml": text, "web/Dockerfile": recipe,
                                    "D.job": recipe + "ENV JOB=1\n"}),
            "buildpack_type": "docker-compose", **more}


def test_a_service_is_built_under_the_tag(stack, anna):
    told = build(anna, compose(anna, image_tag="kinds-web:3", environment={"TAG": "7"},
                               compose_config={"service": "web"}))
    assert told["success"], (told, log(anna, told["job"]))
    assert {"V=7", "W=of web"} <= set(image(stack, "kinds-web:3")["Config"]["Env"])
    assert "services.web.build.cache_from is left aside" in log(anna, told["job"])
    assert image(stack, "kinds-job:7") is None


def test_all_services_are_built_under_their_names(once, stack, anna):
    told = build(anna, compose(anna))
    assert told["success"], (told, log(anna, told["job"]))
    assert "V=none" in image(stack, "kinds-shop-web")["Config"]["Env"]
    assert "JOB=1" in image(stack, "kinds-job:7")["Config"]["Env"]
    reply = anna.post(BUILD, compose(anna, image_tag="kinds-web:3"))
    assert check_error(reply, 400, "bad_request")["field"] == "image_tag"


def test_what_is_wrong_with_a_compose_file_is_said(once, anna):
    for text, word in (("a: b: c", "docker-compose.yml"),
                       (COMPOSE.replace("web:\n", "wob:\n", 1), "no service web")):
        told = build(anna, compose(anna, text, image_tag="kinds-web:4",
                                   compose_config={"service": "web"}))
        assert told["outcome"] == "bad_project" and word in told["error"], told


# --- what stays with the engine


def test_cached_layers_have_a_budget(once, new_stack):
    stack = new_stack(conf={"retention": {"build_cache": 0}})
    anna = stack.operator()
    base = image(stack, SHELL)["Id"].removeprefix("sha256:")

    def make(content, last="ENV A=1"):
        """What the build's steps made, in their order."""
        told = build(anna, dockerfile(
            anna, f"FROM {SHELL} AS first\nCOPY f /f\nFROM {SHELL}\nENV T={stack.instance()}\n"
            f"COPY --from=first /f /g\n{last}\n", {"f": content + os.urandom(8).hex()},
            image_tag="kinds-cache:1"))
        made = re.findall("-> ([0-9a-f]{11,})\n", log(anna, told["job"]))
        return [id for id in made if not base.startswith(id)]
    first = make("one")
    # The build's own stage goes, what the image is made of stays.
    stack.ctl("gc")
    assert not image(stack, first[0]) and image(stack, first[1]), first
    assert image(stack, "kinds-cache:1")["Id"].removeprefix("sha256:").startswith(first[-1])
    # It loses its name to the next one, and a step that fails leaves layers too.
    second = make("two")
    third = make("three", "RUN false")
    assert len(third) > 2, third
    stack.ctl("gc")
    # What all three have, the middle of them, stays as long as one does.
    gone = [id for id in first + third if id not in second]
    assert first[-1] in gone and third[-1] in gone
    assert not any(image(stack, id) for id in gone), gone
    assert image(stack, second[-1])
    assert stack.engine.ask("DELETE", "/images/kinds-cache:1").status == 200
    stack.ctl("gc")
    assert not any(image(stack, id) for id in second)
    assert (stack.state / "engine/layers").read_text() == ""
    assert image(stack, SHELL)


# --- out of git


COMPOSE_PRINTED = """
services:
  web:
    build: {context: ., args: {VERSION: of compose}}
"""


class Repository:
    """One over http on loopback, with branches, a tag and a submodule; or over https, with the
    certificate for localhost in a folder."""

    def __init__(self, folder, certificate=None):
        self.dir = folder
        self.env = {"GIT_SSL_CAINFO": certificate / "ca.pem"} if certificate else {}
        shutil.rmtree(folder, ignore_errors=True)
        for name, files in (("lib", {"in-lib": "from lib\n"}),
                            ("app", {"Dockerfile": f"FROM {BASE}\nARG VERSION\nENV FROM=main "
                                     "VERSION=$VERSION\nCOPY . /app/\n"})):
            self.git("init", "-q", "-b", "main", name)
            self.commit(name, files)
        self.commit("app", {"docker-compose.yml": COMPOSE_PRINTED})
        self.git("-C", "app", "tag", "v1")
        self.git("-C", "app", "checkout", "-q", "-b", "side")
        self.commit("app", {"Dockerfile": f"FROM {BASE}\nENV FROM=side\n"})
        self.side = self.git("-C", "app", "rev-parse", "HEAD").strip()
        self.git("-C", "app", "checkout", "-q", "-b", "with-lib", "main")
        self.server = Process("githttp", ["/usr/bin/python3", TOP / "tests/images/githttp.py",
                                          "127.0.0.1", "0", folder, "u:s3cret-word", *(
                                              [certificate / "cert.pem", certificate / "key.pem"]
                                              if certificate else [])], folder / "log")
        self.port = int(wait_until(lambda: self.server.text().split("\n")[0]))
        top = f"{'https://localhost' if certificate else 'http://127.0.0.1'}:{self.port}"
        self.url = f"{top}/app/.git"
        self.git("-C", "app", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add",
                 "../../lib/.git", "lib", url=f"{top}/lib/.git")
        self.commit("app", {"Dockerfile": f"FROM {BASE}\nCOPY lib/in-lib /x\n"})
        self.git("-C", "app", "checkout", "-q", "-f", "main")
        shutil.rmtree(folder / "app/lib")
        self.git("-C", "app", "checkout", "-q", "-b", "node")
        self.commit("app", {
            "package.json": json.dumps({"name": "x", "scripts": {"start": "node x.js"}}),
            "package-lock.json": json.dumps({"name": "x", "lockfileVersion": 3,
                                             "packages": {"": {"name": "x"}}}), "x.js": ""})
        self.git("-C", "app", "checkout", "-q", "-b", "compose", "main")
        self.commit("app", {"compose.yaml": "services:\n  web:\n    build: .\n"})
        self.git("-C", "app", "checkout", "-q", "-f", "main")

    def git(self, *args, url=None):
        args = [url if url and a == "../../lib/.git" else a for a in args]
        return subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *args], cwd=self.top(),
            check=True, capture_output=True, text=True, env={**os.environ, **self.env}).stdout

    def top(self):
        self.dir.mkdir(parents=True, exist_ok=True)
        return self.dir

    def commit(self, name, files):
        for file, text in files.items():
            (self.dir / name / file).write_text(text)
        self.git("-C", name, "add", "-A")
        self.git("-C", name, "commit", "-q", "-m", "x")

    def stop(self):
        self.server.stop()
        shutil.rmtree(self.dir)


@pytest.fixture(scope="module")
def git(engine):
    """(stack, operator, repository): of a stack that may fetch from this machine."""
    repository = Repository(TMP / "repositories")
    made = Stack(engine)
    secrets = made.add_secret("deploy", "u:s3cret-word\n")
    made.write_conf({"paths": {"secrets": secrets},
                     "images": {name: LANGUAGES for name in ("node", "node-run", "nginx")},
                     "build": {"allow_http": True, "allow_private": True,
                               "source_network": "host", "source_timeout": 20}})
    made.start()
    yield made, made.operator(), repository
    made.stop()
    repository.stop()


def of(repository, **more):
    return {"git_repo": repository.url, "buildpack_type": "dockerfile", "image_tag": "kinds-git:1",
            **more}


def test_a_branch_a_tag_and_a_commit_are_built(git):
    stack, anna, repository = git
    refs = ((None, "FROM=main"), (repository.side, "FROM=side"), ("side", "FROM=side"),
            ("v1", "FROM=main"))
    for ref, word in refs if LONG or stack.engine.name == "docker" else refs[:2]:
        told = build(anna, of(repository, git_branch=ref))
        assert told["success"], (told, log(anna, told["job"]))
        assert word in image(stack, "kinds-git:1")["Config"]["Env"], ref


def test_the_printed_request_for_nixpacks(git):
    stack, anna, repository = git
    told = build(anna, {
        "id": "build-001", "git_repo": repository.url, "git_branch": "node",
        "buildpack_type": "nixpacks", "image_tag": "kinds-node:latest",
        "nixpacks_config": {"start_command": "npm start", "variables": {"NODE_ENV": "production"}}})
    assert told["success"], (told, log(anna, told["job"])[-3000:])
    made = image(stack, "kinds-node:latest")["Config"]
    assert "NODE_ENV=production" in made["Env"] and "PORT=8080" in made["Env"], made
    assert "npm start" in " ".join(made["Cmd"]) and made["User"].startswith("1000"), made
    assert "[kiisrv: the plan's Dockerfile]" in log(anna, told["job"])
    assert re.match(r"step \d+/\d+", job(anna, told["job"])["progress"])


def test_the_printed_requests_for_dockerfile_and_compose(once, git):
    stack, anna, repository = git
    for request, word in ((
            {"id": "build-003", "git_repo": repository.url, "buildpack_type": "dockerfile",
             "image_tag": "kinds-dockerapp:latest", "dockerfile_config": {
                 "dockerfile_path": "Dockerfile", "build_args": {"VERSION": "1.0.0"}}},
            "FROM=main"), (
            {"id": "build-004", "git_repo": repository.url, "buildpack_type": "docker-compose",
             "image_tag": "kinds-composeapp:latest", "compose_config": {
                 "compose_file": "docker-compose.yml", "service": "web"}}, "VERSION=of compose")):
        told = build(anna, request)
        assert told["success"], (told, log(anna, told["job"]))
        made = image(stack, request["image_tag"])["Config"]["Env"]
        assert word in made, made


def test_the_printed_request_for_a_static_site(once, git):
    stack, anna, repository = git
    told = build(anna, {
        "id": "build-002", "buildpack_type": "static", "image_tag": "kinds-site:latest",
        "source": source(anna, {"package.json": json.dumps({"name": "x", "scripts": {
            "build": "mkdir dist && echo built >dist/index.html"}}), "package-lock.json":
            json.dumps({"name": "x", "lockfileVersion": 3, "packages": {"": {"name": "x"}}})}),
        "static_config": {"build_command": "npm run build", "output_dir": "dist", "is_spa": True}})
    assert told["success"], (told, log(anna, told["job"])[-3000:])
    assert "80/tcp" in image(stack, "kinds-site:latest")["Config"]["ExposedPorts"]
    assert "/index.html" in log(anna, told["job"])


def test_services_are_called_as_their_repository(once, git):
    stack, anna, repository = git
    told = build(anna, {"git_repo": repository.url, "git_branch": "compose",
                        "buildpack_type": "docker-compose"})
    assert told["success"], (told, log(anna, told["job"]))
    assert "FROM=main" in image(stack, "app-web")["Config"]["Env"]
    assert stack.engine.ask("DELETE", "/images/app-web", force=1).status == 200


def test_submodules_come_on_request(once, git):
    stack, anna, repository = git
    told = build(anna, of(repository, git_branch="with-lib", submodules=True))
    assert told["success"], (told, log(anna, told["job"]))
    told = build(anna, of(repository, git_branch="with-lib"))
    assert told["outcome"] == "build_failed" and "in-lib" in told["error"], told


def test_a_password_comes_from_a_secret(once, git):
    stack, anna, repository = git
    url = repository.url.replace("/app/", "/secret/app/")
    told = build(anna, of(repository, git_repo=url, git_auth="deploy"))
    assert told["success"], (told, log(anna, told["job"]))
    told = build(anna, of(repository, git_repo=url))
    assert not told["success"] and told["outcome"] != "built", told
    everything = b"".join(p.read_bytes() for p in [*stack.logs.iterdir(),
                          *(stack.state / "operator-logs").iterdir(),
                          *(stack.state / "engine").glob("operator.sqlite*")])
    assert b"s3cret-word" not in everything


def test_what_is_not_there_is_said(once, git):
    stack, anna, repository = git
    for more in ({"git_repo": repository.url.replace("/app/", "/none/")}, {"git_branch": "none"},
                 {"git_repo": "http://127.0.0.1:9/x.git"}):
        told = build(anna, of(repository, **more))
        assert told["state"] == "failed" and told["outcome"] != "build_failed", told
        assert told["error"], told
    for url in ("http://u:s3cret-word@127.0.0.1/x", "ext::sh -c id", "--upload-pack=id",
                "file:///etc", "-x"):
        reply = anna.post(BUILD, of(repository, git_repo=url))
        assert check_error(reply, 400, "bad_request")["field"] == "git_repo", url
    for ref in ("--upload-pack=id", "a..b", "-b"):
        reply = anna.post(BUILD, of(repository, git_branch=ref))
        assert check_error(reply, 400, "bad_request")["field"] == "git_branch", ref
    assert not stack.containers()


def test_addresses_of_this_network_are_refused_by_default(stack, anna):
    reply = anna.post(BUILD + "?wait=1", {"git_repo": "https://127.0.0.1/x.git",
                                          "buildpack_type": "dockerfile", "image_tag": "kinds-a:1"})
    told = reply.json
    assert reply.status == 400 and told["field"] == "git_repo" or \
        told["state"] == "failed" and "private" in told["error"], told
    reply = anna.post(BUILD, {"git_repo": "http://example.org/x.git",
                              "buildpack_type": "dockerfile", "image_tag": "kinds-a:1"})
    assert check_error(reply, 400, "bad_request")["field"] == "git_repo"
