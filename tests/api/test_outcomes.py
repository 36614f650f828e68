# SPDX-License-Identifier: MIT
"""How a build can end, played by the stand-in that does as it is told, and what the client, the job
and the log then say."""

import concurrent.futures
import io
import re
import time
import zipfile

import pytest

from client import check_error
from stack import wait_until

CONF = {
    "firmware": {"timeout": "6 s", "idle_timeout": "3 s", "memory": "64 MiB", "tmp": "16 MiB"},
    "limits": {"log": "64 KiB", "artifact": "1 MiB"},
    "queue": {"slots": 2, "max_waiting": 3, "per_client": 9},
}


@pytest.fixture(scope="module")
def ordered(engine):
    from stack import Stack
    mine = Stack(engine, conf=CONF)
    try:
        yield mine.start()
    finally:
        mine.stop()


def end_of(stack, name, *orders):
    """The reply, the job and the files of its zip."""
    reply = stack.post(stack.ordered(name, *orders))
    job = stack.job(reply.headers["X-Kiisrv-Job"])
    files = {}
    if reply.status == 200:
        _, zipped = stack.fetch(reply.json["filename"])
        with zipfile.ZipFile(io.BytesIO(zipped.body)) as z:
            assert z.testzip() is None
            files = {n: z.read(n) for n in z.namelist()}
    return reply, job, files


def log_of(stack, job, attempt=""):
    return stack.get(f"/logs/{job['id']}{attempt}.log")


def test_success(ordered):
    reply, job, files = end_of(ordered, "success", "say hello")
    assert reply.json["success"] is True and job["state"] == "succeeded"
    assert b"firmware for" in files["kiibohd.dfu.bin"]
    assert "hello" in log_of(ordered, job).text.splitlines()


@pytest.mark.parametrize("name, orders, state, words", [
    ("the compiler says no", ["say no", "exit 1"], "failed", "failed"),
    ("no error zip", ["say no", "artifact none", "exit 1"], "failed", "failed"),
    ("too long", ["tick 60"], "timed_out", "too long"),
    ("silence", ["sleep 60"], "timed_out", "nothing"),
    ("deaf to TERM", ["stubborn", "sleep 60"], "timed_out", "nothing"),
    ("too much memory", ["memory 300"], "failed", "memory"),
    ("no zip", ["artifact none"], "failed", "result"),
    ("a link for a zip", ["artifact link"], "failed", "result"),
    ("a folder for a zip", ["artifact dir"], "failed", "result"),
    ("a pipe for a zip", ["artifact fifo"], "failed", "result"),
    ("an empty zip", ["artifact empty"], "failed", "result"),
    ("a huge zip", ["artifact big"], "failed", "result"),
    ("a zip of another name", ["artifact wrong"], "failed", "result"),
])
def test_an_end_with_an_error_zip(ordered, name, orders, state, words):
    reply, job, files = end_of(ordered, name, *orders)
    assert reply.status == 200 and reply.json["success"] is False, reply
    assert reply.json["filename"].endswith("_error.zip")
    assert job["state"] == state and job["error"], job
    assert files["log/build.log"]
    assert "kiibohd.dfu.bin" not in files and b"root:" not in b"".join(files.values())
    assert words in job["error"].lower() or words == "result", job


def again(stack, name, *orders):
    """The jobs that the same request makes when it is sent twice."""
    return [stack.post(stack.ordered(name, *orders)).headers["X-Kiisrv-Job"] for _ in range(2)]


def test_what_the_compiler_said_is_remembered(ordered):
    one, two = again(ordered, "remembered", "exit 1")
    assert one == two


def test_a_timeout_is_not_remembered(ordered):
    one, two = again(ordered, "forgotten", "sleep 60")
    assert one != two


def test_an_engine_that_kills_is_tried_three_times(ordered):
    reply, job, _ = end_of(ordered, "killed", "say an attempt", "kill")
    check_error(reply, 503)
    assert job["state"] == "lost" and job["attempts"] == 3, job
    for attempt in ("", ".1", ".2"):
        assert "an attempt" in log_of(ordered, job, attempt).text
    assert log_of(ordered, job, ".3").status == 404


def test_a_long_log_keeps_head_and_tail(ordered):
    _, job, _ = end_of(ordered, "a long log", "log 1000000", "say the end")
    log = log_of(ordered, job)
    assert len(log.body) < 80 << 10
    lines = log.text.splitlines()
    assert f"{1:063}" in lines and "the end" in lines
    assert f"{15000 // 2:063}" not in lines


def test_bytes_that_are_no_text_do_no_harm(ordered):
    """Docker keeps logs as JSON, so what is no UTF-8 comes back as U+FFFD."""
    reply, job, _ = end_of(ordered, "binary", "binary")
    assert reply.json["success"] is True
    assert re.search(rb"nul \0 high (\377\376|(\xef\xbf\xbd)+) cut$", log_of(ordered, job).body)


def test_what_a_container_sees(ordered):
    _, job, _ = end_of(ordered, "show", "show")
    log = log_of(ordered, job).text
    assert "uid=1000" in log and "root is read-only" in log
    for line in log.splitlines():
        if line.startswith("Cap"):
            assert int(line.split()[1], 16) == 0, line
    assert "NoNewPrivs:\t1" in log
    assert "KIISRV" not in log and "DOCKER_HOST" not in log
    interfaces = next(line for line in log.splitlines() if line.startswith("interfaces:"))
    assert set(interfaces.split()[1:]) <= {"lo"}, interfaces


def test_forks_end_with_their_container(ordered):
    _, job, _ = end_of(ordered, "forks", "fork 50")
    assert job["state"] == "succeeded"
    wait_until(lambda: not ordered.containers(), 10)


def test_a_full_tmp_is_the_builds_own_trouble(ordered):
    reply, job, _ = end_of(ordered, "full", "fill 64")
    assert reply.status in (200, 503)
    assert job["state"] in ("succeeded", "failed")
    assert end_of(ordered, "full, after it")[1]["state"] == "succeeded"


def test_a_full_queue_is_429_with_retry_after(ordered):
    """Two run, three wait; the sixth client is told when to come again, and a joiner may join."""
    requests = [ordered.ordered(f"queue {n}", "tick 2") for n in range(5)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = []
        for request in requests:
            answers.append(pool.submit(ordered.post, request))
            time.sleep(0.1)
        wait_until(lambda: len(ordered.jobs("id", "state IN ('queued', 'running')")) == 5, 10)
        check_error(ordered.post(ordered.ordered("queue, one too many")), 429)
        joiner = pool.submit(ordered.post, requests[0])
        assert joiner.result().json == answers[0].result().json
        assert {a.result().status for a in answers} == {200}


def test_place_and_estimate_of_a_waiting_job(ordered):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(ordered.post, ordered.ordered(f"place {n}", "tick 3"))
                   for n in range(3)]
        waiting = wait_until(lambda: ordered.jobs("id", "state = 'queued'"), 10)
        told = ordered.job(waiting[0]["id"])
        if told["state"] == "queued":
            assert told["place"] == 1 and told["started"] is None
            assert told["estimate"] is None or told["estimate"] > 0
        assert {a.result().status for a in answers} == {200}
