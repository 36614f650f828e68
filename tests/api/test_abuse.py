# SPDX-License-Identifier: MIT
"""What somebody may do who means harm, at nginx as it is shipped and past it at the executables'
sockets: others are served meanwhile, nothing dies, and nothing is left. docs/security.md has the
figures (pytest -s prints them)."""

import concurrent.futures
import grp
import http.client
import json
import os
import pathlib
import resource
import select
import signal
import socket
import subprocess
import time

import pytest

import fastcgi
from client import ask, check_error, raw
from fastcgi import BEGIN, KEEP, PARAMS, STDIN, begin, params, record, whole
from stack import LAYOUTS, PUBLIC, Stack, as_user, wait_until
from test_http import head_of, planted   # noqa: F401 (a fixture)
from test_nginx import all_of, trickle

LONG = bool(os.environ.get("KIISRV_TEST_LONG"))
NO_JOB = "/api/v1/jobs/" + "0" * 32
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
MIB = 1 << 20


@pytest.fixture(scope="module")
def stack(engine):
    """Two seconds where nginx waits for tens of them; a sanitizer that keeps no freed memory."""
    hasty = {f"{what}_timeout {usual}": f"{what}_timeout 2s" for what, usual in (
        ("client_body", "30s"), ("client_header", "15s"), ("send", "60s"))}
    os.environ["ASAN_OPTIONS"] = "quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
    try:
        made = Stack(engine, nginx={} if LONG else hasty)
        made.start().start_operator("audit")
        made.start_operator("images")
        Peak(made, "build")
        wait_until(lambda: made.serves("audit") and made.serves("images"))
    finally:
        del os.environ["ASAN_OPTIONS"]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    try:
        yield made
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        made.stop()


def processes(stack):
    """{pid: (name, descriptors)} of all that serve."""
    leaders = {p.pid: name for name, p in stack.processes.items()}
    found = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            name = leaders.get(os.getpgid(int(folder.name)))
            if name and name != "nginx":   # it has helpers that come and go
                found[int(folder.name)] = name, len(os.listdir(folder / "fd"))
        except (OSError, ValueError):
            continue
    return found


@pytest.fixture(autouse=True)
def unharmed(stack):
    """Every test leaves the same processes, which hold nothing more than before, and serve."""
    before = processes(stack)
    yield
    others_are_served(stack)

    def same():
        after = processes(stack)
        for pid, (name, fds) in before.items():
            assert pid in after or name == "jobs", stack.processes[name].text()[-3000:]
            if pid in after and after[pid][1] > fds + 20:
                return False
        return True
    wait_until(same, 30)


def others_are_served(stack, seconds=20):
    """By the executables themselves, from another address."""
    for method, path, body, status in (("GET", NO_JOB, None, 404), ("POST", "/", b"{}", 400)):
        other = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=seconds,
                                           source_address=("127.0.2.1", 0))
        check_error(ask(other, method, path, body, {"Content-Type": "application/json"}), status)


def is_served(stack):
    try:
        others_are_served(stack)
        return True
    except (OSError, http.client.HTTPException, AssertionError):
        return False


class Peak:
    """The most memory in MiB that an executable takes meanwhile, beyond what it began with."""

    first = {}

    def __init__(self, stack, name):
        # The one that serves has more open than its keeper.
        self.pid = max((fds, pid) for pid, (of, fds) in processes(stack).items() if of == name)[1]
        self.begun_with = self.first.setdefault(self.pid, self.figure("VmRSS"))

    def figure(self, word):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) >> 10 for line in status if word in line)

    def __enter__(self):
        pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        self.begun = time.monotonic()
        return self

    def __exit__(self, *failed):
        self.ms = int(1000 * (time.monotonic() - self.begun))
        self.mib = self.figure("VmHWM") - self.begun_with

    @property
    def most(self):
        """What is allowed: a sanitizer's memory comes on top."""
        maps = pathlib.Path(f"/proc/{self.pid}/maps").read_text()
        return 300 if "libasan" in maps else 64


def tell(name, **figures):
    print(f"\n{name}:", *(f"{k}={v}" for k, v in figures.items()))


# --- slow clients, and many

