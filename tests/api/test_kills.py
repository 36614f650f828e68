# SPDX-License-Identifier: MIT
"""kill -9 of the worker, of the executable that holds the clients, of its keeper and of the engine, at
every state of a job: it ends right all the same, once, with its whole log, and nothing is left."""

import concurrent.futures
import itertools
import os
import re
import signal

import pytest

from client import check_error
from engines import OwnEngine
from gate import Gate
from stack import TMP, Stack, wait_until

LONG = bool(os.environ.get("KIISRV_TEST_LONG"))

# Where a call of the worker's is stopped: a pattern of it, and how much of its answer has passed.
STATES = {
    "about to make a volume": ("POST /volumes/create", None),
    "a volume made": ("POST /volumes/create", 0),
    "about to be created": ("POST /containers/create", None),
    "created, not yet told": ("POST /containers/create", 0),
    "about to get its files": ("PUT /containers/.*/archive", None),
    "files put, not yet told": ("PUT /containers/.*/archive", 0),
    "about to start": ("POST /containers/.*/start", None),
    "started, not yet told": ("POST /containers/.*/start", 0),
    "its log within a line": ("GET /containers/.*/logs", 1000),
    "ended, about to be waited for": ("POST /containers/.*/wait", None),
    "ended, waited for": ("POST /containers/.*/wait", 0),
    "about to give its result": ("GET /containers/.*/archive", None),
    "its result on the way": ("GET /containers/.*/archive", 900),
    "about to be removed": ("DELETE /containers/", None),
    "removed, not yet told": ("DELETE /containers/", 0),
    "volumes about to be removed": ("DELETE /volumes/", None),
    "a volume removed, not yet told": ("DELETE /volumes/", 0),
}
ORDERS = ("say before", "log 6400", "say after")
names = itertools.count()


def written(log, *orders):
    """What the container wrote, after its first line, which names the script and its maps."""
    text = re.match(rb"script \S+, maps [^\n]*\n", log)[0]
    for order in orders:
        verb, _, value = order.partition(" ")
        if verb == "say":
            text += f"{value}\n".encode()
        elif verb == "log":
            text += b"".join(b"%063d\n" % n for n in range(1, int(value) // 64 + 1))
        elif verb == "tick":
            text += b"".join(b"tick %d\n" % n for n in range(1, int(value) + 1))
    return text


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(n) for n in f.read().split()]


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(8) as made:
        yield made


class Torture:
    """A stack that reaches its own engine through a gate."""

    def __init__(self, engine, *flags, slots=1):
        self.engine = OwnEngine(engine.name, *flags).start().load()
        self.engine_died, self.lives_on = False, "--live-restore" in flags
        try:
            self.gate = Gate(TMP / f"gate{OwnEngine.count}", self.engine.socket,
                             os.stat(self.engine.socket).st_gid)
            self.stack = Stack(self.engine, conf={
                "docker": {"socket_path": self.gate.path}, "queue": {"slots": slots}})
            self.stack.start()
        except BaseException:
            self.engine.stop()
            raise

    def close(self):
        self.gate.open()
        try:
            self.stack.stop()
        finally:
            self.gate.close()
            self.engine.stop()

    def restore(self):
        """Whatever a failed test has left."""
        self.engine_died = False
        self.gate.open()
        if not self.engine.process.alive():
            self.engine.start()
        if not self.stack.worker.alive():
            self.stack.start_worker()
        if not self.stack.processes["build"].alive():
            self.stack.start_public("build")

    def request(self, *orders):
        return self.stack.ordered(f"torture {next(names)}", *orders)

    # --- the victims

    def kill_worker(self, hold):
        self.stack.kill_worker()
        hold.cut()
        self.stack.start_worker()

    def kill_child(self, hold):
        for child in children(self.stack.processes["build"].pid):
            os.kill(child, signal.SIGKILL)
        hold.go()

    def kill_keeper(self, hold):
        keeper = self.stack.processes["build"]
        orphans = children(keeper.pid)
        keeper.kill()
        keeper.child.wait()
        # Its child answers who waits and ends: nobody would ever reload it.
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in orphans), 20)
        self.stack.start_public("build")
        hold.go()

    def kill_engine(self, hold):
        self.engine_died = not self.lives_on
        self.engine.kill()
        hold.cut()
        self.engine.start()

    def kill_machine(self, hold):
        """All at once but for who holds the clients."""
        self.stack.kill_worker()
        self.engine.lose_power()
        hold.cut()
        self.engine.start()
        self.stack.start_worker()

    # --- what must be true afterwards

    def answer(self, request, first):
        """The answer of the first POST or, behind an error that says to come again, of the next."""
        reply = first.result(180)
        if reply.status != 200:
            check_error(reply, reply.status)
            assert reply.status in (502, 503), reply
            reply = wait_until(lambda: (lambda r: r if r.status == 200 else None)(
                self.stack.post(request)), 60, 0.2)
        return reply

    def check(self, request, first, attempts=1, orders=ORDERS):
        stack = self.stack
        reply = self.answer(request, first)
        assert reply.json["success"] is True, reply
        stack.fetch(reply.json["filename"])
        zip_name = reply.json["filename"].rsplit("/", 1)[1]
        rows = stack.jobs("id, state, attempts", f"artifact = '{zip_name}'")
        assert len(rows) == 1, "the key was built more than once"
        job = rows[0]
        assert job["state"] == "succeeded" and job["attempts"] <= attempts, dict(job)
        log = stack.get(f"/logs/{job['id']}.log").body
        said = written(log, *orders)
        # A Docker that dies takes with it what it had not logged of a container that lives on.
        if self.engine_died and self.engine.name == "docker":
            assert said.startswith(log), log
        else:
            assert log == said
        for attempt in range(1, job["attempts"]):
            old = stack.get(f"/logs/{job['id']}.{attempt}.log")
            assert old.status in (200, 404) and log.startswith(old.body), old
        self.check_clean()
        return job

    def check_clean(self):
        wait_until(lambda: not self.stack.containers(), 30)
        wait_until(lambda: not self.engine.volumes() - self.stack.volumes, 30)
        left = [file.name for file in (self.stack.state / "artifacts").iterdir()
                if not file.name.endswith(".zip") or file.name.startswith(".")]
        assert not left
        wait_until(self.stack.answers, 30)


