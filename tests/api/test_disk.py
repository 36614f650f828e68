# SPDX-License-Identifier: MIT
"""A disk that is full at each thing that is written, and databases that are locked, read-only or newer
than the program: a clear answer, nothing half-written, and all is well again afterwards."""

import concurrent.futures
import errno
import os
import sqlite3
import subprocess
import time

import pytest

from client import check_error
from gate import Gate
from stack import TMP, Stack, wait_until

RESULT = "GET /containers/.*/archive"


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(8) as made:
        yield made


class Disk:
    """A stack whose state folder is a small disk of its own, and a gate before the engine."""

    def __init__(self, engine):
        self.gate = Gate(TMP / "gate-disk", engine.socket, os.stat(engine.socket).st_gid)
        self.stack = Stack(engine, disk="24m", conf={
            "docker": {"socket_path": self.gate.path}, "limits": {"disk_floor": "0 B"},
            "queue": {"slots": 1}})
        self.stack.start()

    def close(self):
        self.gate.open()
        self.free()
        self.stack.stop()
        self.gate.close()

    @property
    def ballast(self):
        return self.stack.state / "ballast"

    def room(self):
        fs = os.statvfs(self.stack.state)
        return fs.f_bavail * fs.f_frsize

    def fill(self, but=0):
        """Leave so many bytes."""
        try:
            with open(self.ballast, "ab", 0) as f:
                while self.room() > but:
                    f.write(bytes(self.room() - but))
        except OSError as e:
            # Somebody else took the last of it.
            assert e.errno == errno.ENOSPC

    def free(self):
        self.ballast.unlink(missing_ok=True)

    def left(self):
        return {f"{folder}/{file.name}" for folder in ("artifacts", "logs")
                for file in (self.stack.state / folder).iterdir()}

    def last_job(self):
        return self.stack.jobs("*", "1 ORDER BY rowid DESC LIMIT 1")[0]


@pytest.fixture(scope="module")
def small(engine):
    disk = Disk(engine)
    yield disk
    disk.close()


@pytest.fixture
def disk(small):
    yield small
    small.gate.open()
    small.free()
    assert small.stack.answers()


def check_lost(disk, request, first):
    """503 to who waits, nothing of a result, and the next POST builds it."""
    check_error(first.result(60), 503)
    job = disk.last_job()
    assert (job["state"], job["outcome"], job["artifact"]) == ("lost", "disk", None), dict(job)
    assert not [file for file in disk.left() if file.startswith("artifacts/.")]
    wait_until(lambda: not disk.stack.containers(), 30)
    disk.free()
    reply = disk.stack.post(request)
    assert reply.status == 200, reply
    disk.stack.fetch(reply.json["filename"])
    assert disk.last_job()["id"] != job["id"]
    return job, reply


def fill_meanwhile(disk, hold, first):
    """Fill the disk where the call is held; make room when it even keeps the end from its row."""
    stuck = "event=job_end "
    hold.wait()
    disk.fill()
    before = disk.stack.worker.text().count(stuck)
    hold.go()
    wait_until(lambda: first.done() or disk.stack.worker.text().count(stuck) > before, 60)
    disk.free()


def test_no_work_below_the_floor(new_stack):
    stack = new_stack(disk="24m", conf={"limits": {"disk_floor": "8 MiB"}})
    known = stack.ordered("floor, known")
    assert stack.post(known).json["success"] is True
    ballast = stack.state / "ballast"
    ballast.write_bytes(bytes(20 << 20))
    told = check_error(stack.post(stack.ordered("floor")), 503, "disk_full")
    assert str(stack.state) not in told["error"]
    check_error(stack.post(stack.ordered("floor"), "/api/v1/builds"), 503, "disk_full")
    # What is there already is given still.
    stack.fetch(stack.post(known).json["filename"])
    ballast.unlink()
    assert stack.post(stack.ordered("floor")).json["success"] is True


