# SPDX-License-Identifier: MIT
"""An engine that goes away in the middle of what an operator asks for: the client is told in JSON,
and nothing is left on the engine when it is there again."""

import pytest

from client import check_error
from cut import Cut
from stack import wait_until
from test_container_logs import Events
from test_containers import MARK, containers

assert containers   # a fixture


@pytest.fixture
def cut(stack, engine):
    """Between cgi/containers and the engine."""
    stack.start_operators()
    made = Cut(engine)
    assert stack.processes["containers"].stop() == 0
    stack.start_operator("containers", {"DOCKER_HOST": made.url})
    wait_until(lambda: stack.serves("containers"))
    yield made
    assert stack.processes["containers"].stop() == 0
    stack.start_operator("containers")
    wait_until(lambda: stack.serves("containers"))
    made.stop()


@pytest.mark.parametrize("where", ["/volumes/create", "/containers/create", "/start"])
def test_nothing_is_left_of_a_container(containers, engine, cut, where):
    cut.cut(where)
    reply = containers.op.post("/containers", containers.body(
        "sleep", "1000", start=True, volumes={f"{MARK}-cut": "/x"}))
    check_error(reply, 503, "unavailable")
    assert cut.seen.is_set()
    assert engine.socket not in reply.text and cut.path not in reply.text
    cut.mend()
    wait_until(lambda: not containers.known() and f"{MARK}-cut" not in engine.volumes())


@pytest.mark.parametrize("verb,path", [
    ("POST", "/restart?timeout=0"), ("POST", "/stop?timeout=0"), ("POST", "/kill"), ("GET", ""),
    ("GET", "/logs"), ("GET", "/top"), ("DELETE", "?force=1")])
def test_a_verb_is_told_of(containers, cut, verb, path):
    one = containers.run("exec sleep 1000")
    cut.cut(f"/containers/{one}")
    check_error(containers.op.request(verb, f"/containers/{one}{path}"), 503, "unavailable")
    check_error(containers.op.get("/containers"), 503, "unavailable")
    cut.mend()
    # What was asked for may have been done; asked again it is.
    reply = containers.op.request(verb, f"/containers/{one}{path}")
    assert reply.status in ((204, 404) if verb == "DELETE" else (200, 204)), reply
    assert (one in containers.known()) is (verb != "DELETE")


def test_who_follows_is_told_and_goes_on(containers, cut):
    one = containers.run("echo one; while [ ! -e /go ]; do sleep 0.1; done; echo two")
    events = Events(containers.op, f"{one}/logs?follow=1")
    got = iter(events)
    first = next(got)
    assert first["data"]["text"] == "one\n", first
    cut.away = True
    cut.hang_up()
    last = list(got)[-1]
    assert last["event"] == "failed" and last["data"]["code"] == "unavailable", last
    cut.mend()
    containers.verb(one, "kill")
    events, end = Events(containers.op, f"{one}/logs?follow=1&cursor={first['id']}").until_end()
    assert events == [] and end["exit_code"] == 137, (events, end)
