# SPDX-License-Identifier: MIT
"""worker.sock in the hands of user kiisrv gone bad: whatever it says, the worker takes no harm, trusts
nothing of it and goes on serving others."""

import json
import os
import pathlib
import subprocess

import pytest

from stack import Stack, as_user, wait_until

# What the peer runs, with the test's own data as `data`, before the test's code.
PEER = """
import json, socket, sys, time
MIB = 1 << 20
data = sys.stdin.buffer.read()
def connect(seconds=60):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(seconds)
    while True:
        try:
            s.connect(sys.argv[1])
            return s
        except BlockingIOError:
            time.sleep(0.002)   # the backlog is full
def say(s, what):
    try:
        s.sendall(what)
        return True
    except (BrokenPipeError, ConnectionResetError):
        return False
def lines(s, n):
    got = b""
    while got.count(b"\\n") < n:
        try:
            part = s.recv(1 << 20)
        except ConnectionResetError:
            break
        if not part:
            break
        got += part
    return [json.loads(line) for line in got.splitlines()]
def is_served(s):
    return say(s, b'{"op": "status", "tag": 1}\\n') and [l["ok"] for l in lines(s, 1)] == [True]
def result(what):
    print(json.dumps(what), flush=True)
"""


def command(stack, code, user="kiisrv"):
    start = [] if user == "root" else as_user(user)
    return [*start, "/usr/bin/python3", "-c", PEER + code, str(stack.run / "worker/worker.sock")]


def peer(stack, code, data=b"", user="kiisrv"):
    """Run it to its end: its result."""
    run = subprocess.run(command(stack, code, user), input=data, capture_output=True, timeout=120,
                         cwd="/", check=False)
    assert run.returncode == 0, run.stderr[-3000:].decode()
    return json.loads(run.stdout)


def answers(stack, *messages, user="kiisrv"):
    """What the worker answers to each of these, on one connection."""
    text = "".join(json.dumps(message) + "\n" for message in messages)
    told = peer(stack, "s = connect(); say(s, data); result(lines(s, data.count(b'\\n')))",
                text.encode(), user)
    assert len(told) == len(messages), told
    return told


def figures(stack):
    """Memory in MiB and descriptors of the worker."""
    status = pathlib.Path(f"/proc/{stack.worker.pid}/status").read_text()
    rss = next(int(line.split()[1]) >> 10 for line in status.splitlines() if "VmRSS" in line)
    return rss, len(os.listdir(f"/proc/{stack.worker.pid}/fd"))


def builds(stack, name="known already"):
    return stack.post(stack.ordered(f"beside the peer: {name}")).json["success"] is True


@pytest.fixture(scope="module")
def stack(engine):
    """Its sanitizer keeps no freed memory, so that the worker's size says something."""
    os.environ["ASAN_OPTIONS"] = "quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
    try:
        made = Stack(engine)
        made.start()
    finally:
        del os.environ["ASAN_OPTIONS"]
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(autouse=True)
def unharmed(stack):
    """Every test leaves the same process, which holds no more than before and builds."""
    worker = stack.worker
    assert builds(stack)
    rss, fds = figures(stack)
    yield
    assert stack.worker is worker and worker.alive()
    wait_until(lambda: figures(stack)[1] <= fds + 2, 20)
    assert figures(stack)[0] < rss + 100, "the worker has kept memory"
    assert builds(stack)