@pytest.fixture(scope="module")
def own(engine):
    torture = Torture(engine)
    yield torture
    torture.close()


def table(*short, name="state", all_=tuple(STATES)):
    """All of them, or those that every run can afford."""
    return pytest.mark.parametrize(name, all_ if LONG else short)


def strike(torture, pool, victim, state, attempts=1):
    if torture.engine.name == "podman" and STATES[state][0].endswith("/wait"):
        pytest.skip("a Podman is asked whether the container has ended, not to wait for it")
    torture.restore()
    request = torture.request(*ORDERS)
    hold = torture.gate.hold(*STATES[state])
    first = pool.submit(torture.stack.post, request)
    hold.wait()
    getattr(torture, f"kill_{victim}")(hold)
    return torture.check(request, first, attempts)


@table("a volume made", "created, not yet told", "about to get its files", "started, not yet told",
       "its log within a line", "its result on the way", "about to be removed")
def test_the_worker_dies(own, pool, state):
    strike(own, pool, "worker", state)


@table("its log within a line")
def test_the_executable_dies(own, pool, state):
    strike(own, pool, "child", state)


@table("its result on the way")
def test_its_keeper_dies(own, pool, state):
    strike(own, pool, "keeper", state)


@table("created, not yet told", "about to get its files", "its log within a line",
       "its result on the way")
def test_the_engine_dies(own, pool, state):
    strike(own, pool, "engine", state, 2)


@table("about to start")
def test_the_machine_dies(own, pool, state):
    strike(own, pool, "machine", state, 2)


@table("about to be created")
def test_a_dead_workers_call_comes_late(own, pool, state):
    """The next worker has found the job, and then the engine hears what the dead one has sent."""
    own.restore()
    request = own.request(*ORDERS)
    hold = own.gate.hold(*STATES[state])
    first = pool.submit(own.stack.post, request)
    hold.wait()
    own.stack.kill_worker()
    own.stack.start_worker()
    hold.go()
    own.check(request, first)


# --- while a container runs, which goes on or not

TICKS = ("say before", "log 6400", "tick 3", "log 6400", "say after")


def run_until_tick(torture, pool, tick):
    """A build whose log has come so far."""
    torture.restore()
    request = torture.request(*TICKS)
    first = pool.submit(torture.stack.post, request)

    def ticked():
        rows = torture.stack.jobs("id", "state = 'running'")
        return rows and f"tick {tick}\n" in torture.stack.get(f"/logs/{rows[0]['id']}.log").text
    wait_until(ticked, 60)
    return request, first


class Now:
    """In the place of a hold, where nothing is held."""

    def cut(self):
        pass

    go = cut


def test_the_worker_dies_again_and_again(own, pool):
    request, first = run_until_tick(own, pool, 1)
    for _ in range(3):
        own.kill_worker(Now())
    assert own.check(request, first, orders=TICKS)["attempts"] == 1


@pytest.mark.parametrize("victim, attempts", [
    ("child", 1), ("keeper", 1), ("engine", 2), ("machine", 2)])
def test_under_a_running_build(own, pool, victim, attempts):
    """A Docker without live-restore ends its containers; Podman has none that would."""
    request, first = run_until_tick(own, pool, 1)
    getattr(own, f"kill_{victim}")(Now())
    job = own.check(request, first, attempts, TICKS)
    if victim == "machine" or own.engine.name == "docker":
        assert job["attempts"] == attempts
    else:
        assert job["attempts"] == 1


def test_a_container_that_lives_on(engine, pool):
    """With live-restore a restart of the engine loses no line and costs no attempt."""
    if engine.name != "docker":
        pytest.skip("Podman's containers always live on: see above")
    living = Torture(engine, "--live-restore")
    try:
        request, first = run_until_tick(living, pool, 1)
        living.kill_engine(Now())
        assert living.check(request, first, orders=TICKS)["attempts"] == 1
    finally:
        living.close()


# --- in the queue

@table("worker", "engine", name="victim", all_=("worker", "child", "keeper", "engine", "machine"))
def test_a_queued_job(own, pool, victim):
    own.restore()
    stack = own.stack
    requests = [own.request("tick 1", "sleep 0.5"), own.request(*ORDERS)]
    firsts = []
    for n, request in enumerate(requests):
        firsts.append(pool.submit(stack.post, request))
        wait_until(lambda: len(stack.jobs("id", "state IN ('queued', 'running')")) == n + 1, 30)
    assert len(stack.jobs("id", "state = 'queued'")) == 1
    getattr(own, f"kill_{victim}")(Now())
    blocker = own.answer(requests[0], firsts[0])
    assert blocker.json["success"] is True
    assert own.check(requests[1], firsts[1])["attempts"] == 1