def is_left(s, byte=b"", seconds=30):
    """Say a byte now and then until the server hangs up; how long that took."""
    begun = time.monotonic()
    s.settimeout(0.2)
    while time.monotonic() < begun + seconds:
        try:
            s.sendall(byte)
            if s.recv(65536) == b"":
                return time.monotonic() - begun
        except TimeoutError:
            continue
        except OSError:
            return time.monotonic() - begun
    raise AssertionError("it is held on to")


def test_a_header_that_trickles_in_has_an_end(stack):
    with trickle(stack, b"GET / HTTP/1.1\r\nX: ") as s:
        took = is_left(s, b"x")
    tell("header", s=round(took, 1))


def test_a_body_that_trickles_in_holds_nginx_alone(stack):
    """As long as it likes; the executable has not heard of it."""
    held = [trickle(stack, POST + b"Content-Length: 1000\r\n\r\n") for _ in range(100)]
    before = sum(fds for name, fds in processes(stack).values() if name == "build")
    for _ in range(8):
        for s in held:
            s.sendall(b" ")
        others_are_served(stack)
        time.sleep(0.3)
    assert sum(fds for name, fds in processes(stack).values() if name == "build") <= before + 1
    for s in held:
        s.close()


def test_who_does_not_read_is_left(stack):
    """Many answers of an executable are asked for, and none is read: it does not wait for that."""
    name = max(LAYOUTS.glob("*.json"), key=lambda path: path.stat().st_size).name
    size = len(stack.get(f"/layouts/{name}").body)
    count = (12 * MIB) // size

    def given_up():
        return [line for line in stack.processes["nginx"].text().splitlines()
                if "timed out" in line and name in line]
    held = []
    for _ in range(5):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(20)
        s.connect(("127.0.0.1", stack.port))
        s.sendall(f"GET /layouts/{name}?rev=x HTTP/1.1\r\nHost: x\r\n\r\n".encode() * count)
        held.append(s)
    begun = time.monotonic()
    others_are_served(stack)
    wait_until(lambda: len(given_up()) == len(held), 90)
    tell("who does not read", s=round(time.monotonic() - begun, 1))
    for s in held:
        got = 0
        try:
            while part := s.recv(1 << 20):
                got += len(part)
        except ConnectionResetError:
            pass
        assert got < count * size
        s.close()


BEGUN = {"silent": b"", "a header begun": b"GET / HTTP/1.1\r\nX: "}
if LONG:
    BEGUN["a body begun"] = POST + b"Content-Length: 9\r\n\r\n"


@pytest.mark.parametrize("what, data", BEGUN.items())
def test_more_connections_than_nginx_has(stack, what, data):
    """It has 2,000 here. Those that are silent make room at once, the others after their time:
    until then it hangs up on who comes, or says 500 where it gets no connection for itself."""
    held = []
    begun = time.monotonic()
    try:
        for _ in range(2500):
            held.append(socket.create_connection(("127.0.0.1", stack.port), 20))
            try:
                held[-1].sendall(data)
            except OSError:
                pass
        wait_until(lambda: is_served(stack), 40, 0.25)
        tell("connections, " + what, s=round(time.monotonic() - begun, 1))
    finally:
        for s in held:
            s.close()
    others_are_served(stack)


def error_of(s):
    reply = http.client.HTTPResponse(s)
    reply.begin()
    return reply.status, json.loads(reply.read())["code"]


def test_archives_at_a_time_are_limited(stack):
    """Whoever has a token or none: nginx takes 256 MiB before an executable can say no."""
    head = (b"POST /api/v1/images/sources HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Authorization: Bearer kii_" + b"0" * 64 + b"\r\nContent-Length: 99999999\r\n\r\n")

    held = [trickle(stack, head) for _ in range(9)]
    refused = select.select(held, [], [], 20)[0]
    assert [error_of(s) for s in refused] == [(429, "too_many_requests")]
    for s in held:
        s.close()


