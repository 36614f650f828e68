# SPDX-License-Identifier: MIT
"""What the scripts of tests/bench share: a release build and engines of their own, below one
folder, in a PID and mount namespace, so that nothing is left however a script ends."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
WORK = pathlib.Path(os.environ.get("KIISRV_BENCH_DIR", "/var/lib/kiisrv-bench"))
os.environ["KIISRV_TEST_PREFIX"] = str(WORK / "prefix")
os.environ["KIISRV_TEST_TMP"] = str(WORK / "stacks")
sys.path.insert(0, str(TOP / "tests/api"))


def lib(command, *args, quiet=True):
    """Run a line of bash with the functions of dev/lib.sh."""
    done = subprocess.run(
        ["bash", "-c", f'work=$0 top=$1; shift; . "$top/dev/lib.sh"; {command}', WORK, TOP, *args],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None, text=True)
    if done.returncode:
        sys.exit(f"{command}: failed\n{(done.stdout or '')[-3000:]}")
    return done.stdout


def inside(keep):
    """Go on in namespaces of our own: returns there, exits out here when that has ended."""
    if os.environ.get("KIISRV_BENCH_INSIDE"):
        return
    if os.geteuid() != 0:
        sys.exit("this needs root: it starts servers as several users")
    child = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--mount-proc",
         "--kill-child", sys.executable, *sys.argv],
        env={**os.environ, "KIISRV_BENCH_INSIDE": "1", "PYTHONDONTWRITEBYTECODE": "1"})
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: child.kill())
    code = child.wait()
    if not keep:
        shutil.rmtree(WORK, ignore_errors=True)
    sys.exit(1 if code < 0 else code)


def prepare(built):
    """The checkout's sources as a release has them, installed below our folder."""
    for name in ("log", "pid", "stacks"):
        shutil.rmtree(WORK / name, ignore_errors=True)
        (WORK / name).mkdir(parents=True)
    WORK.chmod(0o755)
    (WORK / "stacks").chmod(0o755)
    if built:
        return
    lib('make_users; copy_source "$work/src" && cd "$work/src" && autoreconf -i && '
        'mkdir -p "$work/build" && cd "$work/build" && '
        '"$work/src/configure" -q --prefix="$work/prefix" CFLAGS=-Os && make -s -j"$(nproc)" && '
        'make -s install')


def start_engine(name):
    from stack import Engine
    url = f"unix://{WORK}/{name}/{name}.sock"
    lib(f'start_{name} "$work/{name}" && "$top/tests/images/make" tiny {url}')
    return Engine(name, url)


def stop_engine(name):
    lib("stop " + {"docker": "dockerd"}.get(name, name) + " 15")


class Recorder:
    """A Unix socket in front of an engine that keeps what is said through it, and when."""

    def __init__(self, engine):
        self.engine = engine
        self.path = f"{engine.socket}.recorder"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        shutil.chown(self.path, group="docker")
        os.chmod(self.path, 0o660)
        self.listener.listen(64)
        self.said = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            worker, _ = self.listener.accept()
            engine = socket.socket(socket.AF_UNIX)
            engine.connect(self.engine.socket)
            said, heard = [], []
            self.said.append((said, heard))
            for source, sink, keep in ((worker, engine, said), (engine, worker, heard)):
                threading.Thread(target=self.pump, args=(source, sink, keep), daemon=True).start()

    @staticmethod
    def pump(source, sink, keep):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                keep.append((time.perf_counter(), data))
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def calls(self):
        """(when, until, method, path, body) of all requests so far, in their order."""
        found = []
        for said, heard in self.said:
            whole = b"".join(data for _, data in said)
            starts = [0]
            for _, data in said:
                starts.append(starts[-1] + len(data))
            at, mine = 0, []
            while (end := whole.find(b"\r\n\r\n", at)) >= 0:
                head = whole[at:end].decode()
                length = re.search(r"(?i)content-length: (\d+)", head)
                size = int(length[1]) if length else 0
                piece = max(i for i, start in enumerate(starts) if start <= at)
                mine.append((said[piece][0], *head.split()[:2], whole[end + 4:end + 4 + size]))
                at = end + 4 + size
            for i, (when, *what) in enumerate(mine):
                before = mine[i + 1][0] if i + 1 < len(mine) else float("inf")
                until = max((t for t, _ in heard if when < t < before), default=when)
                found.append((when, until, *what))
        return sorted(found)


def median(values):
    return statistics.median(values)


def table(title, *rows):
    """Rows of a name, a value, its unit, and the target ("" for a figure that has none). Where
    KIISRV_BENCH_ROWS names a file they go there as well, for tests/bench/run."""
    print(f"\n{title}")
    for row in rows:
        print(line(*row), flush=True)
    if "KIISRV_BENCH_ROWS" in os.environ:
        with open(os.environ["KIISRV_BENCH_ROWS"], "a", encoding="utf-8") as out:
            out.writelines(json.dumps([title, *row]) + "\n" for row in rows)


def line(name, value, unit, target):
    return f"  {name:<52}{value:>10.2f} {unit:<4} {target}".rstrip()


def meets(value, target):
    """Does it? None where the target is no bound: "at most 3", "(below 64)", "at least 0.6"."""
    bound = re.match(r"\(?(at most|below|at least) ([\d.]+)", target)
    if not bound:
        return None
    limit = float(bound[2])
    return value >= limit if bound[1] == "at least" else \
        value < limit if bound[1] == "below" else value <= limit