def test_full_while_the_log_grows(disk, pool):
    request = disk.stack.ordered("full, log", "say before", "log 4000000")
    disk.fill(but=600 << 10)
    job, _ = check_lost(disk, request, pool.submit(disk.stack.post, request))
    log = disk.stack.get(f"/logs/{job['id']}.log").body
    # What could be written is the beginning of what was said.
    said = log.partition(b"before\n")[2]
    want = b"".join(b"%063d\n" % n for n in range(1, len(said) // 64 + 2))
    assert said and want.startswith(said)


def test_full_before_the_log(disk, pool):
    request = disk.stack.ordered("full, no log at all", "log 100000")
    hold = disk.gate.hold("POST /containers/.*/start", 0)
    first = pool.submit(disk.stack.post, request)
    fill_meanwhile(disk, hold, first)
    check_lost(disk, request, first)


def test_full_where_the_result_goes(disk, pool):
    request = disk.stack.ordered("full, result")
    hold = disk.gate.hold(RESULT)
    first = pool.submit(disk.stack.post, request)
    fill_meanwhile(disk, hold, first)
    assert check_lost(disk, request, first)[1].json["success"] is True


def test_full_where_our_error_zip_goes(disk, pool):
    request = disk.stack.ordered("full, error zip", "say no", "artifact none", "exit 1")
    hold = disk.gate.hold(RESULT)
    first = pool.submit(disk.stack.post, request)
    fill_meanwhile(disk, hold, first)
    assert check_lost(disk, request, first)[1].json["success"] is False


def test_full_where_the_job_is_recorded(disk):
    """Refused or built, never half: the log of the database may have room from earlier."""
    disk.fill()
    requests = [disk.stack.ordered(f"full, row {n}", "say here") for n in range(40)]
    replies = [disk.stack.post(request, "/api/v1/builds") for request in requests]
    refused = [n for n, reply in enumerate(replies) if reply.status != 202]
    assert refused, "the disk was not full"
    for n in refused:
        assert replies[n].status in (429, 503), replies[n]
        check_error(replies[n], replies[n].status)
    assert 503 in {replies[n].status for n in refused}
    disk.free()
    for reply in replies:
        if reply.status == 202:
            disk.stack.wait_job(reply.json["job"])
    for n in refused[:3]:
        assert disk.stack.post(requests[n]).json["success"] is True
    assert len(disk.stack.jobs("id", "state IN ('queued', 'running')")) == 0


def test_full_where_the_counts_go(disk):
    """Statistics are not worth an answer."""
    request = disk.stack.ordered("full, counts")
    assert disk.stack.post(request).json["success"] is True
    public = disk.stack.state / "public/stats.sqlite"
    with sqlite3.connect(public, isolation_level=None) as db:
        db.execute("BEGIN EXCLUSIVE")
        begun = time.monotonic()
        reply = disk.stack.post(request)
        assert reply.status == 200 and time.monotonic() - begun < 3, reply
        db.execute("ROLLBACK")


def test_a_worker_that_starts_on_a_full_disk(disk):
    """It says what it cannot write, or it runs and refuses; and all is well when there is room."""
    stack = disk.stack
    stack.kill_worker()
    disk.fill()
    worker = stack.start_worker(wait=False)
    wait_until(lambda: stack.worker_listens() or not worker.alive(), 30)
    if not worker.alive():
        assert worker.child.returncode != 0
        assert str(stack.state) in worker.text(), worker.text()
    disk.free()
    if not worker.alive():
        stack.start_worker()
    assert stack.post(stack.ordered("started full")).json["success"] is True


# --- databases

def hold_lock(path):
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")
    return db


def test_a_locked_jobs_database_refuses_new_work(disk):
    stack = disk.stack
    known = stack.post(stack.ordered("known to a lock")).headers["X-Kiisrv-Job"]
    request = stack.ordered("locked out")
    lock = hold_lock(stack.state / "queue/jobs.sqlite")
    try:
        told = check_error(stack.post(request), 503)
        assert "sqlite" not in told["error"].lower()
        assert stack.job(known)["state"] == "succeeded"
        assert stack.get("/versions").status == 200
    finally:
        lock.close()
    assert stack.post(request).json["success"] is True


def test_an_end_waits_for_a_locked_database(disk, pool):
    """Longer than the worker's patience with one statement (5 s)."""
    stack = disk.stack
    hold = disk.gate.hold(RESULT)
    first = pool.submit(stack.post, stack.ordered("the end is locked out", "say once"))
    hold.wait()
    lock = hold_lock(stack.state / "queue/jobs.sqlite")
    hold.go()
    try:
        wait_until(lambda: "event=job_end " in stack.worker.text(), 30)
        assert not first.done()
    finally:
        lock.close()
    assert first.result(60).json["success"] is True
    job = disk.last_job()
    assert (job["state"], job["attempts"]) == ("succeeded", 1)
    assert stack.get(f"/logs/{job['id']}.log").text.count("once\n") == 1


def test_another_attempt_waits_for_a_locked_database(disk, pool):
    """And every attempt's log is kept under its number."""
    stack = disk.stack
    hold = disk.gate.hold("GET /containers/.*/logs")
    first = pool.submit(stack.post, stack.ordered("again is locked out", "say an attempt", "kill"))
    hold.wait()
    lock = hold_lock(stack.state / "queue/jobs.sqlite")
    hold.go()
    try:
        wait_until(lambda: "event=requeue " in stack.worker.text(), 30)
    finally:
        lock.close()
    check_error(first.result(60), 503)
    job = disk.last_job()
    assert (job["state"], job["attempts"]) == ("lost", 3)
    for attempt in ("", ".1", ".2"):
        text = stack.get(f"/logs/{job['id']}{attempt}.log").text
        assert text.count("an attempt\n") == 1, (attempt, text)


def test_a_locked_table_of_versions_is_read_all_the_same(disk):
    lock = hold_lock(disk.stack.state / "queue/config.sqlite")
    try:
        assert disk.stack.get("/versions").status == 200
        assert disk.stack.post(disk.stack.ordered("versions locked")).json["success"] is True
    finally:
        lock.close()


def refuses(stack, *words):
    worker = stack.start_worker(wait=False)
    wait_until(lambda: not worker.alive(), 30)
    assert worker.child.returncode != 0
    assert all(word in worker.text() for word in words), worker.text()
    stack.old_logs.append(stack.processes.pop("worker"))


def restart_public(stack, *names):
    for name in names:
        assert stack.processes[name].stop() == 0
        stack.start_public(name)
    # Until it listens nginx says 502.
    paths = {"build": "/", "jobs": "/api/v1/jobs/x", "stats": "/stats", "versions": "/versions"}
    wait_until(lambda: 502 not in {stack.get(paths[name]).status for name in names}, 30)


def refuses_get(stack, path):
    """nginx may know an answer from a second ago."""
    reply = wait_until(lambda: (lambda r: r if r.status != 200 else None)(stack.get(path)), 20)
    assert "sqlite" not in check_error(reply, 503)["error"]


def set_version(path, number):
    with sqlite3.connect(path) as db:
        old = db.execute("PRAGMA user_version").fetchone()[0]
        db.execute(f"PRAGMA user_version = {number}")
    return old


def test_a_newer_jobs_database(disk):
    stack = disk.stack
    job = stack.post(stack.ordered("of an older program")).headers["X-Kiisrv-Job"]
    assert stack.worker.stop() == 0
    path = stack.state / "queue/jobs.sqlite"
    old = set_version(path, 99)
    refuses(stack, "jobs.sqlite", "99")
    restart_public(stack, "jobs")
    refuses_get(stack, f"/api/v1/jobs/{job}")
    assert "99" in stack.processes["jobs"].text()
    set_version(path, old)
    stack.start_worker()
    assert stack.job(job)["state"] == "succeeded"
    assert stack.post(stack.ordered("of an older program")).headers["X-Kiisrv-Job"] == job


def test_a_newer_table_of_versions(disk):
    stack = disk.stack
    assert stack.worker.stop() == 0
    path = stack.state / "queue/config.sqlite"
    old = set_version(path, 99)
    refuses(stack, "config.sqlite", "99")
    restart_public(stack, "versions", "build")
    refuses_get(stack, "/versions")
    check_error(stack.post({"env": "v0.5.6", "config": stack.layout("MD1-Standard")}), 503)
    assert "99" in stack.processes["versions"].text()
    set_version(path, old)
    stack.start_worker()
    assert stack.get("/versions").status == 200
    assert stack.post(stack.ordered("versions are back")).json["success"] is True


def test_newer_statistics(disk):
    """`build` does not start without them, and says why."""
    stack = disk.stack
    assert stack.processes["build"].stop() == 0
    path = stack.state / "public/stats.sqlite"
    old = set_version(path, 99)
    build = stack.start_public("build")
    wait_until(lambda: not build.alive(), 30)
    assert build.child.returncode != 0
    assert "stats.sqlite" in build.text() and "99" in build.text()
    check_error(stack.post(stack.ordered("no statistics")), 502)
    restart_public(stack, "stats")
    refuses_get(stack, "/stats")
    set_version(path, old)
    stack.old_logs.append(stack.processes.pop("build"))
    stack.start_public("build")
    wait_until(lambda: stack.get("/").status == 405, 20)
    assert stack.post(stack.ordered("statistics")).json["success"] is True


@pytest.mark.parametrize("name", ["jobs", "config"])
def test_a_read_only_database(disk, name):
    stack = disk.stack
    assert stack.worker.stop() == 0
    path = stack.state / f"queue/{name}.sqlite"
    before = path.stat()
    os.chown(path, 0, before.st_gid)
    path.chmod(0o440)
    refuses(stack, f"{name}.sqlite")
    assert stack.get("/versions").status == 200
    check_error(stack.post(stack.ordered("read only")), 503)
    os.chown(path, before.st_uid, before.st_gid)
    path.chmod(0o640)
    stack.start_worker()
    assert stack.post(stack.ordered("read only")).json["success"] is True


def test_a_read_only_state_folder(new_stack):
    stack = new_stack(start=False, disk="24m", conf={"limits": {"disk_floor": "0 B"}})
    subprocess.run(["mount", "-o", "remount,ro", stack.state], check=True)
    refuses(stack, str(stack.state), "Read-only file system")
    build = stack.start_public("build")
    wait_until(lambda: not build.alive(), 30)
    assert build.child.returncode != 0 and "stats.sqlite" in build.text(), build.text()
    subprocess.run(["mount", "-o", "remount,rw", stack.state], check=True)
    stack.start()
    assert stack.post(stack.ordered("read only no more")).json["success"] is True
