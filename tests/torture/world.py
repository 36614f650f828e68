# SPDX-License-Identifier: MIT
"""What is tortured: a whole kiisrv on a small disk, under a clock that can be set, with an engine
of its own; a manager that starts again what has died, as systemd would; and a diary."""

import errno
import os
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import threading
import time

import pytest

from engines import OwnEngine
from stack import OPERATOR, PUBLIC, TMP, Stack, wait_until

RESTART = 0.5   # seconds from a death to the next start; the units say 1
GENTLE = 20     # the child of a keeper that died answers who waits, and ends, within so many
MISCONFIGURED = 78   # an exit status that nothing here may bring about
DISK = "48m"
# A jump of the clock is longer than a build may take, and shorter than what kiisrv allows for
# between its clock and the engine's, which nobody sets here.
TIMEOUT, NEAR = 120, 240


class Diary:
    """What was done when (seconds from the beginning), and what should not have happened."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.begun, self.wall = time.monotonic(), time.time()
        self.file = open(path, "w", encoding="utf-8")
        self.events = []    # (when, what, whom)
        self.faults = []

    def now(self):
        return time.monotonic() - self.begun

    def note(self, what, whom=""):
        with self.lock:
            self.events.append((self.now(), what, whom))
            print(f"{self.now():8.2f} {what} {whom}", file=self.file, flush=True)

    def recent(self, what, seconds):
        """Has something of these beginnings been done in these last seconds?"""
        since = self.now() - seconds
        with self.lock:
            return any(f"{did} {whom}".startswith(what) for when, did, whom in self.events
                       if since <= when)

    def fault(self, text):
        with self.lock:
            self.faults.append(text)
            print(f"{self.now():8.2f} FAULT {text}", file=self.file, flush=True)

    def count(self, begin, end, *what):
        """How many of these were done between two times? What was just before may act still."""
        with self.lock:
            return sum(1 for when, did, _ in self.events if did in what and
                       begin - 15 <= when <= end)


class Clock:
    """The time of day as kiisrv's processes see it; clock.c says how."""

    def __init__(self, folder, far):
        self.far = far
        self.path = folder / "clock"
        self.path.write_bytes(bytes(8))
        self.path.chmod(0o644)
        self.library = folder / "clock.so"
        (folder / "config.h").touch()
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", f"-I{folder}", "-o",
                        self.library, pathlib.Path(__file__).with_name("clock.c")], check=True)

    def set(self, seconds):
        """For all of them, from now on."""
        with open(self.path, "r+b", 0) as f:
            f.write(struct.pack("=q", seconds * 1000))

    def environment(self):
        # An address sanitizer's library would want to be the first.
        return {"LD_PRELOAD": str(self.library), "KIISRV_TEST_CLOCK": str(self.path),
                "ASAN_OPTIONS": "verify_asan_link_order=0"}


class Tortured(Stack):
    """One whose processes are under the clock; nginx keeps its own."""

    last_look = None   # at the state folder, when all has ended

    def unmount(self):
        if self.last_look and os.path.ismount(self.state):
            self.last_look(self.state)
        super().unmount()

    def __init__(self, engine, clock, **more):
        self.fake = clock.environment()
        super().__init__(engine, **more)

    def spawn(self, name, args, env=None):
        return super().spawn(name, args, {**(env or {}), **({} if name == "nginx" else self.fake)})


class Manager(threading.Thread):
    """Starts again what has died; who dies of himself, without trouble that would explain it, is a
    fault."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world = world
        self.lock = threading.Lock()   # who has it kills or starts
        self.killed = set()            # pids that we have killed
        self.done = threading.Event()
        self.due = {}                  # name: when it is started
        self.deaths = {}

    def run(self):
        while not self.done.wait(0.05):
            for name in list(self.world.stack.processes):
                with self.lock:
                    try:
                        self.look(name)
                    except Exception as e:   # the run has to hear of it
                        self.world.diary.fault(f"{name} is not looked after: {e!r}")
                        return

    def look(self, name):
        process = self.world.stack.processes[name]
        if process.alive():
            return
        if name not in self.due:
            self.judge(process)
            self.due[name] = time.monotonic() + self.clear(process)
        elif time.monotonic() >= self.due[name]:
            del self.due[name]
            self.world.diary.note("start", name)
            self.starter(name)()

    def judge(self, process):
        code = process.child.returncode
        diary = self.world.diary
        diary.note("died", f"{process.name} {code}")
        killed = code == -signal.SIGKILL and process.pid in self.killed
        # A keeper whose first child is killed before it is up has failed to start.
        explained = code > 0 and code != MISCONFIGURED and (
            diary.recent(f"kill {process.name}", 5) or
            diary.recent(("disk", "lock", "unlock"), 20))
        if not killed and not explained:
            diary.fault(f"{process.name} ended with {code}: {process.text()[-1500:]}")

    def clear(self, process):
        """What is left of the service goes, at once or when it has ended its work: both are done
        by managers. How long until the next start?"""
        n = self.deaths[process.name] = self.deaths.get(process.name, 0) + 1
        gentle = process.name in (*PUBLIC, *OPERATOR) and \
            random.Random(f"{self.world.seed} {process.name} {n}").random() < 0.3
        if gentle:
            end = time.monotonic() + GENTLE
            while time.monotonic() < end and self.group_runs(process.pid):
                time.sleep(0.02)
        try:
            os.killpg(process.pid, signal.SIGKILL)
            if gentle:
                self.world.diary.fault(f"the child of a dead keeper of {process.name} did not end")
        except ProcessLookupError:
            pass
        return RESTART

    @staticmethod
    def group_runs(leader):
        try:
            os.killpg(leader, 0)
            return True
        except ProcessLookupError:
            return False

    def starter(self, name):
        stack = self.world.stack
        if name == "worker":
            return lambda: stack.start_worker(wait=False)
        if name == "nginx":
            return lambda: stack.spawn(
                "nginx", ["nginx", "-e", "stderr", "-c", str(stack.nginx_dir / "nginx.conf")])
        start = stack.start_public if name in PUBLIC else stack.start_operator
        return lambda: start(name)

    def stop(self):
        self.done.set()
        self.join(30)

    def settled(self):
        with self.lock:
            return not self.due and all(p.alive() for p in self.world.stack.processes.values())


class EngineKeeper(threading.Thread):
    """The same for the engine, which takes longer to come back."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world = world
        self.lock = threading.Lock()
        self.done = threading.Event()

    def run(self):
        while not self.done.wait(0.1):
            with self.lock:
                if not self.world.engine.process.alive():
                    self.start_engine()

    def start_engine(self):
        try:
            self.world.engine.start()
            self.world.diary.note("engine up")
        except Exception as e:   # whatever it is, the run has to hear of it
            self.world.diary.fault(f"the engine does not come back: {e}")
            self.done.set()

    def stop(self):
        self.done.set()
        self.join(90)


