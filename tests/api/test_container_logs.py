# SPDX-License-Identifier: MIT
"""A container's log and stats over REST: at once, followed, broken off and gone on with."""

import base64
import http.client
import json
import pathlib
import signal
import time

from client import check_error
from stack import wait_until
from test_containers import containers, counts   # a fixture first

assert containers


class Events:
    """Server-sent events, one after the other, from a connection of their own."""

    def __init__(self, op, path, headers=None, timeout=30):
        self.connection = http.client.HTTPConnection("127.0.0.1", op.stack.port, timeout=timeout)
        self.connection.request("GET", f"/api/v1/containers/{path}", None,
                                {**op.headers, **(headers or {})})
        self.answer = self.connection.getresponse()
        self.status = self.answer.status

    def __iter__(self):
        event = {}
        for line in self.answer:
            line = line.decode().rstrip("\n")
            if line.startswith(":"):
                continue
            if not line:
                if event:
                    yield event
                event = {}
                continue
            name, value = line.split(": ", 1)
            event[name] = json.loads(value) if name == "data" else value

    def until_end(self):
        """All of them; the last one is the end."""
        events = list(self)
        assert events and events[-1]["event"] == "end", events[-3:]
        return events[:-1], events[-1]["data"]

    def close(self):
        self.connection.close()
        self.answer.close()


def payload(entries, stream=None):
    """The bytes that events or entries stand for."""
    out = b""
    for e in entries:
        e = e.get("data", e)
        if stream in (None, e["stream"]):
            out += e["text"].encode() if "text" in e else base64.b64decode(e["base64"])
    return out


def page(op, container, query=""):
    reply = op.get(f"/containers/{container}/logs?{query}")
    assert reply.status == 200, reply
    return reply.json


# --- at once


def test_a_log_at_once(containers):
    one = containers.run("echo out1; echo err1 >&2; sleep 0.1; echo out2; printf rest; exit 4")
    containers.ended(one)
    whole = page(containers.op, one)
    assert payload(whole["entries"], "stdout") == b"out1\nout2\nrest", whole
    assert payload(whole["entries"], "stderr") == b"err1\n"
    assert whole["more"] is False and "time" not in whole["entries"][0]
    assert payload(page(containers.op, one, "stream=stderr")["entries"]) == b"err1\n"
    assert payload(page(containers.op, one, "stream=stdout&tail=2")["entries"]) == b"out2\nrest"
    timed = page(containers.op, one, "timestamps=1")["entries"]
    assert all(e["time"].startswith("20") and e["time"].endswith("Z") for e in timed), timed
    # From a time on, and from a place on.
    assert payload(page(containers.op, one, f"since={int(time.time()) + 100}")["entries"]) == b""
    assert payload(page(containers.op, one, "since=2020-01-01T00:00:00Z")["entries"]) == \
        payload(whole["entries"])
    again = page(containers.op, one, f"cursor={whole['cursor']}")
    assert again["entries"] == [] and again["cursor"] == whole["cursor"]


def test_a_log_in_pages(containers):
    one = containers.run("i=0; while [ $i -lt 300 ]; do echo line $i; echo odd $i >&2; "
                         "i=$((i+1)); done")
    containers.ended(one)
    want = payload(page(containers.op, one)["entries"], "stdout")
    assert want == b"".join(b"line %d\n" % i for i in range(300))
    got, cursor, pages = {"stdout": b"", "stderr": b""}, None, 0
    while True:
        told = page(containers.op, one, "limit=1000" + (f"&cursor={cursor}" if cursor else ""))
        for stream in got:
            got[stream] += payload(told["entries"], stream)
        cursor, pages = told["cursor"], pages + 1
        if not told["more"]:
            break
    assert got["stdout"] == want and pages > 4
    assert got["stderr"] == b"".join(b"odd %d\n" % i for i in range(300))


def test_bytes_are_kept(containers):
    """Bytes that are no text, long lines over the engines' frames, and a character across them."""
    script = ("head -c 40000 /dev/zero | tr '\\0' x; printf '\\303\\244'; "
              "head -c 30000 /dev/zero | tr '\\0' y; echo; printf 'a\\001\\002b\\033[31m\\n'; "
              "printf '\\n\\n'; echo end")
    one = containers.run(script)
    containers.ended(one)
    want = b"x" * 40000 + "ä".encode() + b"y" * 30000 + b"\na\1\2b\33[31m\n\n\nend\n"
    entries = page(containers.op, one)["entries"]
    assert payload(entries) == want
    assert all("text" in e for e in entries), "a character was cut"
    events, _ = Events(containers.op, f"{one}/logs?follow=1").until_end()
    assert payload(events) == want


