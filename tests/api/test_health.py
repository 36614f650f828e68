# SPDX-License-Identifier: MIT
"""GET /healthz, GET /metrics and `kiisrvctl doctor` on a whole stack, well and not."""

import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import threading

import pytest

from client import check_error
from stack import PREFIX, PUBLIC, Engine, as_user, wait_until

FIRST = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
SAMPLE = re.compile(
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)"
    r'(?:\{(?P<labels>[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
    r'(?:,[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*")*)\})?'
    r" (?P<value>[0-9]+(?:\.[0-9]+)?|\+Inf)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


class Metrics:
    """A scrape, read as strictly as the format is written down."""

    def __init__(self, text):
        assert text.endswith("\n")
        self.types = {}
        self.samples = {}
        helped, current = set(), None
        for line in text[:-1].split("\n"):
            if line.startswith("# HELP "):
                name, told = line[7:].split(" ", 1)
                assert FIRST.fullmatch(name) and told and name not in helped, line
                helped.add(name)
            elif line.startswith("# TYPE "):
                current, kind = line[7:].split(" ")
                assert current in helped and current not in self.types, line
                assert kind in ("counter", "gauge", "histogram"), line
                self.types[current] = kind
            else:
                self.sample(line, current)
        for name, kind in self.types.items():
            assert name.startswith("kiisrv_")
            assert name.endswith("_total") == (kind == "counter"), name
            if kind == "histogram":
                self.check_histogram(name)

    def sample(self, line, family):
        found = SAMPLE.fullmatch(line)
        assert found, line
        suffixes = ("_bucket", "_sum", "_count") if self.types[family] == "histogram" else ("",)
        assert found["name"] in [family + s for s in suffixes], line
        labels = dict(LABEL.findall(found["labels"] or ""))
        key = (found["name"], tuple(sorted(labels.items())))
        assert key not in self.samples, line
        self.samples[key] = float(found["value"])

    def check_histogram(self, name):
        boards = {dict(labels)["board"] for n, labels in self.samples if n.startswith(name)}
        for board in boards:
            rows = [(float(dict(labels)["le"]), value)
                    for (n, labels), value in self.samples.items()
                    if n == name + "_bucket" and dict(labels)["board"] == board]
            assert rows == sorted(rows) and rows[-1][0] == float("inf"), rows
            assert [v for _, v in rows] == sorted(v for _, v in rows), rows
            assert self.get(name + "_count", board=board) == rows[-1][1]
            assert self.get(name + "_sum", board=board) is not None

    def get(self, name, **labels):
        return self.samples.get((name, tuple(sorted(labels.items()))))


def scrape(stack):
    reply = stack.get("/metrics")
    assert reply.status == 200, reply
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert reply.headers["Cache-Control"] == "no-store"
    return Metrics(reply.text)


def healthz(stack, status=None):
    reply = stack.get("/healthz")
    assert reply.headers["Cache-Control"] == "no-store"
    told = reply.json
    assert told["ok"] is (reply.status == 200) is (not told["reasons"]), told
    if reply.status != 200:
        check_error(reply, 503, "unhealthy")
    if status is not None:
        assert reply.status == status, told
    return told


def wait_healthy(stack):
    return wait_until(lambda: (lambda told: told if told["ok"] else None)(healthz(stack)), 60, 0.2)


def wait_reason(stack, reason):
    """/healthz once it names the reason."""
    def told():
        answer = healthz(stack)
        return answer if any(r.startswith(reason) for r in answer["reasons"]) else None
    return wait_until(told, 60, 0.2)


# --- /healthz

def test_a_stack_in_order_is_healthy(stack):
    told = wait_healthy(stack)
    checks = told["checks"]
    assert checks["databases"] == {"jobs": "ok", "config": "ok", "stats": "ok"}
    assert checks["disk"]["free"] > checks["disk"]["floor"] == 64 << 20
    assert checks["worker"]["up"] is True and checks["worker"]["slots"] > 0
    assert checks["engine"]["up"] is True and checks["engine"]["kind"] == stack.engine.name
    version = json.loads(stack.engine.ask("GET", "/version").body)["Version"]
    assert checks["engine"]["version"] == version
    assert 0 <= checks["engine"]["age"] <= 60
    there = {i["container"] for i in checks["images"] if i["there"]}
    assert {"controller-057", "controller-050"} <= there and "controller-055" not in there
    head = stack.request("HEAD", "/healthz")
    assert head.status == 200 and head.body == b""


def test_nothing_inner_is_told(new_stack):
    mine = new_stack()
    mine.kill_worker()
    text = json.dumps(wait_reason(mine, "worker:"))
    for inner in (str(mine.state), str(mine.run), mine.engine.socket, "sqlite", "SQL"):
        assert inner not in text
    mine.start_worker()


def test_a_killed_worker_is_noticed_and_so_is_the_next_one(new_stack):
    mine = new_stack()
    wait_healthy(mine)
    mine.kill_worker()
    told = wait_reason(mine, "worker:")
    assert told["checks"]["worker"]["up"] is False
    numbers = scrape(mine)
    assert numbers.get("kiisrv_worker_up") == numbers.get("kiisrv_healthy") == 0
    mine.start_worker()
    wait_healthy(mine)
    assert scrape(mine).get("kiisrv_worker_up") == 1