def test_a_large_body_is_told_what_is_wrong(stack):
    """And not that it is large: from elsewhere nobody gets to where archives go."""
    with trickle(stack, b"POST /api/v1/images/sources HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                 b"Content-Length: 99999999\r\n\r\n", "127.0.2.2") as s:
        assert error_of(s) == (403, "forbidden")


def test_a_large_archive_of_nobody_is_refused_as_such(stack):
    """More than an executable reads of what it does not want: its answer is not lost for that."""
    reply = stack.request("POST", "/api/v1/images/sources", bytes(80 * MIB),
                          {"Authorization": "Bearer kii_" + "0" * 64})
    check_error(reply, 401, "unauthorized")


def test_many_ranges_are_one_answer(stack, planted):   # noqa: F811
    planted("artifacts", "MD1-Standard-0123.zip", text="x" * 100000)
    reply = stack.get("/tmp/MD1-Standard-0123.zip",
                      {"Range": "bytes=" + ",".join(f"{n}-" for n in range(1000))})
    assert (reply.status, len(reply.body)) == (200, 100000)


# --- at the executables' sockets

def sockets(stack):
    return [stack.run / f"public/{name}.sock" for name in PUBLIC] + [
        stack.run / "operator/audit.sock"]


HALF = {
    "half a head": begin()[:5],
    "a beginning": begin(KEEP),
    "half of the parameters": begin() + params(REQUEST_METHOD="GET", REQUEST_URI="/")[:30],
    "half of a body": whole("POST", "/", b"x" * 200)[:-100],
}


def test_half_sent_records(stack):
    """At all sockets at once, as many at each as it has threads."""
    begun = time.monotonic()
    held = []
    for path in sockets(stack):
        for data in HALF.values():
            held.append(fastcgi.connect(path))
            held[-1].sendall(data)
    with concurrent.futures.ThreadPoolExecutor(len(sockets(stack))) as pool:
        told = list(pool.map(lambda path: fastcgi.ask(path, "GET", "/nowhere"), sockets(stack)))
    assert {status for status, _ in told} == {404}
    for s in held:
        assert s.recv(100) == b""
        s.close()
    tell("half-sent records", s=round(time.monotonic() - begun, 1))


LIES = {
    "another version": begin() + record(PARAMS, version=9),
    "an unknown kind": begin() + record(99, b"x" * 100) + whole(),
    "management": record(9, b"\x0f\x00FCGI_MPXS_CONNS", number=0),
    "a body first": record(STDIN, b"x" * 100),
    "an end": record(2),
    "two at a time": begin() + record(BEGIN, bytes(8), number=2) + params(REQUEST_URI="/"),
    "another role": begin(role=2) + params(REQUEST_METHOD="GET", REQUEST_URI="/versions"),
    "a length that is not there": begin() + record(PARAMS, b"x", length=65535),
    "a name beyond its record": begin() + record(PARAMS, b"\x7f\x7fx") + record(PARAMS),
    "names of 2 GiB": begin() + record(PARAMS, b"\xff" * 8 + b"A" * 60000) * 2 + record(PARAMS),
    "a name of 2 GiB": begin() + record(PARAMS, b"\xff" * 4 + b"\0" + b"A" * 60000) +
    record(PARAMS),
    "padding": begin() + record(PARAMS, padding=255) + record(STDIN),
    "many parameters": begin() + record(PARAMS, b"\1\1ab" * 16000) * 20 + record(PARAMS) +
    record(STDIN),
    "a body that goes on": whole("POST", "/", b"x" * 60000, CONTENT_LENGTH="1"),
    "noise": bytes(range(256)) * 300,
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
}


def test_records_that_are_none(stack):
    path = stack.run / "public/versions.sock"
    for name, data in LIES.items():
        with fastcgi.connect(path) as s:
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                all_of(s)
            except OSError:
                pass
        assert fastcgi.ask(path, "GET", "/versions")[0] == 200, name
    assert "child_died" not in stack.processes["versions"].text()


@pytest.mark.parametrize("length, status", [
    ("-1", 400), ("1e3", 400), ("0x10", 400), ("9" * 18, 413), ("9" * 40, 400), ("1 ", 400)])
def test_a_length_that_is_none(stack, length, status):
    path = stack.run / "public/build.sock"
    assert fastcgi.ask(path, "POST", "/", CONTENT_LENGTH=length,
                       CONTENT_TYPE="application/json")[0] == status


def test_thousands_of_connections_at_a_socket(stack):
    path = stack.run / "public/versions.sock"
    held = [fastcgi.connect(path) for _ in range(3000)]
    assert fastcgi.ask(path, "GET", "/versions")[0] == 200
    for s in held:
        s.close()


# --- JSON that is made to cost

def config_of(stack, **more):
    return {**stack.layout("MD1-Standard"), **more}


def wide(names):
    return '{"env": "latest", "config": {' + ",".join(f'"{n}":0' for n in names) + "}}"


COSTLY = {
    "as deep as may be": lambda stack: wide([]).replace("{}", '{"a":' * 30 + "0" + "}" * 30),
    "deeper": lambda stack: wide([]).replace("{}", '{"a":' * 300000 + "0" + "}" * 300000),
    "names alike": lambda stack: wide("x" * 30 + str(n) for n in range(49000)),
    "a name twice at the end": lambda stack: wide([*range(49000), 48999]),
    "too many values": lambda stack: wide(range(150000)),
    "a long integer": lambda stack: wide([]).replace("{}", "9" * 2000000),
    "a long real": lambda stack: wide([]).replace("{}", "0." + "1" * 2000000),
    "a long exponent": lambda stack: wide([]).replace("{}", "1e" + "9" * 2000000),
    "long reals": lambda stack: wide([]).replace("{}", "[" + ",".join(
        ["2.2250738585072011e-308"] * 49000) + "]"),
    "escapes": lambda stack: wide(["\\u00e9" * 330000]),
    "surrogates": lambda stack: wide(["\\ud83d\\ude00" * 160000]),
    "many defines": lambda stack: json.dumps({"env": "latest", "config": config_of(
        stack, defines=[{"name": f"a{n}", "value": ""} for n in range(14000)] +
        [{"name": "-", "value": ""}])}),
    "many animations": lambda stack: json.dumps({"env": "latest", "config": config_of(
        stack, animations={**{f"a{n}": {"settings": "", "frames": []} for n in range(14000)},
                           "-": {"settings": "", "frames": []}})}),
    "big layers": lambda stack: json.dumps({"env": "latest", "config": config_of(
        stack, custom={str(n): "#" + "\u00e9" * 38000 for n in range(8)},
        defines=[{"name": "-", "value": ""}])}),
}


SHORT = ("deeper", "names alike", "a name twice at the end", "a long integer", "escapes",
         "many defines", "big layers")


@pytest.mark.parametrize("name", COSTLY if LONG else SHORT)
def test_json_that_costs(stack, name):
    """Four at a time, which is all that are read at once."""
    body = COSTLY[name](stack).encode()
    assert len(body) <= 2 * MIB
    with Peak(stack, "build") as peak, concurrent.futures.ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: stack.post(body), range(4)))
    tell("JSON, " + name, ms=peak.ms, mib=peak.mib)
    for reply in replies:
        check_error(reply, 400)
    assert peak.mib < peak.most


