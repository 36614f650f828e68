# SPDX-License-Identifier: MIT
"""The walls between the zones, tried by the users themselves: root would prove nothing."""

import concurrent.futures
import grp
import json
import subprocess

import pytest

from stack import PREFIX, as_user, wait_until

# Prints the name of the error, "done" when there was none.
TRY = """
import errno, os, socket, sqlite3, sys
from pathlib import Path
what, *args = sys.argv[1:]

def connect(path):
    socket.socket(socket.AF_UNIX).connect(path)
def listen(path):
    socket.socket(socket.AF_UNIX).bind(path)
def read(path):
    open(path, "rb").read(1)
def write(path):
    open(path, "ab")
def make(path):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
def listdir(path):
    os.listdir(path)
def unlink(path):
    os.unlink(path)
def rename(path, to):
    os.rename(path, to)
def link(path, to):
    os.symlink(path, to)
def chmod(path):
    os.chmod(path, 0o777)
def kill(pid):
    os.kill(int(pid), 9)
def memory(pid):
    open(f"/proc/{pid}/mem", "rb")
def environ(pid):
    open(f"/proc/{pid}/environ", "rb").read()
def insert(path):
    try:
        db = sqlite3.connect(path, timeout=1)
        db.execute("UPDATE Jobs SET state = 'lost'")
        db.commit()
    except sqlite3.OperationalError as e:
        assert "readonly" in str(e) or "unable to open" in str(e), e
        raise PermissionError(errno.EACCES, str(e))
def select(path):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    db.execute("SELECT count(*) FROM Jobs").fetchall()

try:
    globals()[what](*args)
    print("done")
except OSError as e:
    print(errno.errorcode.get(e.errno, e))
"""
REFUSED = {"EACCES", "EPERM"}


def attempt(user, what, *args):
    run = subprocess.run([*as_user(user), "/usr/bin/python3", "-c", TRY, what, *map(str, args)],
                         capture_output=True, text=True, timeout=30, cwd="/")
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def places(stack):
    state, run = stack.state, stack.run
    worker = stack.worker.pid
    return {
        "engine's socket": ("connect", stack.engine.socket),
        "operator files, list": ("listdir", state / "engine"),
        "operator files, read": ("read", state / "engine/instance"),
        "operator files, make": ("make", state / "engine/planted"),
        "tokens, read": ("read", state / "engine/operator.sqlite"),
        "tokens, insert": ("insert", state / "engine/operator.sqlite"),
        "operator's program": ("connect", run / "operator/audit.sock"),
        "queue, make": ("make", state / "queue/planted"),
        "queue, write": ("write", state / "queue/jobs.sqlite"),
        "queue, insert": ("insert", state / "queue/jobs.sqlite"),
        "queue, truncate shm": ("write", state / "queue/jobs.sqlite-shm"),
        "queue, unlink": ("unlink", state / "queue/jobs.sqlite"),
        "queue, rename": ("rename", state / "queue/jobs.sqlite", state / "queue/other"),
        "versions, write": ("write", state / "queue/config.sqlite"),
        "artifacts, make": ("make", state / "artifacts/MD1-Standard-00.zip"),
        "artifacts, link": ("link", "/etc/passwd", state / "artifacts/passwd.zip"),
        "artifacts, read": ("listdir", state / "artifacts"),
        "logs, make": ("make", state / "logs/x.log"),
        "operator logs": ("listdir", state / "operator-logs"),
        "worker's socket, replace": ("rename", run / "worker/worker.sock", run / "worker/old"),
        "worker's socket, unlink": ("unlink", run / "worker/worker.sock"),
        "worker's socket, plant": ("listen", run / "worker/other.sock"),
        "operator's sockets, plant": ("listen", run / "operator/images.sock"),
        "run folder": ("make", run / "planted"),
        "state folder": ("make", state / "planted"),
        "executables": ("write", PREFIX / "libexec/kiisrv/build"),
        "executables' folder": ("make", PREFIX / "libexec/kiisrv/planted"),
        "configuration": ("write", stack.conf),
        "layouts": ("make", stack.etc / "layouts/planted.json"),
        "worker, kill": ("kill", worker),
        "worker, memory": ("memory", worker),
        "worker, environment": ("environ", worker),
    }


def test_user_kiisrv_meets_walls(stack):
    met = {place: attempt("kiisrv", *how) for place, how in places(stack).items()}
    assert {p: e for p, e in met.items() if e not in REFUSED} == {}
    assert stack.answers()


def test_what_user_kiisrv_needs_is_open_to_it(stack):
    """So the walls above are not there because nothing works at all."""
    assert attempt("kiisrv", "select", stack.state / "queue/jobs.sqlite") == "done"
    assert attempt("kiisrv", "connect", stack.run / "worker/worker.sock") == "done"
    assert attempt("kiisrv", "read", stack.state / "queue/config.sqlite") == "done"
    assert attempt("kiisrv", "listdir", stack.state / "public") == "done"