GARBAGE = {
    "nothing": b"\n\n\n",
    "NULs": b"\0" * 1000 + b"\n",
    "noise": bytes(range(256)).replace(b"\n", b"") * 100 + b"\n",
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "no JSON": b"status\n",
    "a list": b"[]\n",
    "a number": b"1" * 100000 + b"\n",
    "half of it": b'{"op": "status"\n',
    "something after it": b'{"op": "status"} {}\n',
    "an op twice": b'{"op": "status", "op": "gc"}\n',
    "an op that is none": b'{"op": 7}\n',
    "a NUL in it": b'{"op": "status\\u0000"}\n',
    "no UTF-8": b'{"op": "\xff\xfe"}\n',
    "half a surrogate": b'{"op": "\\ud800"}\n',
    "deep": b'{"op":' + b"[" * 200000 + b"]" * 200000 + b"}\n",
    "wide": b'{"op":"status","x":[' + b"{}," * 500000 + b"{}]}\n",
    "an unknown op": b'{"op": "shutdown"}\n',
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_answered_and_the_connection_goes_on(stack, name):
    told, goes_on = peer(stack, """
s = connect()
say(s, data)
result([lines(s, data.count(b"\\n")), is_served(s)])
""", GARBAGE[name])
    assert len(told) == GARBAGE[name].count(b"\n") and goes_on
    for answer in told:
        assert answer["ok"] is False and answer["status"] in (400, 413), answer
        assert len(json.dumps(answer)) < 2000


def test_an_endless_line(stack):
    sent = peer(stack, """
s = connect()
sent = 0
while sent < 100 and say(s, b"x" * MIB):
    sent += 1
result(sent)
""")
    assert sent < 20


def test_a_line_of_single_bytes(stack):
    assert peer(stack, """
s = connect()
for byte in b'{"op": "status", "tag": 1}\\n':
    say(s, bytes([byte]))
result(lines(s, 1)[0]["ok"])
""") is True


def test_many_lines_at_once_are_answered_in_turn(stack):
    told = answers(stack, *({"op": "status", "tag": n} for n in range(2000)))
    assert [answer["tag"] for answer in told] == list(range(2000))


def test_who_asks_and_never_reads(stack):
    """It is dropped when its answers are too many; its own sending may be held up before."""
    assert peer(stack, """
s = connect(5)
line = b'{"op": "status", "tag": 1}\\n' * 1000
try:
    end = next(n for n in range(2000) if not say(s, line))
except (TimeoutError, StopIteration):
    end = None
t = connect()
result([end is not None, is_served(t)])
""") == [True, True]


def test_half_lines_of_many(stack):
    """Each within its right, and all together too much: some are dropped, the others served."""
    peak, served = 0, None
    code = """
held = []
for n in range(50):
    held.append(connect())
    say(held[-1], b'{"op": "' + b"x" * (4 * MIB))
result(None)
time.sleep(10)
"""
    with subprocess.Popen(command(stack, code), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          cwd="/") as held:
        try:
            assert held.stdout.readline()
            peak = figures(stack)[0]
            served = builds(stack, "half lines")
        finally:
            held.kill()
    assert served and peak < 400, peak


def test_thousands_of_connections(stack):
    """They find no end of it; who was there before and the worker's own people notice nothing."""
    code = """
held, refused = [], 0
for n in range(3000):
    s = connect()
    try:
        s.setblocking(False)
        refused += s.recv(1) == b""
    except BlockingIOError:
        held.append(s)
    except ConnectionResetError:
        refused += 1
result([len(held), refused])
time.sleep(10)
"""
    with subprocess.Popen(command(stack, code), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          cwd="/") as held:
        try:
            assert held.stdout.readline()
            assert builds(stack, "thousands")
            assert answers(stack, {"op": "status", "tag": 1}, user="root")[0]["ok"] is True
            assert figures(stack)[1] < 200
        finally:
            held.kill()
    assert 1 <= stack.worker.text().count("peers_refused") < 50, "its log can be flooded"


def test_connections_that_come_and_go(stack):
    assert peer(stack, """
for n in range(3000):
    s = connect()
    if n % 3:
        say(s, b'{"op": "status"}\\n{"op'[:n % 25])
    s.close()
result(is_served(connect()))
""") is True


# --- what it must not do, and what is not believed

def test_what_only_root_and_the_worker_may(stack):
    job = stack.jobs("id")[0]["id"]
    for message in ({"op": "cancel", "job": job}, {"op": "retry", "job": job},
                    {"op": "gc", "dry_run": False}, {"op": "gc", "dry_run": True}):
        told = answers(stack, message)[0]
        assert (told["ok"], told["status"], told["code"]) == (False, 403, "forbidden"), told
    assert answers(stack, {"op": "gc", "dry_run": True}, user="root")[0]["ok"] is True


@pytest.mark.parametrize("kind", [None, 7, "", "image", "Firmware", "firmware\n", "operator", {}])
def test_other_kinds_of_jobs(stack, kind):
    request = stack.ordered("another kind")
    before = len(stack.jobs("id"))
    told = answers(stack, {"op": "submit", "tag": 5, "kind": kind, "client": "192.0.2.1",
                           "request": request})[0]
    assert (told["ok"], told["status"], told["field"], told["tag"]) == (False, 400, "kind", 5)
    assert len(stack.jobs("id")) == before


def test_what_is_forged_counts_for_nothing(stack):
    """Image, key and files are the worker's own to choose: the next honest client shares the job."""
    request = stack.ordered("forged", "say honest")
    forged = {"key": "f" * 64, "image": "sha256:" + "0" * 64, "release": "controller-999",
              "container": "controller-057", "artifact": "MD1-Standard-" + "0" * 32 + ".zip",
              "id": "0" * 32, "job": "0" * 32, "state": "succeeded", "cmd": ["/bin/sh"],
              "user": "0:0", "mounts": ["/:/host"], "script": "../../bin/sh", "git_tag": "v9",
              "attempts": 9, "admin": True, "uid": 0}
    told = answers(stack, {**forged, "op": "submit", "tag": 1, "kind": "firmware",
                           "client": "192.0.2.1", "request": {**forged, **request}})[0]
    assert told["ok"] is True, told
    assert told["job"] != forged["job"] and told["key"] != forged["key"]
    honest = stack.post(request)
    assert honest.json["success"] is True
    rows = stack.jobs("*", f"key = '{told['key']}'")
    assert [row["id"] for row in rows] == [told["job"]] == [honest.headers["X-Kiisrv-Job"]]
    row = dict(rows[0])
    first = dict(stack.jobs("*")[0])
    assert (row["image"], row["release"]) == (first["image"], first["release"])
    assert row["attempts"] == 1 and row["artifact"] != forged["artifact"]
    assert not {"cmd", "mounts", "admin"} & set(json.loads(row["request"]))
    assert "honest" in stack.get(f"/logs/{row['id']}.log").text.splitlines()


CLIENTS = {
    "a number": 7,
    "nothing": None,
    "very long": "x" * 1000000,
    "lines": "192.0.2.1\nlevel=error prog=kiisrv-worker event=forged_line",
    "quotes": "\" event=forged \\\" '; DROP TABLE Jobs; --",
    "no text": "\u0001\u0002\u001b[2J",
}


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_that_is_no_address(stack, name):
    request = stack.ordered(f"no address: {name}")
    told = answers(stack, {"op": "submit", "tag": 1, "kind": "firmware", "client": CLIENTS[name],
                           "request": request})[0]
    assert told["ok"] is True or told["status"] == 400, told
    if told["ok"]:
        assert stack.wait_job(told["job"])["state"] == "succeeded"
        row = stack.jobs("client", f"id = '{told['job']}'")[0]
        assert len(row["client"]) < 64
    lines = stack.worker.text().splitlines()
    assert all(line.startswith("level=") for line in lines)
    assert not [line for line in lines if "forged_line" in line.split("client=")[0]]
    assert "\x1b" not in stack.worker.text()


@pytest.mark.parametrize("job", [None, 7, "", "0" * 32, "0" * 33, "G" * 32, "../" * 10,
                                 "' OR 1 --", "0" * 31 + "\n", "0" * 1000000], ids=range(10))
def test_a_job_that_there_is_not(stack, job):
    told = answers(stack, {"op": "attach", "tag": 2, "job": job})[0]
    assert (told["ok"], told["status"], told["tag"]) == (False, 404, 2), told


@pytest.mark.parametrize("request_", [None, [], "x", 7, {}, {"env": 7}, {"env": "v0.5.6"},
                                      {"env": "../v0.5.6", "config": {}},
                                      {"env": "v0.5.6", "config": []},
                                      {"env": "x" * 1000000, "config": {}}], ids=range(10))
def test_a_request_that_is_none(stack, request_):
    before = len(stack.jobs("id"))
    told = answers(stack, {"op": "submit", "tag": 3, "kind": "firmware", "client": "192.0.2.1",
                           "request": request_})[0]
    assert told["ok"] is False and told["status"] in (400, 413) and told["tag"] == 3, told
    assert len(stack.jobs("id")) == before


@pytest.mark.parametrize("tag", ["1", 1.5, None, [], {}, True, -1, 1 << 63])
def test_a_tag_that_is_none(stack, tag):
    """It is given back or left out; a number beyond 64 bits is no JSON of ours."""
    told = answers(stack, {"op": "status", "tag": tag})[0]
    if told["ok"]:
        assert told.get("tag", tag) == tag
    else:
        assert told["status"] == 400, told