# --- bodies

def chunked(body):
    return POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + body


CHUNKS = {
    "more than there may be": (b"100000\r\n" + b" " * MIB + b"\r\n") * 3 + b"0\r\n\r\n",
    "one of 16 EiB": b"ffffffffffffffff\r\n{}\r\n",
    "one of 7 EiB": b"7000000000000000\r\n{}\r\n",
    "one of many digits": b"1" * 100 + b"\r\n{}\r\n",
    "a size that is none": b"zz\r\n{}\r\n0\r\n\r\n",
    "a negative one": b"-2\r\n{}\r\n0\r\n\r\n",
    "a size that lies": b"1\r\n{}\r\n0\r\n\r\n",
    "extensions": b"2;" + b"x" * 5000 + b"\r\n{}\r\n0\r\n\r\n",
    "trailers": b"2\r\n{}\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\n\r\n",
    "single bytes": b"1\r\n \r\n" * 20000 + b"0\r\n\r\n",
}


@pytest.mark.parametrize("name", CHUNKS)
def test_chunks(stack, name):
    status, _, body = head_of(raw(stack.port, chunked(CHUNKS[name])))
    assert status in (400, 413) and json.loads(body)["error"], (status, body)
    tell("chunks, " + name, status=status)


def test_many_large_bodies(stack):
    body = b'{"env": "latest", "config": "' + b"x" * (2 * MIB - 31) + b'"}'
    with Peak(stack, "build") as peak, concurrent.futures.ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: stack.post(body), range(20 if LONG else 8)))
    assert {reply.status for reply in replies} == {400}
    tell("bodies of 2 MiB", ms=peak.ms, mib=peak.mib)
    assert peak.mib < peak.most


