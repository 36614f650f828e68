# SPDX-License-Identifier: MIT
"""kiisrvctl on a whole kiisrv: what an administrator does to jobs, and a build from the outside."""

import concurrent.futures
import contextlib
import http.server
import json
import os
import re
import shutil
import sqlite3
import ssl
import subprocess
import threading
import time
import zipfile

import pytest

from client import check_error
from stack import PREFIX, SANITIZER, Stack, as_user, wait_until

CONF = {
    "firmware": {"idle_timeout": "60 s"},
    "queue": {"slots": 1, "per_client": 20},
    "retention": {"artifact_days": 30, "log_days": 90},
}
DAY = 24 * 3600
JOB = re.compile("[0-9a-f]{32}")


@pytest.fixture(scope="module")
def own(engine):
    """One build at a time, so that the second one waits."""
    mine = Stack(engine, conf=CONF)
    try:
        yield mine.start()
    finally:
        mine.stop()


def command(stack, *args):
    return [str(PREFIX / "sbin/kiisrvctl"), "-c", str(stack.conf), *map(str, args)]


def environment(stack):
    return {**os.environ, "KIISRV_URL": f"http://127.0.0.1:{stack.port}", "LC_ALL": "C.UTF-8"}


def ctl(stack, *args, status=0, user=None, cwd="/", timeout=120):
    """Run kiisrvctl; its output, once it has ended with that status."""
    done = subprocess.run((as_user(user) if user else []) + command(stack, *args), cwd=cwd,
                          env=environment(stack), capture_output=True, timeout=timeout)
    told = done.stdout.decode(), done.stderr.decode()
    assert not SANITIZER.search(told[1]), told
    assert done.returncode == status, (done.returncode, told)
    return told


def ctl_json(stack, *args, **more):
    return json.loads(ctl(stack, "--json", *args, **more)[0])


@contextlib.contextmanager
def posted(stack, *requests):
    """Held POSTs, one after the other, and their jobs; at the end each has its answer."""
    with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
        before = {row["id"] for row in stack.jobs("id")}
        answers, jobs = [], []
        for request in requests:
            answers.append(pool.submit(stack.post, request))
            new = wait_until(lambda: [r["id"] for r in stack.jobs("id")
                                      if r["id"] not in before], 30)
            before.update(new)
            jobs.append(new[0])
        yield jobs, answers


def wait_clean(stack):
    """Until a worker has removed what the one before it left."""
    wait_until(lambda: not stack.containers() and not stack.engine.volumes() - stack.volumes, 60)


def wait_running(stack, job):
    wait_until(lambda: stack.job(job)["state"] == "running", 60)
    wait_until(lambda: "tick" in stack.get(f"/logs/{job}.log").body.decode(errors="replace"), 60)


# --- cancel

@pytest.mark.parametrize("orders", [["tick 300"], ["stubborn", "tick 300"]],
                         ids=["willing", "deaf to TERM"])
def test_a_running_job_is_cancelled(own, orders):
    with posted(own, own.ordered(f"cancel {orders}", *orders)) as ([job], [answer]):
        wait_running(own, job)
        out, _ = ctl(own, "jobs", "cancel", job)
        assert out == f"{job}: cancelled\n"
        # When the command has ended, all of it has.
        assert own.job(job)["state"] == "cancelled"
        check_error(answer.result(10), 409, "cancelled")
        wait_until(lambda: not own.containers(), 5)


def test_a_queued_job_is_cancelled_at_once(own):
    with posted(own, own.ordered("holds the slot", "tick 300"),
                own.ordered("waits", "say never")) as ([first, second], answers):
        wait_running(own, first)
        shown = ctl_json(own, "jobs", "show", second)
        assert shown["state"] == "queued" and shown["place"] == 1
        begin = time.monotonic()
        assert ctl(own, "jobs", "cancel", second)[0] == f"{second}: cancelled\n"
        assert time.monotonic() - begin < 5
        check_error(answers[1].result(10), 409, "cancelled")
        assert own.job(second)["attempts"] == 0
        assert own.job(first)["state"] == "running"
        ctl(own, "jobs", "cancel", first)
    _, err = ctl(own, "jobs", "cancel", first, status=1)
    assert "the job has ended: cancelled" in err


