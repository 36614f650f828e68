#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""init of images/server, as TAP: a table of small scripts, each told what to do by its words."""
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time

INIT = os.path.join(os.environ.get("KII_BUILDDIR", "."), "tests/unit/init_app")
PATIENCE = 20
tests = []


def test(function):
    tests.append(function)


class Run:
    """init with a table, its lines as they come, and its end."""

    def __init__(self, table, args=(), folder=None, wrap=()):
        self.dir = folder or tempfile.mkdtemp()
        os.chmod(self.dir, 0o755)
        self.out = os.path.join(self.dir, "out")
        with open(os.path.join(self.dir, "table"), "w", encoding="utf-8") as file:
            file.write(table.replace("@", self.dir))
        with open(self.out, "wb") as out:
            self.child = subprocess.Popen([*wrap, INIT, *args, os.path.join(self.dir, "table")],
                                          stdin=subprocess.DEVNULL, stdout=out)

    def script(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + text)
        os.chmod(path, 0o755)

    def text(self):
        with open(self.out, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait(self, words, times=1):
        end = time.monotonic() + PATIENCE
        while self.text().count(words) < times:
            assert time.monotonic() < end and self.child.poll() is None, \
                f"never said {words!r}:\n{self.text()}"
            time.sleep(0.01)
        return self

    def pid(self, name):
        lines = [line for line in self.text().splitlines()
                 if line.startswith(f"init: event=started name={name} ")]
        return int(lines[-1].split("pid=")[1].split()[0])

    def send(self, number):
        self.child.send_signal(number)
        return self

    def end(self, number=signal.SIGTERM):
        self.send(number)
        return self.wait_end()

    def wait_end(self):
        try:
            return self.child.wait(PATIENCE)
        finally:
            self.child.kill()
            self.child.wait()
            self.said = self.text()
            shutil.rmtree(self.dir, ignore_errors=True)


def new(table, scripts=None, args=(), wrap=()):
    folder = tempfile.mkdtemp()
    run = Run.__new__(Run)
    run.dir = folder
    for name, text in (scripts or {}).items():
        run.script(name, text)
    run.__init__(table, [arg.replace("@", folder) for arg in args], folder, wrap)
    return run


# Without a fork: dash loses a signal that comes while it starts a program.
FIFO = "mkfifo $0.$$; exec 3<>$0.$$; rm $0.$$\n"
IDLE = "while :; do read x <&3; done\n"
SLEEPER = FIFO + 'trap "echo end; exit 0" TERM QUIT\necho up\n' + IDLE


@test
def each_says_its_lines_behind_its_name():
    run = new("# a comment\n\n one 1 root - @/one\ntwo 2 root - sh -c @/two\n", {
        "one": "printf 'a\\n\\nb'; sleep 60 & echo ' c'; echo oh >&2; echo last >/dev/stderr\n"
               "printf 'no end'; wait\n",
        "two": "head -c 9000 /dev/zero | tr '\\0' x; echo; sleep 60\n"})
    run.wait("one: last\n").wait("x\n", 3)
    assert run.end() == 0
    said = run.said
    for line in ("one: a\n", "one: \n", "one: b c\n", "one: oh\n", "one: no end\n"):
        assert line in said, said
    assert said.count("two: xxx") == 3 and said.count("x") == 9000 + said.count("exit"), said
    assert said.endswith("init: event=ended\n")


@test
def each_is_the_user_that_the_table_names():
    run = new("zone 1 www-data - @/ids\nroot 1 root - @/ids\n",
              {"ids": "id -u; id -g; id -G; cat /proc/self/status | grep -E 'CapEff|SigBlk|SigIgn'\n"
                      "ps -o pgid= -p $$; echo $$; readlink /proc/self/fd/0; sleep 60\n"})
    user = pwd.getpwnam("www-data")
    run.wait("/dev/null\n", 2)
    run.end()
    lines = [line[6:] for line in run.said.splitlines() if line.startswith("zone: ")]
    assert lines[:3] == [str(user.pw_uid), str(user.pw_gid), str(user.pw_gid)], run.said
    assert "CapEff:\t0000000000000000" in lines, run.said
    assert "SigBlk:\t0000000000000000" in lines, run.said
    assert lines[-3].strip() == lines[-2], run.said


@test
def the_sockets_group_is_looked_up_at_each_start():
    run = new("eng 1 www-data socket @/groups\npub 1 www-data - @/groups\n",
              {"groups": "id -G; read go <@\n".replace("@", "$(dirname $0)/fifo")},
              ["-s", "@/socket"])
    fifo, sock = os.path.join(run.dir, "fifo"), os.path.join(run.dir, "socket")
    run.wait("event=no_socket path=" + sock).wait("event=died name=eng")
    own = pwd.getpwnam("www-data").pw_gid
    os.mkfifo(fifo, 0o644)
    with open(sock, "w", encoding="utf-8"):
        os.chown(sock, 0, 4242)
    run.wait(f"eng: {own} 4242\n").wait("group=4242")
    assert "pub: 4242" not in run.text() and f"pub: {own} 4242" not in run.text()
    os.chown(sock, 0, 4343)
    os.kill(run.pid("eng"), signal.SIGKILL)
    run.wait(f"eng: {own} 4343\n")
    assert run.end() == 0


@test
def who_dies_is_started_again_and_again_more_slowly():
    run = new("bad 1 root - @/bad\ngone 1 root - /nonexistent\n",
              {"bad": "echo here; exit 3\n"})
    run.wait("bad: here\n", 4)
    run.end()
    waits = [int(line.split("again_in_ms=")[1]) for line in run.said.splitlines()
             if "event=died name=bad" in line]
    assert 80 <= waits[0] <= 100 < waits[1] <= 200 < waits[2] <= 400, run.said
    assert "status=3" in run.said and "gone: /nonexistent: No such file" in run.said
    assert "event=died name=gone" in run.said and "status=127" in run.said


@test
def who_lived_long_is_started_at_once():
    run = new("ok 1 root - @/ok\n", {"ok": SLEEPER})
    for times in (1, 2):
        run.wait("ok: up", times)
        time.sleep(1.05)
        os.kill(run.pid("ok"), signal.SIGKILL)
    run.wait("ok: up", 3)
    run.end()
    waits = [int(line.split("again_in_ms=")[1]) for line in run.said.splitlines()
             if "event=died name=ok" in line]
    assert "signal=9" in run.said and all(each <= 100 for each in waits), run.said


@test
def what_the_dead_leaves_behind_goes_too():
    run = new("master 1 root - @/master\n",
              {"master": FIFO + "sh -c 'trap \"echo child ends; exit\" TERM; echo child up; " +
                         IDLE.strip() + "' &\nsleep 60\n"})
    run.wait("child up")
    os.kill(run.pid("master"), signal.SIGKILL)
    run.wait("child ends").wait("child up", 2)
    run.end(signal.SIGINT)


@test
def an_end_goes_stage_by_stage():
    run = new("c 3 root - @/s\na 1 root - @/s\nb 2 root quit @/s\nz 1 root - @/s\n", {
        "s": FIFO + "trap 'sleep 0.1; echo end TERM; exit' TERM; trap 'echo end QUIT; exit' QUIT\n"
             "echo up\n" + IDLE})
    for name in "c", "a", "b", "z":
        run.wait(f"{name}: up")
    assert run.end() == 0
    ends = [line for line in run.said.splitlines() if ": end " in line]
    assert sorted(ends[:2]) == ["a: end TERM", "z: end TERM"], run.said
    assert ends[2:] == ["b: end QUIT", "c: end TERM"], run.said
    assert "event=died" not in run.said and "event=killed" not in run.said


@test
def who_does_not_end_is_killed():
    run = new("mule 1 root - @/mule\nok 2 root - @/ok\n",
              {"mule": FIFO + "trap '' TERM\necho up\n" + IDLE, "ok": SLEEPER})
    run.wait("mule: up").wait("ok: up")
    assert run.end() == 0
    assert run.said.index("event=killed name=mule") < run.said.index("ok: end"), run.said


@test
def after_quit_who_runs_may_take_its_time_until_term():
    run = new("slow 1 root - @/slow\n", {
        "slow": FIFO + "trap 'echo draining' QUIT; trap 'echo cut; exit' TERM\necho up\n" + IDLE})
    run.wait("slow: up").send(signal.SIGQUIT).wait("slow: draining")
    time.sleep(1)
    assert run.child.poll() is None, run.text()
    run.send(signal.SIGQUIT)
    assert run.end() == 0 and "slow: cut" in run.said and run.said.count("draining") == 1, run.said


@test
def a_reload_asks_the_check_first():
    run = new("check 1 root check @/check\na 1 root hup @/a\nb 1 root - @/a\n", {
        "check": "echo asked; [ ! -e $(dirname $0)/broken ]\n",
        "a": FIFO + "trap 'echo reloaded' HUP\necho up\n" + IDLE})
    run.wait("a: up").wait("b: up")
    assert "check: asked" not in run.text()
    run.send(signal.SIGHUP).wait("a: reloaded").wait("event=told name=a signal=1")
    broken = os.path.join(run.dir, "broken")
    with open(broken, "w", encoding="utf-8"):
        pass
    run.send(signal.SIGHUP).wait("event=reload_refused name=check")
    os.unlink(broken)
    run.send(signal.SIGHUP).wait("a: reloaded", 2)
    run.end()
    assert run.said.count("a: reloaded") == 2 and "b: reloaded" not in run.said, run.said
    assert "event=died" not in run.said


@test
def without_a_check_a_reload_is_told_at_once():
    run = new("a 1 root hup @/a\n",
              {"a": FIFO + "trap 'echo reloaded' HUP\necho up\n" + IDLE})
    run.wait("a: up").send(signal.SIGHUP).wait("a: reloaded")
    run.end()


@test
def as_process_1_it_reaps_orphans_and_leaves_nobody():
    run = new("a 1 root - @/a\n", {
        "a": "sh -c '(sleep 0.1; echo orphan) & exit'\n(setsid sleep 600 & )\necho up\n" + SLEEPER},
              wrap=["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"])
    run.wait("a: orphan")
    init = int(open(f"/proc/{run.child.pid}/task/{run.child.pid}/children",
                    encoding="ascii").read().split()[0])

    def below():
        told = subprocess.run(["ps", "-o", "stat=,args=", "--ppid", str(init)],
                              capture_output=True, text=True, check=False).stdout
        return told
    end = time.monotonic() + PATIENCE
    while "Z" in below() or "sleep 600" not in below():
        assert time.monotonic() < end, below()
        time.sleep(0.01)
    os.kill(init, signal.SIGTERM)
    assert run.wait_end() == 0, run.said


@test
def nobody_who_listens_is_no_reason_to_end():
    run = new("a 1 root - @/a\n", {"a": "trap 'echo bye >$(dirname $0)/bye; exit' TERM\n"
                                        "while echo hello; do sleep 0.02; done\n"})
    run.wait("a: hello")
    deaf = subprocess.Popen([INIT, os.path.join(run.dir, "table")], stdout=subprocess.PIPE)
    deaf.stdout.read(10)
    deaf.stdout.close()
    time.sleep(0.3)
    assert deaf.poll() is None
    deaf.terminate()
    assert deaf.wait(PATIENCE) == 0
    assert os.path.exists(os.path.join(run.dir, "bye"))
    run.end()


@test
def a_table_that_makes_no_sense_is_refused():
    for table, words in {
            "": "no services", "a 1 root -\n": "table:1: fewer than five words",
            "a 1 root - x\nb 0 root - x\n": "table:2: no stage: 0", "a x root - x\n": "no stage: x",
            "a 1 nobody-here - x\n": "no such user: nobody-here",
            "a 1 root hup,boo x\n": "unknown flag: hup,boo",
            "a 1 root - " + "x " * 40: "too many words",
            "a 1 root - x\n" * 33: "table:33: too many services"}.items():
        run = new(table)
        assert run.wait_end() == 78, run.said
        assert run.said.startswith("init: event=refused error=") and words in run.said, run.said
    gone = subprocess.run([INIT, "/nonexistent"], capture_output=True, text=True, check=False)
    assert gone.returncode == 78 and "/nonexistent" in gone.stdout
    for args in ([], ["-x", "t"], ["a", "b"]):
        done = subprocess.run([INIT, *args], capture_output=True, text=True, check=False)
        assert done.returncode == 64 and "usage: " in done.stderr, done


def main():
    if os.geteuid() != 0:
        print("1..0 # SKIP it starts programs as other users: needs root")
        return 0
    failed = 0
    print(f"1..{len(tests)}")
    for number, function in enumerate(tests, 1):
        try:
            function()
            print("ok", end="")
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            failed += 1
            print("# " + f"{type(error).__name__}: {error}".replace("\n", "\n# "))
            print("not ok", end="")
        print(f" {number} - {function.__name__.replace('_', ' ')}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
