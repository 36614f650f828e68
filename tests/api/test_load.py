# SPDX-License-Identifier: MIT
"""One client asks for all there is: it gets its share and 429 for the rest, another is next when a slot
frees, and nothing of it stays behind."""

import concurrent.futures
import copy
import http.client
import itertools
import json
import os
import pathlib
import socket

import pytest

from client import ask, check_error
from gate import Gate
from stack import PUBLIC, TMP, Stack, wait_until

FLOOD = 6000 if os.environ.get("KIISRV_TEST_LONG") else 1000
OWN, QUEUE = 12, 20   # per_client, max_waiting
addresses = (f"127.0.{n // 250 + 1}.{n % 250 + 1}" for n in itertools.count())


class Load:
    """A stack with one slot, which the gate can keep busy for as long as a test likes."""

    def __init__(self, engine):
        self.gate = Gate(TMP / "gate-load", engine.socket, os.stat(engine.socket).st_gid)
        os.environ["ASAN_OPTIONS"] = "quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
        try:
            self.stack = Stack(engine, conf={
                "docker": {"socket_path": self.gate.path},
                "queue": {"slots": 1, "per_client": OWN, "max_waiting": QUEUE}})
            self.stack.start()
        finally:
            del os.environ["ASAN_OPTIONS"]
        self.config = self.stack.layout("MD1-Standard")

    def close(self):
        self.gate.open()
        self.stack.stop()
        self.gate.close()

    def document(self, name, *orders):
        config = copy.deepcopy(self.config)
        config["header"]["Author"] = name
        config["custom"] = {"0": "".join(f"//! {order}\n" for order in orders)}
        return json.dumps({"env": "v0.5.6", "config": config}).encode()

    def post(self, address, body, path="/api/v1/builds", headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.stack.port, timeout=300,
                                                source_address=(address, 0))
        return ask(connection, "POST", path, body,
                   {"Content-Type": "application/json", **(headers or {})})

    def occupy(self, address, name):
        """A job of this client's that has the slot until the hold is let go."""
        hold = self.gate.hold("POST /containers/.*/start")
        reply = self.post(address, self.document(name))
        assert reply.status == 202, reply
        hold.wait()
        return hold, reply.json["job"]

    def tell_worker(self, messages):
        """As its own user may, past nginx and the executables: its answers."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(str(self.stack.run / "worker/worker.sock"))
            lines = s.makefile()
            told = []
            for message in messages:
                s.sendall(json.dumps(message).encode() + b"\n")
                told.append(json.loads(lines.readline()))
            return told

    def started(self, job):
        return self.stack.jobs("started", f"id = '{job}'")[0]["started"]

    def figures(self):
        """{process: (memory in MiB, descriptors)} of all of ours."""
        found = {}
        leaders = {self.stack.processes[name].pid: name for name in (*PUBLIC, "worker")}
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                leader = os.getpgid(int(folder.name))
                if leader not in leaders:
                    continue
                status = (folder / "status").read_text().splitlines()
                rss = next(int(line.split()[1]) >> 10 for line in status if "VmRSS" in line)
                found[leaders[leader], folder.name] = rss, len(os.listdir(folder / "fd"))
            except (OSError, StopIteration):
                continue
        return found

    def figures_of(self, name):
        """Of its process that has most descriptors."""
        return max((found for (leader, _), found in self.figures().items() if leader == name),
                   key=lambda f: f[1])

    def settles(self, before):
        """As many descriptors as before, and not much more memory."""
        def same():
            after = self.figures()
            assert set(after) == set(before), "a process has died"
            return all(after[p][1] <= before[p][1] + 3 for p in before)
        wait_until(same, 30, 0.2)
        after = self.figures()
        for process, (rss, _) in before.items():
            assert after[process][0] <= rss + 60, (process, rss, after[process][0])


@pytest.fixture(scope="module")
def load(engine):
    made = Load(engine)
    yield made
    made.close()


@pytest.fixture
def pool(load):
    with concurrent.futures.ThreadPoolExecutor(500) as made:
        yield made
        load.gate.open()


@pytest.fixture(autouse=True)
def settled(load):
    assert load.post(next(addresses), load.document("warm"), "/download.php").status == 200
    before = load.figures()
    yield
    load.gate.open()
    wait_until(lambda: not load.stack.jobs("id", "state IN ('queued', 'running')"), 120)
    load.settles(before)


def test_a_flood_of_requests(load, pool):
    """nginx lets through what it may, the worker takes its client's share of that."""
    greedy, modest = next(addresses), next(addresses)
    hold, first = load.occupy(greedy, "flood, first")

    def one(n):
        # An address that it only claims to have.
        return load.post(greedy, load.document(f"flood {n}"),
                         headers={"X-Forwarded-For": f"198.51.100.{n % 250}"})

    def twentieth(n):
        return [one(m) for m in range(n, FLOOD, 20)]
    flood = [pool.submit(twentieth, n) for n in range(20)]
    wait_until(lambda: len(load.stack.jobs("id", "state = 'queued'")) == OWN - 1, 60)
    # Another client in the middle of it.
    answer = pool.submit(load.post, modest, load.document("flood, modest"), "/download.php")
    replies = [reply for part in flood for reply in part.result()]
    taken = [r.json["job"] for r in replies if r.status == 202]
    assert len(taken) == OWN - 1, "its share, with the one that runs"
    codes = {check_error(r, 429)["code"] for r in replies if r.status != 202}
    assert codes == {"too_many_jobs", "too_many_requests"}
    assert not answer.done()
    other = load.stack.jobs("id", f"client = '{modest}'")[0]["id"]
    hold.go()
    assert answer.result(60).json["success"] is True
    # The other's was the next, whenever it came.
    for job in taken:
        assert load.stack.wait_job(job)["state"] == "succeeded"
        assert load.started(first) < load.started(other) < load.started(job)


