# SPDX-License-Identifier: MIT
"""Processes die while a build runs; the client still gets its answer, once, and nothing is left."""

import concurrent.futures
import json
import os
import signal
import socket

import pytest

from client import check_error
from stack import NO_CACHE, wait_until


def slow(stack, name):
    """A build that says a line a second for some seconds."""
    return stack.ordered(name, "tick 5")


def running(stack):
    return [c for c in stack.containers() if c["State"] == "running"]


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(8) as made:
        yield made


def test_a_killed_worker_comes_back_to_its_build(new_stack, pool):
    mine = new_stack()
    answer = pool.submit(mine.post, slow(mine, "kill -9"))
    wait_until(lambda: running(mine), 60, 0.01)
    mine.kill_worker()
    mine.start_worker()
    reply = answer.result(120)
    assert reply.status == 200 and reply.json["success"] is True, reply
    rows = mine.jobs("id, state, attempts")
    assert [(r["state"], r["attempts"]) for r in rows] == [("succeeded", 1)]
    # Two workers wrote this: no line is lost, none is there twice.
    lines = mine.get(f"/logs/{rows[0]['id']}.log").text.splitlines()
    assert [line for line in lines if line.startswith("tick")] == [f"tick {n}" for n in range(1, 6)]


def test_a_worker_that_starts_anew_keeps_its_socket(new_stack, pool):
    """HUP: a new program in the same process; nobody notices, and the build goes on."""
    mine = new_stack()
    answer = pool.submit(mine.post, slow(mine, "HUP to the worker"))
    wait_until(lambda: running(mine), 60, 0.01)
    starts = mine.worker.text().count("event=ready")
    mine.worker.kill(signal.SIGHUP)
    while mine.worker.text().count("event=ready") == starts:
        assert mine.get("/healthz").status == 200
    assert answer.result(120).json["success"] is True
    assert [(r["state"], r["attempts"]) for r in mine.jobs("state, attempts")] == [("succeeded", 1)]
    # It was one process all the time; with nonsense for a configuration it stays what it is.
    assert mine.worker.alive()
    right = mine.conf.read_text()
    mine.conf.write_text(right + "\n[nonsense]\n")
    mine.worker.kill(signal.SIGHUP)
    wait_until(lambda: "event=reload_refused" in mine.worker.text(), 20)
    assert "nonsense" in mine.worker.text() and str(mine.conf) in mine.worker.text()
    assert mine.worker.text().count("event=ready") == starts + 1
    mine.conf.write_text(right)
    # So it does with a layout that cannot be read.
    broken = mine.etc / "layouts" / "MD1-Broken.json"
    broken.write_text("{")
    mine.worker.kill(signal.SIGHUP)
    wait_until(lambda: mine.worker.text().count("event=reload_refused") == 2, 20)
    assert broken.name in mine.worker.text() and mine.worker.alive()
    broken.unlink()
    assert mine.post(mine.ordered("after it")).json["success"] is True


def test_a_stopped_worker_hands_its_build_over(new_stack, pool):
    mine = new_stack()
    answer = pool.submit(mine.post, slow(mine, "TERM"))
    wait_until(lambda: running(mine), 60, 0.01)
    assert mine.worker.stop() == 0
    mine.start_worker()
    reply = answer.result(120)
    assert reply.status == 200 and reply.json["success"] is True, reply
    assert [r["state"] for r in mine.jobs("state")] == ["succeeded"]


def test_without_a_worker_new_work_is_refused_and_old_answers_stay(new_stack):
    mine = new_stack()
    config = mine.ordered("no worker")
    first = mine.post(config)
    assert first.json["success"] is True
    mine.kill_worker()
    config = mine.ordered("no worker, new")
    check_error(mine.post(config), 503)
    # What needs no worker goes on.
    assert mine.get("/versions").status == 200
    assert mine.job(first.headers["X-Kiisrv-Job"])["state"] == "succeeded"
    mine.fetch(first.json["filename"])
    mine.start_worker()
    again = wait_until(lambda: (lambda r: r if r.status == 200 else None)(mine.post(config)), 30)
    assert again.json["success"] is True


def test_a_second_worker_refuses_and_names_the_first(new_stack):
    mine = new_stack()
    first = mine.worker
    mine.processes["second"] = mine.processes.pop("worker")
    second = mine.start_worker(wait=False)
    assert second.child.wait(30) != 0
    assert str(first.pid) in second.text()
    mine.processes["worker"] = mine.processes.pop("second")
    mine.old_logs.append(second)
    assert mine.answers()


def test_a_stopped_executable_answers_its_waiters(new_stack, pool):
    """TERM: 503 with Retry-After, and the next POST attaches to the job that goes on."""
    mine = new_stack()
    config = slow(mine, "TERM to build")
    answer = pool.submit(mine.post, config)
    wait_until(lambda: running(mine), 60, 0.01)
    assert mine.processes["build"].stop() == 0
    check_error(answer.result(30), 503)
    mine.start_public("build")
    wait_until(lambda: mine.get("/").status == 405, 20)
    reply = mine.post(config)
    assert reply.json["success"] is True
    assert [(r["state"], r["attempts"]) for r in mine.jobs("state, attempts")] == [("succeeded", 1)]


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(n) for n in f.read().split()]


def test_a_crashed_child_is_replaced(new_stack):
    mine = new_stack(nginx=NO_CACHE)
    keeper = mine.processes["versions"].pid
    before = children(keeper)
    assert before
    for child in before:
        os.kill(child, signal.SIGKILL)
    for _ in range(20):
        assert mine.get("/versions").status == 200
    after = children(keeper)
    assert after and not set(after) & set(before)


def test_hup_starts_a_new_child_and_loses_nothing(new_stack, pool):
    mine = new_stack(nginx=NO_CACHE)
    keeper = mine.processes["versions"]
    before = children(keeper.pid)
    answers = [pool.submit(mine.get, "/versions") for _ in range(100)]
    keeper.kill(signal.SIGHUP)
    answers += [pool.submit(mine.get, "/versions") for _ in range(100)]
    assert {a.result(30).status for a in answers} == {200}
    wait_until(lambda: children(keeper.pid) and not set(children(keeper.pid)) & set(before), 30)


def test_a_held_post_survives_a_reload(new_stack, pool):
    mine = new_stack()
    answer = pool.submit(mine.post, slow(mine, "HUP to build"))
    wait_until(lambda: running(mine), 60, 0.01)
    mine.processes["build"].kill(signal.SIGHUP)
    assert answer.result(120).json["success"] is True


def test_a_client_that_leaves_stops_no_build(new_stack):
    mine = new_stack()
    request = slow(mine, "leaves")
    body = json.dumps(request).encode()
    with socket.create_connection(("127.0.0.1", mine.port)) as s:
        s.sendall(b"POST /download.php HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                  b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        wait_until(lambda: running(mine), 60, 0.01)
    wait_until(lambda: [r["state"] for r in mine.jobs("state")] == ["succeeded"], 60)
    assert mine.post(request).json["success"] is True
    assert len(mine.jobs("id")) == 1