def test_what_is_no_query_is_refused(containers):
    one = containers.make("true")
    for query, field in (("tail=-1", "tail"), ("tail=x", "tail"), ("since=yesterday", "since"),
                         ("stream=all", "stream"), ("cursor=1", "cursor"), ("limit=0", "limit"),
                         ("follow=2", "follow"), ("x=1", "x"), ("since=1.x", "since"),
                         ("cursor=0.0-0.0&tail=1", "cursor"), ("timestamps=-", "timestamps")):
        check_error(containers.op.get(f"/containers/{one}/logs?{query}"), 400, "bad_request", field)
    reply = containers.op.get(f"/containers/{one}/logs?follow=1", headers={"Last-Event-ID": "x"})
    check_error(reply, 400, "bad_request", "cursor")
    check_error(containers.op.get(f"/containers/{one}/stats?stream=2"), 400, None, "stream")


def test_a_container_that_is_gone_has_no_log(containers):
    one = containers.make("true")
    for _ in range(2):   # the second time it is known
        assert page(containers.op, one)["entries"] == []
    assert containers.op.delete(f"/containers/{one}").status == 204
    check_error(containers.op.get(f"/containers/{one}/logs"), 404, "not_found")
    check_error(containers.op.get(f"/containers/{one}/logs?tail=5"), 404, "not_found")


# --- followed


def test_a_log_is_followed_to_its_end(containers):
    one = containers.run("echo one; sleep 1; echo two >&2; sleep 0.3; printf three; exit 5")
    events = Events(containers.op, f"{one}/logs?follow=1&timestamps=1")
    assert events.status == 200
    assert events.answer.headers["Content-Type"].startswith("text/event-stream")
    start = time.monotonic()
    got = iter(events)
    first = next(got)
    assert first["event"] == "log" and first["data"]["text"] == "one\n", first
    assert first["data"]["time"].startswith("20")
    rest = list(got)
    assert [e["data"].get("text") for e in rest[:-1]] == ["two\n", "three"], rest
    assert rest[0]["data"]["stream"] == "stderr"
    assert rest[-1] == {"event": "end", "data": {"state": "exited", "exit_code": 5}}
    assert time.monotonic() - start < 20
    # Once more from where it was: nothing comes twice, and it is over at once.
    for where in ({"query": f"&cursor={rest[-2]['id']}"}, {"header": rest[-2]["id"]}):
        events, end = Events(containers.op, f"{one}/logs?follow=1{where.get('query', '')}",
                             {"Last-Event-ID": where["header"]} if "header" in where else None
                             ).until_end()
        assert events == [] and end["exit_code"] == 5


LINES = "i=0; while [ $i -lt 600 ]; do echo out $i; echo err $i >&2; i=$((i+1)); " \
        "[ $((i % 40)) = 0 ] && sleep 0.1; done; sleep 0.3"


def test_broken_off_anywhere_no_line_is_lost_or_doubled(containers):
    one = containers.run(LINES)
    want = {"stdout": b"".join(b"out %d\n" % i for i in range(600)),
            "stderr": b"".join(b"err %d\n" % i for i in range(600))}
    got, cursor, connections, ended = {"stdout": b"", "stderr": b""}, None, 0, False
    while not ended:
        events = Events(containers.op, f"{one}/logs?follow=1",
                        {"Last-Event-ID": cursor} if cursor else None)
        connections += 1
        for n, event in enumerate(events):
            if event["event"] == "end":
                ended = True
                break
            assert event["event"] == "log", event
            got[event["data"]["stream"]] += payload([event])
            cursor = event["id"]
            if n == 37 + connections:
                break
        events.close()
    assert connections > 10
    assert got == want