class World:
    count = 0

    def __init__(self, name, seed, far):
        World.count += 1
        self.seed = f"{seed} {name}"
        rng = random.Random(self.seed)
        flags = ["--live-restore"] if name == "docker" and rng.random() < 0.5 else []
        self.dir = TMP / f"w{World.count}"
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(parents=True)
        self.dir.chmod(0o755)
        self.diary = Diary(self.dir / "diary")
        self.diary.note("seed", f"{self.seed} {flags}")
        self.clock = Clock(self.dir, far)
        self.engine = OwnEngine(name, *flags)
        self.stack = self.manager = self.keeper = None
        try:
            self.engine.start().load()
            if name == "podman":
                self.give_guard()
            self.open_stack()
        except BaseException:
            self.close()
            raise

    def give_guard(self):
        """Image builds on Podman have a container beside them, which sleeps."""
        reply = self.engine.ask("POST", "/images/kiisrv-controller-056:latest/tag",
                                repo="localhost/kiisrv-fetch", tag="latest")
        assert reply.status == 201, reply

    def open_stack(self):
        self.images = self.tags()
        # Podman keeps what was imported under no name too.
        self.ids = {image["Id"] for image in self.ask_images("/images/json").json}
        self.stack = Tortured(self.engine, self.clock, disk=DISK, conf={
            "limits": {"disk_floor": "1 MiB"}, "retention": {
                "build_cache": 0, "working_containers": 0},
            "queue": {"slots": 3, "operator_slots": 2}, "firmware": {
                "timeout": TIMEOUT, "idle_timeout": TIMEOUT // 2, "git_refresh": 0}})
        self.stack.start().start_operators()
        self.anna = self.stack.operator()
        self.layout = self.stack.layout("MD1-Standard")
        self.manager, self.keeper = Manager(self), EngineKeeper(self)
        self.manager.start()
        self.keeper.start()

    def ask_images(self, path):
        """A Podman fails for a moment where another image is being removed; of what it has lost when
        it was killed it says so for good, and nobody can mend that."""
        def answer():
            reply = self.engine.ask("GET", path)
            if b"layer not known" in reply.body:
                pytest.skip(f"Podman has damaged its storage: {reply}")
            return reply if reply.status != 500 else None
        return wait_until(answer, 30, 0.5)

    def tags(self):
        reply = self.ask_images("/images/json")
        assert reply.status == 200, reply
        return {tag for image in reply.json for tag in self.names(image)}

    @staticmethod
    def names(image):
        """But for what Docker says of none, and Podman's own of a layer in the making."""
        tags = (re.sub("^(localhost|docker.io/library)/", "", t) for t in image["RepoTags"] or [])
        return {t for t in tags if not re.fullmatch("<none>:<none>|[0-9a-f]{64}-tmp:latest", t)}

    def calm(self):
        """All that was killed is back, and answers."""
        wait_until(self.manager.settled, 60)
        wait_until(self.engine_is_up, 90)
        wait_until(self.stack.worker_listens, 60)
        wait_until(self.answers, 60)
        wait_until(lambda: self.anna.get("/operator/jobs").status == 200, 60)

    def answers(self):
        try:
            return self.stack.answers()
        except AssertionError:
            return False   # the last one killed; the manager sees to it

    def engine_is_up(self):
        with self.keeper.lock:
            return self.engine.process.alive() and self.engine.answers()

    def close(self):
        """Everything ends; what is told of it is the stack's."""
        try:
            for each in (self.manager, self.keeper):
                if each:
                    each.stop()
            self.disk_free()
            if self.stack:
                self.stack.stop()
        finally:
            self.engine.stop()
            self.diary.file.close()

    # --- the disk

    def disk_fill(self, but):
        """Leave so many bytes."""
        try:
            with open(self.stack.state / "ballast", "ab", 0) as f:
                while (room := self.disk_room()) > but:
                    f.write(bytes(room - but))
        except OSError as e:
            # Somebody else took the last of it.
            assert e.errno == errno.ENOSPC

    def disk_room(self):
        fs = os.statvfs(self.stack.state)
        return fs.f_bavail * fs.f_frsize

    def disk_free(self):
        if self.stack:
            (self.stack.state / "ballast").unlink(missing_ok=True)

    def rows(self, name):
        """All jobs of queue/jobs or engine/operator, by their ids."""
        with sqlite3.connect(f"file:{self.stack.state}/{name}.sqlite?mode=ro", uri=True) as db:
            db.row_factory = sqlite3.Row
            return {row["id"]: row for row in db.execute("SELECT * FROM Jobs")}