def test_only_the_administrator_cancels(own):
    with posted(own, own.ordered("not yours", "tick 300")) as ([job], _):
        wait_running(own, job)
        _, err = ctl(own, "jobs", "cancel", job, status=1, user="kiisrv")
        assert "only root" in err
        assert own.job(job)["state"] == "running"
        out, _ = ctl(own, "jobs", "cancel", job, user="kiisrv-engine")
        assert out == f"{job}: cancelled\n"


# --- retry

def test_a_retry_is_another_job_that_ends_alike(own):
    request = own.ordered("retry", "say no", "exit 1")
    old = own.post(request).headers["X-Kiisrv-Job"]
    told = ctl_json(own, "jobs", "retry", old)
    assert JOB.fullmatch(told["job"]) and told["job"] != old
    assert own.wait_job(told["job"])["state"] == "failed"
    # It is the newer one that is remembered.
    assert own.post(request).headers["X-Kiisrv-Job"] == told["job"]
    _, err = ctl(own, "jobs", "retry", "0" * 32, status=1)
    assert "no such job" in err


# --- list, show, log

def test_list_and_show_tell_what_the_api_tells(own):
    job = own.post(own.ordered("shown", "say seen")).headers["X-Kiisrv-Job"]
    told = own.job(job)
    listed = ctl_json(own, "jobs", "list", "--state", "succeeded", "--limit", 1)
    assert [one["id"] for one in listed] == [job]
    shown = ctl_json(own, "jobs", "show", job)
    for name in ("kind", "state", "created", "started", "finished", "attempts", "outcome"):
        assert shown[name] == told[name], name
    assert told["artifact"] == "/tmp/" + shown["artifact"]
    assert shown["exit_code"] == 0 and shown["client"] == "127.0.0.1"
    assert shown["request"]["config"]["header"]["Author"] == "shown"
    out, _ = ctl(own, "jobs", "list", "--limit", 3)
    assert out.splitlines()[1].startswith(f"{job}  succeeded")
    out, _ = ctl(own, "jobs", "show", job, user="kiisrv-engine")
    assert re.search(rf"^job +{job}$", out, re.M) and re.search("^outcome +built$", out, re.M)


def test_following_a_log_brings_all_of_it(own):
    orders = ["say the beginning", "tick 3", "binary", "say the end"]
    with posted(own, own.ordered("followed", *orders)) as ([job], _):
        done = subprocess.run(command(own, "jobs", "log", "-f", job), capture_output=True,
                              timeout=60)
        assert done.returncode == 0, done
        assert own.job(job)["state"] == "succeeded"
    assert b"the beginning\ntick 1\n" in done.stdout and b"the end\n" in done.stdout
    assert done.stdout == own.get(f"/logs/{job}.log").body
    again = subprocess.run(command(own, "jobs", "log", job), capture_output=True, timeout=60)
    assert again.stdout == done.stdout


def test_reading_goes_on_without_the_worker(new_stack):
    mine = new_stack()
    job = mine.post(mine.ordered("a lonely log", "say still here")).headers["X-Kiisrv-Job"]
    mine.kill_worker()
    assert job in ctl(mine, "jobs", "list")[0]
    assert "still here" in ctl(mine, "jobs", "log", job)[0]
    ctl(mine, "jobs", "retry", job, status=1)
    ctl(mine, "gc", status=1)
    mine.start_worker()
    wait_clean(mine)


# --- gc

def make_older(stack, job, days):
    """As if it had ended, and been given, so long ago."""
    with sqlite3.connect(stack.state / "queue/jobs.sqlite", timeout=10) as db:
        db.execute("UPDATE Jobs SET created = created - ?1, started = started - ?1, finished = "
                   "finished - ?1, answered = answered - ?1 WHERE id = ?2",
                   (days * DAY * 1000, job))