@pytest.mark.parametrize("user", ["nobody", "www-data"])
def test_other_users_reach_neither_worker_nor_engine(stack, user):
    assert attempt(user, "connect", stack.run / "worker/worker.sock") in REFUSED
    assert attempt(user, "connect", stack.engine.socket) in REFUSED
    assert attempt(user, "listdir", stack.state / "queue") in REFUSED
    assert attempt(user, "listdir", stack.state / "public") in REFUSED


def test_only_nginx_talks_to_the_executables(stack):
    assert attempt("www-data", "connect", stack.run / "public/versions.sock") == "done"
    assert attempt("nobody", "connect", stack.run / "public/versions.sock") in REFUSED
    assert attempt("www-data", "connect", stack.run / "operator/audit.sock") == "done"
    assert attempt("nobody", "connect", stack.run / "operator/audit.sock") in REFUSED


# A FastCGI program in a few lines: one answer for whoever comes, whatever is asked.
ROGUE = """
import socket, struct, sys
path, name = sys.argv[1:]
s = socket.socket(socket.AF_UNIX)
s.bind(path)
s.listen(8)
text = b"X-Accel-Redirect: /kiisrv-operator-log/" + name.encode() + b"\\r\\n\\r\\nits own"
while True:
    c, _ = s.accept()
    # nginx sends all of a small request before it reads.
    c.recv(65536)
    for kind, body in ((6, text), (6, b""), (3, bytes(8))):
        c.sendall(struct.pack(">BBHHBB", 1, kind, 1, len(body), 0, 0) + body)
    c.close()
"""


def test_a_public_program_cannot_have_an_operators_log_sent(new_stack):
    """Its X-Accel-Redirect is ignored; an operator's program may name a log."""
    s = new_stack()
    s.start_operators()
    log = "0" * 32 + ".log"
    (s.state / "operator-logs" / log).write_text("secret")
    for zone, user, name, path, answer in (
            ("public", "kiisrv", "stats", "/stats", "its own"),
            ("public", "kiisrv", "jobs", f"/api/v1/jobs/{'0' * 32}", "its own"),
            ("operator", "kiisrv-engine", "audit", "/api/v1/audit", "secret")):
        assert s.processes.pop(name).stop() == 0
        sock = s.run / zone / f"{name}.sock"
        sock.unlink(missing_ok=True)
        rogue = subprocess.Popen([*as_user(user, [grp.getgrnam("www-data").gr_gid]),
                                  "/usr/bin/python3", "-c", ROGUE, sock, log])
        try:
            wait_until(sock.exists)
            sock.chmod(0o660)
            reply = s.get(path)
            assert reply.status == 200 and reply.text == answer, (name, reply)
        finally:
            rogue.kill()
            rogue.wait()
    assert s.get(f"/kiisrv-operator-log/{log}").status == 404


SUBMIT = """
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode() + b"\\n")
f = s.makefile()
print(f.readline().strip())
"""


def say(stack, user, groups, message):
    run = subprocess.run([*as_user(user, groups), "/usr/bin/python3", "-c", SUBMIT,
                          str(stack.run / "worker/worker.sock"), json.dumps(message)],
                         capture_output=True, text=True, timeout=60, cwd="/")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout) if run.stdout.strip() else None


@pytest.mark.parametrize("message", [
    {"op": "submit", "tag": 1, "kind": "image", "client": "192.0.2.1", "request": {}},
    {"op": "submit", "tag": 1, "kind": "firmware", "client": "192.0.2.1", "request": {}},
    {"op": "cancel", "tag": 1, "job": "0" * 32},
    {"op": "retry", "tag": 1, "job": "0" * 32},
    {"op": "no_such_thing", "tag": 1},
])
def test_the_worker_refuses_what_user_kiisrv_may_not_ask(stack, message):
    answer = say(stack, "kiisrv", (), message)
    assert answer is None or (answer["tag"] == 1 and answer["ok"] is False), answer
    if answer and message["op"] in ("cancel", "retry"):
        assert answer["status"] == 403, answer
    assert stack.answers()


def test_a_container_is_walled_in(stack):
    """What the engine says of a build's container while it runs."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(stack.post, stack.ordered("walled in", "tick 3"))
        # One that an earlier test has left may be on its way out.
        container = wait_until(lambda: next(
            (c for c in stack.containers() if c["State"] == "running"), None), 30, 0.01)
        reply = stack.engine.ask("GET", f"/containers/{container['Id']}/json")
        assert answer.result().json["success"] is True
    assert reply.status == 200, reply
    told = json.loads(reply.body)
    host = told["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert not host["Privileged"]
    assert host["ReadonlyRootfs"] is True
    assert "no-new-privileges" in " ".join(host["SecurityOpt"])
    # Podman counts volumes among them; what begins with a slash is a path of the host.
    assert not [bind for bind in host["Binds"] or () if bind.startswith("/")], host["Binds"]
    for mount in told["Mounts"]:
        assert mount["Type"] != "bind", mount
    if stack.engine.name == "docker":
        assert [c.upper() for c in host["CapDrop"]] == ["ALL"] and not host["CapAdd"]
    else:
        assert not told.get("EffectiveCaps"), told.get("EffectiveCaps")
    assert host["Memory"] == 512 << 20 and host["PidsLimit"] == 128
    assert told["Config"]["Labels"]["kiisrv.instance"] == stack.instance()
