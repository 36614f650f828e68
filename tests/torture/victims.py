# SPDX-License-Identifier: MIT
"""Who is killed, filled, locked and set wrong, and when: all drawn from the seed."""

import os
import random
import signal
import subprocess
import sys
import threading

from stack import OPERATOR, PUBLIC

# How often each, of their sum. An engine takes its time to come back.
WEIGHTS = {"worker": 6, "child": 6, "keeper": 3, "nginx": 2, "engine": 2, "reload": 2, "disk": 2,
           "lock": 2, "clock": 3, "both": 1}
DATABASES = {"queue/jobs": "kiisrv-engine", "queue/config": "kiisrv-engine",
             "engine/operator": "kiisrv-engine", "public/stats": "kiisrv"}
# Begins to write and never ends: it is killed, so nothing is cleaned up behind it.
LOCKER = ("import sqlite3, sys, time\n"
          "db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)\n"
          "db.execute('BEGIN IMMEDIATE')\nprint('locked', flush=True)\ntime.sleep(600)\n")


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [int(n) for n in f.read().split()]
    except OSError:
        return []


class Chaos(threading.Thread):
    def __init__(self, world, seconds, pause, without=()):
        """For so many seconds, with pauses between these two lengths."""
        super().__init__(daemon=True)
        self.world = world
        self.rng = random.Random(f"{world.seed} chaos")
        self.seconds = seconds
        self.pause = pause
        self.done = threading.Event()
        self.weights = {name: n for name, n in WEIGHTS.items() if name not in without}
        self.deck = []

    def run(self):
        diary = self.world.diary
        end = diary.now() + self.seconds
        try:
            while diary.now() < end and not self.done.wait(self.rng.uniform(*self.pause)):
                getattr(self, f"do_{self.next()}")()
        except Exception as e:   # the run has to hear of it
            diary.fault(f"the torturer failed: {e!r}")
        diary.note("chaos ends")

    def next(self):
        """As from a deck of cards: each as often as it weighs, in any order."""
        if not self.deck:
            self.deck = [name for name, n in sorted(self.weights.items()) for _ in range(n)]
            self.rng.shuffle(self.deck)
        return self.deck.pop()

    def stop(self, seconds=120):
        self.done.set()
        self.join(seconds)
        assert not self.is_alive(), "the torturer does not end"

    # --- kill -9

    def kill(self, name, pids=None):
        manager = self.world.manager
        with manager.lock:
            process = self.world.stack.processes[name]
            if not process.alive():
                return
            for pid in [process.pid] if pids is None else pids(process.pid):
                manager.killed.add(pid)
                self.world.diary.note("kill", f"{name} {pid}")
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def do_worker(self):
        self.kill("worker")

    def victim(self):
        """`build` holds the clients: it is hit as often as all others."""
        return "build" if self.rng.random() < 0.4 else self.rng.choice(PUBLIC + OPERATOR)

    def do_child(self):
        self.kill(self.victim(), children)

    def do_keeper(self):
        self.kill(self.victim())

    def do_nginx(self):
        """All of it, or one of its workers."""
        if self.rng.random() < 0.5:
            self.kill("nginx")
        else:
            self.kill("nginx", lambda pid: children(pid)[:1])

    def do_engine(self):
        world = self.world
        with world.keeper.lock:
            world.diary.note("kill engine")
            if world.engine.process.alive():
                world.engine.kill()

    def do_both(self):
        """The worker and the engine at a time."""
        self.do_worker()
        self.do_engine()

    # --- what is no death

    def do_reload(self):
        """HUP: a new child, or the worker's program anew."""
        name = self.rng.choice(("worker", "build", self.victim()))
        with self.world.manager.lock:
            process = self.world.stack.processes[name]
            # Before it is up, HUP means what it means to any process.
            if process.alive() and self.is_up(name):
                self.world.diary.note("reload", name)
                process.kill(signal.SIGHUP)

    def is_up(self, name):
        stack = self.world.stack
        return stack.worker_listens() and "event=ready" in stack.worker.text() \
            if name == "worker" else stack.serves(name)

    def do_disk(self):
        """Full to the last byte, or below the floor, for a while."""
        left = self.rng.choice((0, 4096, 64 << 10, 512 << 10))
        seconds = self.rng.uniform(0.5, 3)
        self.world.diary.note("disk full", f"{left} bytes for {seconds:.1f} s")
        self.world.disk_fill(left)
        self.done.wait(seconds)
        self.world.disk_free()
        self.world.diary.note("disk free")

    def do_lock(self):
        """Another process writes to a database for longer than most have patience, or not."""
        name = self.rng.choice(sorted(DATABASES))
        seconds = self.rng.uniform(0.5, 8)
        self.world.diary.note("lock", f"{name} for {seconds:.1f} s")
        with subprocess.Popen(
                ["setpriv", "--reuid", DATABASES[name], "--regid", DATABASES[name],
                 "--clear-groups", sys.executable, "-c", LOCKER,
                 str(self.world.stack.state / f"{name}.sqlite")],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as locker:
            locker.stdout.readline()
            self.done.wait(seconds)
            locker.kill()
        self.world.diary.note("unlock", name)

    def do_clock(self):
        """Somewhere near now; half the time the worker begins under it anew."""
        far = self.world.clock.far
        offset = self.rng.choice((0, -far, far, self.rng.randint(-far, far)))
        anew = self.rng.random() < 0.5
        self.world.diary.note("clock", f"{offset:+d}")
        self.world.clock.set(offset)
        if anew:
            self.do_worker()