def make_file(path, age):
    path.write_bytes(b"x" * 2048)
    shutil.chown(path, "kiisrv-engine", "www-data")
    os.utime(path, (time.time() - age, time.time() - age))


def test_gc_says_and_does_the_same(new_stack):
    mine = new_stack(conf=CONF)
    jobs = [mine.post(mine.ordered(f"gc {n}", "say hello")).headers["X-Kiisrv-Job"]
            for n in range(3)]
    zips = [mine.state / "artifacts" / mine.job(job)["artifact"][5:] for job in jobs]
    make_older(mine, jobs[0], 31)
    make_older(mine, jobs[1], 91)
    orphans = [mine.state / "artifacts" / ("MD1-Standard-" + "0" * 32 + ".zip"),
               mine.state / "logs" / ("0" * 32 + ".log")]
    young = mine.state / "artifacts" / ("MD1-Standard-" + "1" * 32 + ".zip")
    for orphan in orphans:
        make_file(orphan, 2 * 3600)
    make_file(young, 10)

    told = ctl_json(mine, "gc", "--dry-run")
    assert told["dry_run"] is True
    due = {(i["kind"], i["name"], i["why"]) for i in told["items"]}
    assert due == {
        ("artifact", zips[0].name, "age"), ("artifact", zips[1].name, "age"),
        ("log", jobs[1], "age"), ("job", jobs[1], "age"),
        ("artifact", orphans[0].name, "orphan"), ("log", orphans[1].name, "orphan"),
    }
    assert told["bytes"] == sum(i["bytes"] for i in told["items"]) > 4096
    out, _ = ctl(mine, "gc", "-n")
    assert out.splitlines()[0].split() == ["KIND", "SIZE", "WHY", "NAME"]
    assert out.splitlines()[-1].startswith("would remove 6 items, ")
    assert all(path.exists() for path in zips + orphans)

    done = ctl_json(mine, "gc")
    assert {(i["kind"], i["name"], i["why"]) for i in done["items"]} == due
    assert done["bytes"] == told["bytes"]
    assert [path.exists() for path in zips] == [False, False, True]
    assert not any(path.exists() for path in orphans) and young.exists()
    assert mine.get(f"/api/v1/jobs/{jobs[1]}").status == 404
    assert mine.get(f"/logs/{jobs[1]}.log").status == 404
    assert mine.job(jobs[0])["artifact"] is None
    assert mine.get(f"/logs/{jobs[0]}.log").status == 200
    assert ctl(mine, "gc")[0] == "removed 0 items, 0 B\n"
    # What was collected is built again, by the same name.
    again = mine.post(mine.ordered("gc 0", "say hello"))
    assert again.json["filename"] == f"./tmp/{zips[0].name}" and zips[0].exists()
    assert again.headers["X-Kiisrv-Job"] != jobs[0]


# --- build

def write_request(path, request):
    path.write_text(json.dumps(request))
    return str(path)


def zip_members(path):
    with zipfile.ZipFile(path) as z:
        assert z.testzip() is None
        return z.namelist()


def test_a_build_ends_with_its_zip(own, tmp_path):
    name = write_request(tmp_path / "request.json", own.ordered("from ctl", "tick 2", "say done"))
    out, err = ctl(own, "build", "-v", "request.json", cwd=tmp_path)
    saved = tmp_path / out.strip()
    assert re.fullmatch(r"MD1-Standard-[0-9a-f]{32}\.zip", saved.name)
    assert "kiibohd.dfu.bin" in zip_members(saved)
    assert re.search(r"^kiisrvctl: job [0-9a-f]{32}: running", err, re.M)
    assert "\ntick 1\ntick 2\ndone\n" in err and err.count("tick 1") == 1
    assert err.rstrip().endswith(": succeeded")
    # The second time it is there; --fresh builds it anew.
    first = ctl_json(own, "build", name, cwd=tmp_path)
    assert first["job"] in err and first["success"] is True
    fresh = ctl_json(own, "build", "--fresh", name, "--out", tmp_path / "fresh.zip")
    assert fresh["job"] != first["job"] and fresh["file"] == str(tmp_path / "fresh.zip")
    assert zip_members(tmp_path / "fresh.zip") == zip_members(saved)
    assert not [f for f in os.listdir(tmp_path) if f.startswith(".")]


