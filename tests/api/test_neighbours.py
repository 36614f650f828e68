# SPDX-License-Identifier: MIT
"""Another kiisrv and strangers on the same engine: ours touches nothing of theirs. And a worker that is
down, or hangs, seen from the public executables."""

import concurrent.futures
import json
import os
import re
import signal
import socket
import threading
import time
import urllib.parse

import pytest

from client import UnixConnection, ask, check_error
from gate import Gate
from stack import TMP, wait_until

LONG = bool(os.environ.get("KIISRV_TEST_LONG"))
RECONCILE = 70   # seconds within which the worker has looked at all containers once more


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(8) as made:
        yield made


def tell(engine, method, path, body=None):
    text = json.dumps(body) if body is not None else None
    return ask(UnixConnection(engine.socket, 60), method, "/v1.41" + path, text,
               {"Content-Type": "application/json"} if text else {})


def make_container(engine, name, labels):
    """A stranger's: it runs for long."""
    made = tell(engine, "POST", f"/containers/create?name={name}", {
        "Image": "kiisrv-test-tiny", "Cmd": ["/bin/sleep", "1000"], "Labels": labels})
    assert made.status == 201, made
    assert tell(engine, "POST", f"/containers/{name}/start").status == 204


def state_of(engine, name):
    reply = tell(engine, "GET", f"/containers/{name}/json")
    return json.loads(reply.body)["State"]["Status"] if reply.status == 200 else reply.status


def images(engine):
    return {image["Id"] for image in json.loads(tell(engine, "GET", "/images/json").body)}


# --- on one engine

def test_two_kiisrv_on_one_engine(new_stack, pool):
    """Each is killed, restarted and cleaned up while the other builds."""
    one, two = new_stack(), new_stack()
    assert one.instance() != two.instance()
    had = images(one.engine)
    first = pool.submit(two.post, two.ordered("of the other", "tick 4"))
    wait_until(two.containers, 30)
    # Start, end and reconciliation of the one, with a build of its own, and one that is cut off.
    assert one.post(one.ordered("of the one")).json["success"] is True
    wait_until(lambda: not one.containers(), 30)   # it goes a moment after the answer
    second = pool.submit(one.post, one.ordered("of the one, cut off", "tick 1"))
    wait_until(one.containers, 30)
    one.kill_worker()
    one.start_worker()
    assert second.result(60).json["success"] is True
    wait_until(lambda: not one.containers(), 60)
    assert first.result(60).json["success"] is True
    row = two.jobs("id, attempts")[0]
    assert row["attempts"] == 1
    assert two.get(f"/logs/{row['id']}.log").text.endswith("tick 4\n")
    assert images(one.engine) >= had


def test_containers_of_strangers_stay(new_stack):
    """Whatever they are called; and those that say they are another kiisrv's."""
    stack = new_stack()
    stack.post(stack.ordered("among strangers"))
    instance = stack.instance()
    strangers = {
        "web": {},
        f"kiisrv-{instance}-{'a' * 32}-1": {},
        f"kiisrv-{instance}-{'b' * 32}-1": {"kiisrv.job": "b" * 32, "kiisrv.attempt": "1"},
        "kiisrv-other": {"kiisrv.instance": "0" * 16, "kiisrv.job": "c" * 32},
    }
    engine = stack.engine
    volumes = {"data", "kiisrv-data", f"kiisrv-{instance[:8]}"}
    try:
        for name, labels in strangers.items():
            make_container(engine, name, labels)
        for volume in volumes:
            assert tell(engine, "POST", "/volumes/create", {"Name": volume}).status == 201
        stack.kill_worker()
        stack.start_worker()
        assert stack.post(stack.ordered("among strangers, again")).json["success"] is True
        wait_until(lambda: not stack.containers(), 60)
        if LONG:
            time.sleep(RECONCILE)
        assert {name: state_of(engine, name) for name in strangers} == dict.fromkeys(
            strangers, "running")
        assert volumes <= engine.volumes()
    finally:
        for name in strangers:
            engine.remove(name)
        for volume in volumes:
            tell(engine, "DELETE", f"/volumes/{volume}")


def test_a_stranger_in_our_place(new_stack, engine, pool):
    """Its container has the very name that ours was to have: the job takes another attempt."""
    gate = Gate(TMP / "gate-place", engine.socket, os.stat(engine.socket).st_gid)
    stack = new_stack(conf={"docker": {"socket_path": gate.path}})
    hold = gate.hold("POST /containers/create")
    answer = pool.submit(stack.post, stack.ordered("in our place"))
    path = hold.wait().split(" ", 1)[1]
    name = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)["name"][0]
    try:
        make_container(engine, name, {})
        hold.go()
        assert answer.result(60).json["success"] is True
        assert state_of(engine, name) == "running"
        assert stack.jobs("attempts")[0]["attempts"] == 2
    finally:
        engine.remove(name)
        for end in ("config", "builds"):
            tell(engine, "DELETE", f"/volumes/{name}-{end}")
        gate.close()