def test_the_last_ones_first(containers):
    one = containers.run("i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); done; sleep 1; "
                         "echo more; sleep 0.2")
    wait_until(lambda: b"199\n" in payload(page(containers.op, one)["entries"]))
    events, _ = Events(containers.op, f"{one}/logs?follow=1&tail=3").until_end()
    assert payload(events) == b"197\n198\n199\nmore\n"
    containers.ended(one)
    assert payload(page(containers.op, one, "tail=2")["entries"]) == b"199\nmore\n"
    assert payload(page(containers.op, one, "tail=0")["entries"]) == b""


def test_a_container_that_starts_later_and_goes(containers):
    one = containers.make("sh", "-c", "echo up; sleep 1000", start=False)
    events = Events(containers.op, f"{one}/logs?follow=1")
    got = iter(events)
    assert containers.verb(one, "start").status == 204
    assert next(got)["data"]["text"] == "up\n"
    # What the first run said stays; the second one's comes.
    assert containers.verb(one, "restart?timeout=0").status == 204
    assert next(got)["data"]["text"] == "up\n"
    assert containers.op.delete(f"/containers/{one}?force=1").status == 204
    last = next(got)
    assert last["event"] == "end" and last["data"]["state"] in ("removed", "exited"), last


def test_a_slow_reader_misses_nothing_and_holds_nobody(containers, stack):
    """More than fits anywhere between, read late; others are served meanwhile."""
    one = containers.run("i=0; while [ $i -lt 12000 ]; do echo a line that is long enough $i; "
                         "i=$((i+1)); done")
    slow = [Events(containers.op, f"{one}/logs?follow=1", timeout=60) for _ in range(4)]
    for _ in range(5):
        assert containers.op.get("/containers").status == 200
    containers.ended(one)
    for events in slow:
        got, end = events.until_end()
        assert end["exit_code"] == 0
        assert payload(got) == b"".join(b"a line that is long enough %d\n" % i
                                        for i in range(12000))
    assert stack.processes["containers"].alive()


def test_clients_that_leave_are_forgotten(containers, stack):
    def descendants(pid):
        found = [pathlib.Path(f"/proc/{pid}")]
        for child in (pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()).split():
            found += descendants(child)
        return found

    def open_files():
        return sum(len(list(p.glob("fd/*")))
                   for p in descendants(stack.processes["containers"].pid))
    one = containers.run("sleep 1000")
    first = Events(containers.op, f"{one}/logs?follow=1")
    assert first.status == 200
    first.close()
    before = wait_until(open_files)
    many = [Events(containers.op, f"{one}/logs?follow=1") for _ in range(20)]
    assert open_files() > before + 10   # the first may have been counted yet
    for events in many:
        events.close()
    wait_until(lambda: open_files() <= before + 4)


def test_stats_come_each_second(containers):
    one = containers.run("while :; do :; done")
    own = json.loads(containers.engine.ask("GET", f"/containers/{one}/stats", stream="0").body)
    events = Events(containers.op, f"{one}/stats?stream=1")
    assert events.status == 200
    if not own["read"].startswith("0001"):   # Docker's collector may have failed
        got = iter(events)
        samples = [next(got) for _ in range(2)]
        assert all(s["event"] == "stats" for s in samples), samples
        if counts(containers):
            assert all(s["data"]["memory"] > 0 for s in samples), samples
            assert samples[1]["data"]["cpu_percent"] > 5
        assert samples[0]["data"]["time"] < samples[1]["data"]["time"]
    containers.verb(one, "kill")
    *_, last = events
    assert last == {"event": "end", "data": {"state": "exited", "exit_code": 137}}, last
    check_error(containers.op.get(f"/containers/{one}/stats?stream=1"), 409, "conflict")


def test_a_reload_ends_streams_whole_and_they_go_on(containers, stack):
    one = containers.run("i=0; while [ $i -lt 40 ]; do echo $i; i=$((i+1)); sleep 0.1; done")
    got, cursor, reloaded, ended = b"", None, False, False
    while not ended:
        events = Events(containers.op, f"{one}/logs?follow=1",
                        {"Last-Event-ID": cursor} if cursor else None)
        assert events.status == 200
        for event in events:
            ended = event["event"] == "end"
            if ended:
                break
            assert event["event"] == "log", event
            got, cursor = got + payload([event]), event["id"]
            if not reloaded and got.count(b"\n") >= 5:
                stack.processes["containers"].kill(signal.SIGHUP)
                reloaded = True
        events.close()
    assert got == b"".join(b"%d\n" % i for i in range(40))