def test_a_worker_that_stands_still(stack):
    """The largest requests come and come: some wait, the others hear that it is too much."""
    document = stack.ordered("stands still")
    document["config"]["custom"]["0"] += "#" + "x" * (19 * MIB // 10)
    fit = (64 * MIB) // len(json.dumps(document))
    count = fit + 15
    held = []

    def answered():
        return select.select(held, [], [], 0)[0]
    os.kill(stack.worker.pid, signal.SIGSTOP)
    try:
        with Peak(stack, "build") as peak:
            for n in range(count):
                document["config"]["header"]["Author"] = f"stands still {n}"
                body = json.dumps(document).encode()
                held.append(trickle(stack, POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n"
                                    % len(body) + body))
            wait_until(lambda: len(answered()) >= count - fit, 60)
        replies = [all_of(s) for s in answered()]
        for s in held:
            s.close()
    finally:
        os.kill(stack.worker.pid, signal.SIGCONT)
    assert len(replies) == count - fit
    for reply in replies:
        assert reply.startswith(b"HTTP/1.1 503 ") and b'"overloaded"' in reply, reply
        assert b"\r\nRetry-After: " in reply
    tell(f"{count} requests of 2 MiB", refused=len(replies), ms=peak.ms, mib=peak.mib)
    assert peak.mib < peak.most + 64
    assert stack.post(stack.ordered("goes on")).status == 200
    tell("and then", mib=peak.figure("VmRSS") - peak.begun_with)


# --- paths

ID = "e" * 32
UP = ["/tmp/folder/jobs.sqlite", "/tmp/folder%2fjobs.sqlite", "/tmp/folder.zip/jobs.sqlite",
      f"/logs/../operator-logs/{ID}.log", f"/tmp/%2e%2e/operator-logs/{ID}.log",
      f"/tmp/..%2foperator-logs%2f{ID}.log", f"/logs/..%252foperator-logs%252f{ID}.log",
      f"/logs/%252e%252e/operator-logs/{ID}.log", f"/logs/..%c0%afoperator-logs%c0%af{ID}.log",
      f"/logs/..\\operator-logs\\{ID}.log", f"/logs/..;/operator-logs/{ID}.log",
      f"/kiisrv-operator-log/{ID}.log", f"//kiisrv-operator-log/{ID}.log",
      f"/%6biisrv-operator-log/{ID}.log", f"/logs/../kiisrv-operator-log/{ID}.log",
      f"/api/v1/jobs/..%2f..%2f..%2fkiisrv-operator-log%2f{ID}.log",
      "/kiisrv-layout", "/kiisrv-layout?rev=x", "/kiisrv-error/404", "/@kiisrv_layouts",
      "/layouts/%2e%2e/%2e%2e/etc/passwd", "/layouts/..%2f..%2fetc%2fpasswd",
      "/layouts/....//....//etc/passwd", "/layouts/%252e%252e%252fpasswd.json",
      "/layouts//etc/passwd", "/layouts/.git/config", "/layouts/x/../../queue/jobs.sqlite",
      "/api/../queue/jobs.sqlite", "/api/..%2f..%2fetc%2fpasswd", "/api/%252e%252e/openapi.yaml",
      "/api/index.html", "/api//etc/passwd", "/nginx.conf", "/.git/config"]
BEHIND = ["%00", "%00.zip", "%0a", "%0d%0a", ".", "..", "/", "/.", "%20", "+", "~", ".bak",
          "::$DATA", "%2f", "%5c", ";.json", ";", "%3f", "%23", "%c0%ae", "%ff", "\\"]
SAME = ["//", "/./", "/x/../", "/x/y/../../"]


def get_raw(stack, path):
    return head_of(raw(stack.port, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                       .encode()))


def test_tricks_with_files_that_there_are(stack, planted):   # noqa: F811
    planted("artifacts", "MD1-Standard-0123.zip", text="the zip")
    planted("logs", ID + ".log", text="the log")
    planted("operator-logs", ID + ".log", text="SECRET")
    planted("artifacts", "folder", target=stack.state / "queue")
    planted("artifacts", "folder.zip", target=stack.state / "queue")
    files = ["/tmp/MD1-Standard-0123.zip", f"/logs/{ID}.log", "/layouts/MD1-Standard.json",
             "/api/openapi.yaml", "/api/style.css", "/api/"]
    wanted = {path: stack.get(path).body for path in files}
    assert wanted[files[0]] == b"the zip" and wanted[files[1]] == b"the log"
    found = []
    for path in UP + [path + trick for path in files for trick in BEHIND if path[-1] != "/"]:
        status, _, body = get_raw(stack, path)
        if status not in (400, 403, 404, 405) or not json.loads(body)["error"]:
            found.append((path, status, body[:100]))
    assert not found
    for path in files:   # ways to write the same
        folder, name = path.rsplit("/", 1)
        for trick in SAME:
            status, _, body = get_raw(stack, folder + trick + name)
            assert (status, body) == (200, wanted[path]), (path, trick)


# --- headers

INNER = b"GET /inner HTTP/1.1\r\nHost: x\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(INNER)
CHUNK = b"%x\r\n%s\r\n0\r\n\r\n" % (len(INNER), INNER)
TE = b"Transfer-Encoding: chunked\r\n"
# {what: (headers, body, the one status that there must be)}
SMUGGLED = {
    "length and chunks": (LENGTH + TE, CHUNK, 400),
    "chunks and length": (TE + b"Content-Length: 4\r\n", CHUNK, 400),
    "two lengths": (LENGTH + b"Content-Length: 0\r\n", INNER, 400),
    "the same length twice": (LENGTH + LENGTH, INNER, 400),
    "a list of lengths": (b"Content-Length: 0, 34\r\n", INNER, 400),
    "a signed length": (b"Content-Length: +0\r\n", INNER, 400),
    "a hexadecimal length": (b"Content-Length: 0x22\r\n", INNER, 400),
    "a huge length": (b"Content-Length: 18446744073709551616\r\n", INNER, 400),
    "two codings": (TE + TE, CHUNK, 400),
    "a list of codings": (b"Transfer-Encoding: chunked, identity\r\n", CHUNK, 501),
    "a coding that is none": (b"Transfer-Encoding: xchunked\r\n", CHUNK, 501),
    "a blank before the colon": (b"Transfer-Encoding : chunked\r\n" + LENGTH, INNER, 400),
    "a folded line": (b"Transfer-Encoding:\r\n chunked\r\n" + LENGTH, INNER, 400),
    "a folded line of its own": (b"X: y\r\n Transfer-Encoding: chunked\r\n" + LENGTH, INNER, 400),
    "underscores": (b"Transfer_Encoding: chunked\r\nContent_Length: 0\r\n" + LENGTH, INNER, 400),
    "a bare line feed": (b"X: y\nTransfer-Encoding: chunked\nContent-Length: 0\r\n", CHUNK, 400),
    "a bare carriage return": (b"X: y\rTransfer-Encoding: chunked\r\n" + LENGTH, INNER, 400),
    "a NUL": (b"X: y\0\r\n" + LENGTH, INNER, 400),
    "chunks within chunks": (TE, b"0\r\n\r\n"[:1] + b"\r\n" + INNER + b"\r\n0\r\n\r\n", 400),
}


def served(stack, path):
    """Has nginx taken a request for this?"""
    return f'"GET {path} ' in (stack.logs / "access.log").read_text(errors="replace")


@pytest.mark.parametrize("name", SMUGGLED)
def test_no_request_is_smuggled_in_another(stack, name):
    headers, body, status = SMUGGLED[name]
    (stack.logs / "access.log").write_text("")
    reply = raw(stack.port, POST + b"Connection: close\r\n" + headers + b"\r\n" + body)
    assert reply.count(b"HTTP/1.1 ") == 1, reply
    assert head_of(reply)[0] == status, reply
    assert not served(stack, "/inner")


LINES = {
    b"GET /versions\r\n": (200, None), b"GET http://y/nowhere HTTP/1.1": (404,),
    b"GET http://y HTTP/1.1": (405,), b"OPTIONS * HTTP/1.1": (400,),
    b"CONNECT y:80 HTTP/1.1": (400, 405), b"GET /versions HTTP/2.0": (505,),
    b"PRI * HTTP/2.0": (400, 405), b"GET /versions HTTP/1.1 x": (400,),
}


def test_a_request_of_another_age(stack):
    for line, statuses in LINES.items():
        reply = raw(stack.port, line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
        status = head_of(reply)[0] if reply.startswith(b"HTTP/") else None
        assert status in statuses, (line, reply)


FORGED = [("Proxy", "http://192.0.2.1/"), ("Script-Filename", "/x"), ("SCRIPT_FILENAME", "/x"),
          ("Remote-Addr", "192.0.2.1"), ("REMOTE_ADDR", "192.0.2.1"), ("Remote-User", "root"),
          ("X-Remote-User", "root"), ("X-Forwarded-For", "192.0.2.1"), ("X-Real-IP", "192.0.2.1"),
          ("X-Forwarded-Host", "y"), ("Forwarded", "for=192.0.2.1"), ("Kiisrv-Config", "/x"),
          ("KIISRV_CONFIG", "/etc/passwd"), ("Docker-Host", "tcp://192.0.2.1"), ("Path-Info", "/x"),
          ("X-Original-URL", "/x"), ("X-HTTP-Method-Override", "DELETE"), ("Request-Method", "PUT"),
          ("X-Accel-Redirect", "/x"), ("X-Request-Id", "mine"), ("X_Request_Id", "mine"),
          ("Cookie", "a=b"), ("Content_Length", "9"), ("HTTP_ACCEPT", "x"), ("Ld-Preload", "x")]
TOLD = {"GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_METHOD": "GET",
        "REQUEST_URI": NO_JOB + "?a=b", "QUERY_STRING": "a=b", "CONTENT_TYPE": "",
        "CONTENT_LENGTH": "", "REMOTE_ADDR": "127.0.0.1", "HTTP_ACCEPT": "text/x"}


def test_what_an_executable_is_told(stack):
    """Nothing of what a client adds; here a program that tells is in an executable's place."""
    assert stack.processes["jobs"].stop() == 0
    path = stack.run / "public/jobs.sock"
    path.unlink(missing_ok=True)
    source = pathlib.Path(fastcgi.__file__).read_text()
    teller = subprocess.Popen([*as_user("kiisrv", [grp.getgrnam("www-data").gr_gid]),
                               "/usr/bin/python3", "-c", source, path])
    try:
        wait_until(path.exists)
        path.chmod(0o660)
        lines = "".join(f"{name}: {value}\r\n" for name, value in FORGED)
        reply = raw(stack.port, f"GET {NO_JOB}?a=b HTTP/1.1\r\nHost: x\r\nAccept: text/x\r\n{lines}"
                    "Connection: close\r\n\r\n".encode())
    finally:
        teller.kill()
        teller.wait()
        path.unlink()
        stack.start_public("jobs")
        wait_until(lambda: stack.serves("jobs"))
    told = json.loads(head_of(reply)[2])
    assert len(dict(told)) == len(told), told
    told = dict(told)
    assert len(told.pop("HTTP_X_REQUEST_ID")) == 32
    assert told == TOLD


MORE = {"KIISRV_CONFIG": "/nowhere", "KIISRV_READY_FD": "1", "DOCKER_HOST": "tcp://192.0.2.1:1",
        "HTTP_PROXY": "http://192.0.2.1/", "http_proxy": "http://192.0.2.1/", "LD_PRELOAD": "/x",
        "SCRIPT_FILENAME": "/etc/passwd", "SCRIPT_NAME": "/etc", "DOCUMENT_ROOT": "/etc",
        "PATH_INFO": "/passwd", "PATH_TRANSLATED": "/etc/passwd", "REMOTE_USER": "root",
        "AUTH_TYPE": "Bearer", "HTTP_X_FORWARDED_FOR": "192.0.2.1", "FCGI_ROLE": "FILTER",
        "HTTP_X_HTTP_METHOD_OVERRIDE": "DELETE", "SERVER_SOFTWARE": "x", "KII_SRCDIR": "/nowhere"}


@pytest.mark.parametrize("zone, name, path, status", [
    ("public", "versions", "/versions", 200), ("public", "stats", "/stats", 200),
    ("public", "layouts", "/layouts/MD1-Standard.json", 200), ("public", "jobs", NO_JOB, 404),
    ("public", "build", "/", 405), ("public", "health", "/nowhere", 404),
    ("operator", "audit", "/api/v1/audit", 401)])
def test_other_parameters_are_nothing_to_it(stack, zone, name, path, status):
    at = stack.run / zone / f"{name}.sock"
    plain = fastcgi.ask(at, "GET", path)
    assert plain[0] == status
    assert fastcgi.ask(at, "GET", path, **MORE) == plain
    assert fastcgi.ask(at, "GET", path, HTTP_X_REQUEST_ID="a b\r\nSet-Cookie: x") == plain