def test_a_layout_file_is_a_request_too(own, tmp_path):
    (tmp_path / "layout.json").write_bytes(own.get("/layouts/MD1-Standard.json").body)
    out, err = ctl(own, "build", "--env", "v0.5.6", "layout.json", cwd=tmp_path)
    assert zip_members(tmp_path / out.strip()) and err == ""
    _, err = ctl(own, "build", "--env", "nonsense", "layout.json", cwd=tmp_path, status=2)
    assert err.startswith("kiisrvctl: env: ")


def test_a_failed_build_is_saved_and_told(own, tmp_path):
    name = write_request(tmp_path / "request.json", own.ordered("ctl fails", "say no", "exit 1"))
    out, err = ctl(own, "build", name, "--out", tmp_path, status=1)
    assert out.strip().endswith("_error.zip")
    assert "log/build.log" in zip_members(out.strip())
    assert "failed: the build failed" in err
    # Remembered, its log is shown all the same.
    _, err = ctl(own, "build", "-v", name, "--out", tmp_path, status=1)
    assert "\nno\n" in err


def test_bad_requests_and_cancelled_ones(own, tmp_path):
    request = own.ordered("ctl bad")
    request["config"]["header"]["Name"] = 7
    name = write_request(tmp_path / "bad.json", request)
    _, err = ctl(own, "--json", "build", name, status=2)
    assert json.loads(err)["field"].startswith("config.header"), err
    name = write_request(tmp_path / "request.json", own.ordered("ctl cancelled", "tick 300"))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        ended = pool.submit(ctl, own, "build", name, status=1, cwd=tmp_path)
        job = wait_until(lambda: own.jobs("id", "state = 'running'"), 30)[0]["id"]
        wait_running(own, job)
        ctl(own, "jobs", "cancel", job)
        out, err = ended.result(30)
    assert out == "" and f"job {job}: cancelled: " in err
    assert not list(tmp_path.glob("*.zip"))


def test_a_build_outlives_a_worker_that_dies(new_stack, tmp_path):
    mine = new_stack()
    name = write_request(tmp_path / "r.json", mine.ordered("ctl and death", "tick 6", "say end"))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        ended = pool.submit(ctl, mine, "build", "-v", name, "--out", tmp_path)
        job = wait_until(lambda: mine.jobs("id", "state = 'running'"), 30)[0]["id"]
        wait_running(mine, job)
        mine.kill_worker()
        time.sleep(1)
        mine.start_worker()
        out, err = ended.result(60)
    assert zip_members(out.strip())
    wait_clean(mine)
    assert re.findall("^tick .|^end", err, re.M) == [f"tick {n}" for n in range(1, 7)] + ["end"]


# --- https

@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
                   check=True, capture_output=True)
    return folder


class Refusing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"error": "come later"}'
        self.send_response(429)
        self.send_header("Retry-After", "33")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def test_https_is_spoken_and_its_certificate_counts(own, certificate, tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    name = write_request(tmp_path / "request.json", own.ordered("tls"))
    args = ("build", "--server", f"https://localhost:{server.server_address[1]}", name)
    try:
        _, err = ctl(own, *args, status=1)
        assert "certificate" in err.lower()
        # Where the system knows it, and only in a mount namespace of its own, it does.
        trusted = subprocess.run(
            ["unshare", "-m", "sh", "-c",
             'mount --bind "$1" /etc/ssl/certs/ca-certificates.crt && shift && exec "$@"', "sh",
             str(certificate / "cert.pem"), *command(own, *args)], capture_output=True, timeout=60)
        assert trusted.returncode == 1
        assert b"come later (come again in 33 s)" in trusted.stderr, trusted
    finally:
        server.shutdown()
        server.server_close()
