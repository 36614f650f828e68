# SPDX-License-Identifier: MIT
"""What the scripts of tests/bench share: a release build and engines of their own, below one
folder, in a PID and mount namespace, so that nothing is left however a script ends."""

import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys

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
        '"$work/src/configure" -q --prefix="$work/prefix" CFLAGS=-O2 && make -s -j"$(nproc)" && '
        'make -s install')


def start_engine(name):
    from stack import Engine
    url = f"unix://{WORK}/{name}/{name}.sock"
    lib(f'start_{name} "$work/{name}" && "$top/tests/images/make" tiny {url}')
    return Engine(name, url)


def stop_engine(name):
    lib("stop " + {"docker": "dockerd"}.get(name, name) + " 15")


def median(values):
    return statistics.median(values)


def table(title, *rows):
    """Rows of a name, a value, its unit, and the target ("" for a figure that has none)."""
    print(f"\n{title}")
    for name, value, unit, target in rows:
        print(f"  {name:<52}{value:>10.2f} {unit:<4} {target}".rstrip(), flush=True)