def test_a_stopped_worker_holds_nobody_up(new_stack):
    """SIGSTOP: it takes connections and says nothing, and after a while takes none."""
    import signal
    import time
    mine = new_stack()
    mine.worker.kill(signal.SIGSTOP)
    try:
        wait_reason(mine, "worker:")
        begun = time.monotonic()
        for _ in range(5):
            healthz(mine, 503)
        assert time.monotonic() - begun < 15
    finally:
        mine.worker.kill(signal.SIGCONT)
    wait_healthy(mine)


class Relay:
    """Stands before an engine's socket; off, the engine is away for who comes by it."""

    def __init__(self, path, to):
        self.path, self.to = path, to
        self.pairs = []
        self.on()

    def on(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(64)
        shutil.chown(self.path, "root", "kiisrv-engine")
        os.chmod(self.path, 0o660)
        threading.Thread(target=self.serve, args=(self.listener,), daemon=True).start()

    def off(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.path.unlink()
        for pair in self.pairs:
            for s in pair:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.pairs = []

    def serve(self, listener):
        while True:
            try:
                here, _ = listener.accept()
            except OSError:
                return
            there = socket.socket(socket.AF_UNIX)
            there.connect(self.to)
            self.pairs.append((here, there))
            for pair in ((here, there), (there, here)):
                threading.Thread(target=self.copy, args=pair, daemon=True).start()

    @staticmethod
    def copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


@pytest.fixture
def relayed(new_stack, engine, tmp_path_factory):
    """A stack whose engine can be taken away."""
    folder = tmp_path_factory.mktemp("relay")
    for each in (folder, folder.parent, folder.parent.parent):
        each.chmod(0o755)
    relay = Relay(folder / "e.sock", engine.socket)
    mine = new_stack(start=False, conf={"docker": {"socket_path": str(relay.path)}})
    mine.engine = Engine(engine.name, f"unix://{relay.path}")
    mine.start()
    yield mine, relay
    if not relay.path.exists():
        relay.on()


def test_an_engine_that_goes_away_is_noticed(relayed):
    mine, relay = relayed
    wait_healthy(mine)
    relay.off()
    told = wait_reason(mine, "engine:")
    assert told["checks"]["engine"]["up"] is False
    assert scrape(mine).get("kiisrv_engine_up") == 0
    code, found = doctor(mine)
    assert code == 1 and any(f["level"] == "FAIL" and f["what"].startswith("engine: ")
                             for f in found["findings"]), found
    relay.on()
    wait_healthy(mine)


def test_an_engine_without_images_is_unhealthy(new_stack):
    mine = new_stack(conf={"firmware": {"image_prefix": "nobody-has-"}})
    told = wait_reason(mine, "images:")
    assert all(not i["there"] for i in told["checks"]["images"])
    assert scrape(mine).get("kiisrv_image_available", release="controller-057") == 0
    code, found = doctor(mine)
    assert code == 1 and any(f["what"] == "no version can be built" for f in found["findings"])


def test_a_full_disk_is_unhealthy(new_stack):
    mine = new_stack(conf={"limits": {"disk_floor": "1000000 GiB"}})
    told = wait_reason(mine, "disk:")
    assert told["checks"]["disk"]["free"] < told["checks"]["disk"]["floor"]
    assert doctor(mine)[0] == 1


def test_databases_that_are_not_as_they_should_be_are_unhealthy(new_stack):
    mine = new_stack()
    wait_healthy(mine)
    stats = mine.state / "public/stats.sqlite"
    with sqlite3.connect(stats, isolation_level=None) as db:
        db.execute("BEGIN IMMEDIATE")
        wait_reason(mine, "database stats: locked")
        db.execute("ROLLBACK")
    db.close()
    wait_healthy(mine)
    stats.rename(mine.root / "away")
    wait_reason(mine, "database stats: missing")
    (mine.root / "away").rename(stats)
    wait_healthy(mine)
    jobs = mine.state / "queue/jobs.sqlite"
    script = ("import sqlite3, sys; d = sqlite3.connect(sys.argv[1], timeout=10); "
              "d.execute('PRAGMA user_version = ' + sys.argv[2]); d.commit()")
    with sqlite3.connect(f"file:{jobs}?mode=ro", uri=True) as db:
        version = db.execute("PRAGMA user_version").fetchone()[0]
    for number, reason in ((version + 1, "database jobs: other_version"), (version, None)):
        subprocess.run([*as_user("kiisrv-engine"), "/usr/bin/python3", "-c", script, str(jobs),
                        str(number)], check=True, cwd="/")
        if reason:
            wait_reason(mine, reason)
    wait_healthy(mine)


# --- /metrics

def test_a_build_is_counted(stack):
    labels = {"board": "MD1", "release": "controller-057"}
    before = scrape(stack)

    def grown(name, **more):
        return (scrape(stack).get(name, **more) or 0) - (before.get(name, **more) or 0)
    config = stack.layout("MD1-Standard")
    config["header"]["Author"] = f"metrics {os.getpid()} {stack.engine.name}"
    stack.built(config)
    wait_until(lambda: grown("kiisrv_requests_total", success="true", **labels) == 1, 10)
    assert grown("kiisrv_builds_total", outcome="built", **labels) == 1
    assert grown("kiisrv_build_duration_seconds_count", board="MD1") == 1
    assert grown("kiisrv_build_duration_seconds_sum", board="MD1") > 0
    assert grown("kiisrv_cache_hits_total", success="true", **labels) == 0
    stack.built(config)
    wait_until(lambda: grown("kiisrv_requests_total", success="true", **labels) == 2, 10)
    assert grown("kiisrv_cache_hits_total", success="true", **labels) == 1
    assert grown("kiisrv_builds_total", outcome="built", **labels) == 1


def test_what_runs_and_waits_is_told(new_stack):
    import concurrent.futures
    mine = new_stack(conf={"queue": {"slots": 1}})
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(mine.post, mine.ordered(f"queue {n}", "tick 4")) for n in range(2)]

        def both():
            numbers = scrape(mine)
            return (numbers.get("kiisrv_jobs_running") == 1 and
                    numbers.get("kiisrv_jobs_queued") == 1 and numbers.get("kiisrv_slots") == 1)
        wait_until(both, 30, 0.1)
        assert all(a.result(120).status == 200 for a in answers)
    wait_until(lambda: scrape(mine).get("kiisrv_jobs_running") == 0, 30)


def test_a_hundred_watchers_ask_the_worker_once(stack):
    import concurrent.futures
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda n: stack.get(("/healthz", "/metrics")[n % 2]), range(200)))
    assert {r.status for r in replies} == {200}