def test_a_flood_past_nginx(load):
    """Thousands of different requests in the worker's own ears."""
    greedy = next(addresses)
    hold, _ = load.occupy(greedy, "past nginx, first")
    told = load.tell_worker(
        {"op": "submit", "tag": n, "kind": "firmware", "client": greedy,
         "request": json.loads(load.document(f"past nginx {n}"))} for n in range(FLOOD))
    taken = [t for t in told if t["ok"]]
    assert len(taken) == OWN - 1
    assert {(t["status"], t["code"], t["retry_after"] > 0) for t in told if not t["ok"]} == {
        (429, "too_many_jobs", True)}
    assert [t["place"] for t in taken] == list(range(1, OWN))
    # Behind all of these, but before them.
    modest = load.post(next(addresses), load.document("past nginx, modest"))
    assert modest.status == 202 and modest.json["place"] == 1
    for t in load.tell_worker({"op": "cancel", "tag": 0, "job": t["job"]} for t in taken):
        assert t["ok"] is True and t["state"] == "cancelled", t
    hold.go()
    assert load.stack.wait_job(modest.json["job"])["state"] == "succeeded"


def test_a_full_queue_and_turns(load):
    """Three clients fill the queue; a fourth must wait outside; they are served in turns."""
    greedy, modest, third, fourth = (next(addresses) for _ in range(4))
    hold, _ = load.occupy(greedy, "turns, first")
    jobs = {greedy: [], modest: [], third: []}
    for address, share in ((greedy, OWN - 1), (modest, 5), (third, QUEUE - OWN + 1 - 5)):
        for n in range(share):
            reply = load.post(address, load.document(f"turns {address} {n}"))
            assert reply.status == 202, reply
            jobs[address].append(reply.json["job"])
    told = check_error(load.post(fourth, load.document("turns, outside")), 429, "queue_full")
    assert str(QUEUE) in told["error"]
    # Who joins a job that waits takes no place.
    joined = load.post(fourth, load.document(f"turns {modest} 0"))
    assert joined.status == 202 and joined.json["job"] == jobs[modest][0]
    # Where a job stands is told alike by all: by turns, with who is served already at the end.
    turns = [jobs[modest][0], jobs[third][0], jobs[greedy][0], jobs[modest][1]]
    assert [load.stack.job(job)["place"] for job in turns] == [1, 2, 3, 4]
    assert [t["place"] for t in load.tell_worker(
        {"op": "attach", "tag": 0, "job": job} for job in turns)] == [1, 2, 3, 4]
    hold.go()
    for job in turns:
        assert load.stack.wait_job(job)["state"] == "succeeded"
    times = [load.started(job) for job in turns]
    assert times == sorted(times)
    load.tell_worker({"op": "cancel", "tag": 0, "job": job["id"]} for job in
                     load.stack.jobs("id", "state IN ('queued', 'running')"))
    assert load.post(fourth, load.document("turns, inside"), "/download.php").status == 200


def test_many_who_wait_for_one_job(load, pool):
    """One job, counted once; other routes and other work go on; all hear the same."""
    hold, job = load.occupy(next(addresses), "joined")
    body = load.document("joined")
    waiting = [pool.submit(load.post, address, body, "/download.php")
               for address in (next(addresses) for _ in range(4)) for _ in range(100)]
    wait_until(lambda: load.figures_of("build")[1] > len(waiting), 60)
    assert not any(f.done() for f in waiting)
    for path in ("/versions", "/layouts/", f"/api/v1/jobs/{job}"):
        assert load.stack.get(path, timeout=5).status == 200
    assert load.post(next(addresses), load.document("not joined")).status == 202
    assert len(load.stack.jobs("id", "state IN ('queued', 'running')")) == 2
    hold.go()
    replies = [f.result(60) for f in waiting]
    assert {(reply.status, reply.body) for reply in replies} == {(200, replies[0].body)}
    assert replies[0].json["success"] is True
    assert {reply.headers["X-Kiisrv-Job"] for reply in replies} == {job}


def test_one_who_holds_too_many(load, pool):
    """Beyond what nginx lets one address hold: 429 at once, and the held ones are answered."""
    hold, job = load.occupy(next(addresses), "held")
    body = load.document("held")
    greedy = next(addresses)
    waiting = [pool.submit(load.post, greedy, body, "/download.php") for _ in range(400)]
    refused = wait_until(lambda: (lambda done: done if len(done) >= 100 else None)(
        [f for f in waiting if f.done()]), 60)
    for f in refused:
        check_error(f.result(), 429, "too_many_requests")
    hold.go()
    replies = [f.result(60) for f in waiting]
    held = [reply for reply in replies if reply.status == 200]
    assert held and {reply.headers["X-Kiisrv-Job"] for reply in held} == {job}
    assert {reply.status for reply in replies} == {200, 429}


def test_clients_that_leave(load):
    """Hundreds hang up while they wait, in the middle of a body or of an answer."""
    hold, job = load.occupy(next(addresses), "left")
    body = load.document("left")
    head = (f"POST /download.php HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()
    for n in range(400):
        if n % 100 == 0:
            address = next(addresses)
        connection = http.client.HTTPConnection("127.0.0.1", load.stack.port,
                                                source_address=(address, 0))
        connection.connect()
        connection.sock.sendall((head + body)[:len(head) + len(body) * (n % 3 + 1) // 3])
        connection.sock.close()
    assert load.stack.get("/versions", timeout=5).status == 200
    hold.go()
    assert load.stack.wait_job(job)["state"] == "succeeded"
    assert load.post(next(addresses), body, "/download.php").json["success"] is True