def test_a_container_of_ours_without_a_row(new_stack):
    """Left by a database that was restored from an older copy: it goes."""
    stack = new_stack()
    stack.kill_worker()
    name = f"kiisrv-{stack.instance()}-{'d' * 32}-1"
    make_container(stack.engine, name, {"kiisrv.instance": stack.instance(),
                                        "kiisrv.job": "d" * 32, "kiisrv.attempt": "1"})
    stack.start_worker()
    wait_until(lambda: state_of(stack.engine, name) == 404, 60)


# --- the worker is down, as the public sees it

def test_gets_need_no_worker(new_stack):
    stack = new_stack()
    known = stack.ordered("known before", "say hello")
    first = stack.post(known)
    job = first.headers["X-Kiisrv-Job"]
    stack.kill_worker()
    assert stack.get("/versions").status == 200
    assert stack.get("/layouts/").status == 200
    assert stack.layout("MD1-Standard")["header"]
    assert stack.job(job)["state"] == "succeeded"
    assert "hello" in stack.get(f"/logs/{job}.log").text
    stack.fetch(first.json["filename"])
    assert stack.get("/").status == 405
    # New work, known work and work that is not waited for: 503, soon, and again.
    for request, path in ((known, "/"), (stack.ordered("new"), "/download.php"),
                          (stack.ordered("new"), "/api/v1/builds")):
        begun = time.monotonic()
        check_error(stack.post(request, path), 503, "worker_down")
        assert time.monotonic() - begun < 6
    # What is wrong with a request is told before the worker is asked.
    check_error(stack.post({"env": "nope", "config": {}}), 400, field="env")
    stack.start_worker()
    again = wait_until(lambda: (lambda r: r if r.status == 200 else None)(stack.post(known)), 30)
    assert again.headers["X-Kiisrv-Job"] == job
    assert stack.post(stack.ordered("new")).json["success"] is True


def test_a_short_absence_is_not_noticed(new_stack, pool):
    """A request that comes while the worker restarts waits for it, held or not."""
    stack = new_stack()
    stack.kill_worker()
    held = pool.submit(stack.post, stack.ordered("while it was away"))
    told = pool.submit(stack.post, stack.ordered("while it was away, too"), "/api/v1/builds")
    time.sleep(0.2)
    stack.start_worker()
    replies = [held.result(60), told.result(60)]
    if [reply.status for reply in replies] != [200, 202]:
        # A start that takes longer than the link's patience (2 s) is a 503.
        for reply in replies:
            assert reply.status in (200, 202, 503), reply
        replies = [stack.post(stack.ordered("while it was away"))]
    assert replies[0].json["success"] is True


def test_a_worker_that_does_not_come_back(new_stack, pool):
    """Who waits for a job that runs is told after a while (25 s); the job is found again."""
    if not LONG:
        pytest.skip("half a minute: dev/test --all")
    stack = new_stack()
    request = stack.ordered("left alone", "tick 2")
    answer = pool.submit(stack.post, request)
    wait_until(stack.containers, 30)
    stack.kill_worker()
    begun = time.monotonic()
    check_error(answer.result(60), 503, "worker_down")
    assert 20 < time.monotonic() - begun < 40
    stack.start_worker()
    assert stack.post(request).json["success"] is True
    assert [(row["state"], row["attempts"]) for row in stack.jobs("state, attempts")] == [
        ("succeeded", 1)]


def test_a_worker_that_hangs(new_stack, pool):
    """It has the socket and says nothing: 503 after a minute; GETs go on."""
    if not LONG:
        pytest.skip("more than a minute: dev/test --all")
    stack = new_stack()
    stack.worker.kill(signal.SIGSTOP)
    try:
        answer = pool.submit(stack.post, stack.ordered("nobody answers"))
        assert stack.get("/versions").status == 200
        check_error(answer.result(100), 503)
    finally:
        stack.worker.kill(signal.SIGCONT)
    reply = wait_until(lambda: (lambda r: r if r.status == 200 else None)(
        stack.post(stack.ordered("nobody answers"))), 60)
    assert reply.json["success"] is True


def test_a_socket_that_is_somebody_elses(new_stack):
    """What listens there and hangs up at once, or says nonsense, is no worker."""
    stack = new_stack()
    stack.kill_worker()
    path = stack.run / "worker/worker.sock"
    path.unlink()
    with socket.socket(socket.AF_UNIX) as impostor:
        impostor.bind(str(path))
        path.chmod(0o666)
        impostor.listen(16)
        talk = [b"", b"nonsense\n", b'{"tag": 1}\n', b'{"end": 7}\n[]\n', b"\0" * 100000 + b"\n"]

        def serve():
            for n in range(1000):
                try:
                    peer, _ = impostor.accept()
                except OSError:
                    return
                with peer:
                    peer.sendall(talk[n % len(talk)])
        threading.Thread(target=serve, daemon=True).start()
        reply = stack.post(stack.ordered("to an impostor"))
        assert reply.status in (502, 503), reply
        check_error(reply, reply.status)
        impostor.shutdown(socket.SHUT_RDWR)
    assert stack.get("/versions").status == 200
    stack.start_worker()
    reply = wait_until(lambda: (lambda r: r if r.status == 200 else None)(
        stack.post(stack.ordered("to an impostor"))), 30)
    assert reply.json["success"] is True and re.search("MD1-Standard", reply.json["filename"])