# --- doctor

def doctor(stack, user=None, text=False):
    """Exit status and what it says."""
    run = subprocess.run(
        [*(as_user(user) if user else ()), str(PREFIX / "sbin/kiisrvctl"), "-c", str(stack.conf),
         *(() if text else ("--json",)), "doctor"],
        capture_output=True, text=True, timeout=120, cwd="/", check=False,
        env={k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")})
    assert run.stderr == "", run.stderr
    return run.returncode, run.stdout if text else json.loads(run.stdout)


def test_the_doctor_has_nothing_against_a_stack_in_order(stack):
    wait_healthy(stack)
    code, told = doctor(stack)
    against = [f for f in told["findings"] if f["level"] != "ok"]
    assert code == 0 and told["ok"] is True and told["failures"] == 0, against
    for finding in against:
        assert finding["level"] == "warn" and finding["todo"], finding
        assert finding["what"].startswith(("version ", "engine: live-restore")), finding
    texts = [f["what"] for f in told["findings"]]
    assert "user kiisrv does not reach the engine's socket" in texts
    assert "user kiisrv reaches the worker" in texts
    for name in PUBLIC:
        assert f"{name}: nginx reaches it" in texts


def test_the_doctors_lines(stack):
    code, text = doctor(stack, text=True)
    assert code == 0
    *lines, summary = text.splitlines()
    assert re.fullmatch(r"\d+ ok, \d+ warnings?, 0 failures", summary)
    for line in lines:
        assert re.fullmatch(r"(ok  |warn|FAIL)  \S.*", line), line
        assert line.startswith("ok") or re.search(" (—|--) ", line), line


@pytest.mark.parametrize("user", ["kiisrv", "kiisrv-engine", "nobody"])
def test_the_doctor_tells_a_plain_user_what_he_can_see(stack, user):
    code, told = doctor(stack, user)
    assert code == 0, [f for f in told["findings"] if f["level"] == "FAIL"]
    assert told["findings"][1]["what"].startswith("not root"), told


def test_the_doctor_sees_what_is_wrong(new_stack):
    mine = new_stack()
    wait_healthy(mine)
    (mine.state / "engine").chmod(0o755)
    os.chown(mine.run / "public/jobs.sock", 0, 0)
    os.chmod(mine.conf, 0o666)
    assert mine.processes["layouts"].stop() == 0
    code, told = doctor(mine)
    bad = {f["what"]: f["todo"] for f in told["findings"] if f["level"] == "FAIL"}
    assert code == 1 and told["ok"] is False and len(bad) == told["failures"] == 4, bad
    for part in (f"{mine.state}/engine is kiisrv-engine:kiisrv-engine 0755",
                 "jobs: nginx may not use", "user kiisrv may write", "layouts does not run"):
        assert any(part in what for what in bad), (part, bad)
    mine.start_public("layouts")
    # What it says mends it.
    for todo in bad.values():
        if todo.startswith("ch"):
            subprocess.run(todo, shell=True, check=True)
    wait_until(lambda: doctor(mine)[0] == 0, 30)


def test_a_worker_that_is_down_fails_at_the_doctors(new_stack):
    mine = new_stack()
    mine.kill_worker()
    code, told = doctor(mine)
    assert code == 1
    assert [f["what"].split(":")[0] for f in told["findings"] if f["level"] == "FAIL"] == ["worker"]
    mine.start_worker()
