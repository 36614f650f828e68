#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""cgi/versions, cgi/jobs, cgi/layouts and cgi/health as plain CGI, and kiisrvctl versions: TAP."""

import contextlib
import inspect
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

SRC = pathlib.Path(os.environ.get("KII_SRCDIR", "."))
BUILD = pathlib.Path(os.environ.get("KII_BUILDDIR", "."))
ID = "0123456789abcdef0123456789abcdef"


class Place:
    """A state folder with its configuration, and what can be asked of it."""

    def __init__(self, root):
        self.root = root
        for zone in ("queue", "public"):
            (root / "state" / zone).mkdir(parents=True)
        (root / "layouts").mkdir()
        self.conf = root / "kiisrv.toml"
        self.conf.write_text(f'[paths]\nstate_dir = "{root}/state"\nrun_dir = "{root}/run"\n'
                             f'layouts = ["{root}/layouts"]\n[queue]\nslots = 2\n')

    def db(self, name):
        """Make (by the complete schema) or open a database."""
        zone = "public" if name == "stats" else "queue"
        path = self.root / f"state/{zone}/{name}.sqlite"
        db = sqlite3.connect(path, isolation_level=None)
        if not db.execute("PRAGMA user_version").fetchone()[0]:
            db.executescript((SRC / f"schema/{name}.sqlite").read_text())
        return contextlib.closing(db)

    def env(self, **more):
        """A child's environment: nothing of ours reaches it."""
        return dict({"PATH": os.environ["PATH"], "KIISRV_CONFIG": str(self.conf)}, **more)

    def ask(self, program, path, method="GET", **headers):
        """Status, headers and body of one request."""
        done = subprocess.run(
            [BUILD / "cgi" / program], input=b"", capture_output=True, timeout=60, check=False,
            env=self.env(GATEWAY_INTERFACE="CGI/1.1", REQUEST_METHOD=method, REQUEST_URI=path,
                         SCRIPT_NAME="", PATH_INFO=path, QUERY_STRING="", CONTENT_LENGTH="",
                         REMOTE_ADDR="192.0.2.1", SERVER_PROTOCOL="HTTP/1.1", **headers))
        assert done.returncode == 0, done.stderr.decode()
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        return int(lines.get("Status", "200").split()[0]), lines, body

    def get(self, program, path):
        """The JSON of a good answer."""
        status, head, body = self.ask(program, path)
        assert status == 200 and head["Content-Type"].startswith("application/json"), (status, body)
        return json.loads(body)

    def fails(self, program, path, status, code):
        """An error as all errors are."""
        got, head, body = self.ask(program, path)
        told = json.loads(body)
        assert got == status and told["code"] == code, (got, body)
        assert head["Content-Type"].startswith("application/json"), head
        assert ("Retry-After" in head) == (status == 503), head
        # Neither names of files nor the words of SQLite.
        assert str(self.root) not in told["error"] and "sqlite" not in told["error"], told

    def ctl(self, *args, code=0):
        """What kiisrvctl says."""
        done = subprocess.run([BUILD / "kiisrvctl", *args], capture_output=True, text=True,
                              timeout=60, check=False, env=self.env())
        assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
        return done.stdout if code == 0 else done.stderr


class Server:
    """An executable that serves a socket, as under spawn-fcgi."""

    def __init__(self, place, program):
        self.path = str(place.root / "socket")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.path)
            listener.listen(16)
            self.process = subprocess.Popen([BUILD / "cgi" / program], stdin=listener,
                                            stderr=subprocess.DEVNULL, env=place.env())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGQUIT)
        code = self.process.wait(30)
        assert code == 0, code

    def ask(self, path):
        """Status and body. Databases are looked at a hundred times a second at most."""
        time.sleep(0.011)
        params = b""
        for name, value in (("REQUEST_METHOD", "GET"), ("REQUEST_URI", path),
                            ("SERVER_PROTOCOL", "HTTP/1.1"), ("REMOTE_ADDR", "192.0.2.1")):
            params += struct.pack("BB", len(name), len(value)) + name.encode() + value.encode()
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            s.connect(self.path)
            for kind, data in ((1, struct.pack(">HB5x", 1, 0)), (4, params), (4, b""), (5, b"")):
                s.sendall(struct.pack(">BBHHBx", 1, kind, 1, len(data), 0) + data)
            told = b"".join(iter(lambda: s.recv(65536), b""))
        out = b""
        while told:
            _, kind, _, size, pad = struct.unpack(">BBHHBx", told[:8])
            out += told[8:8 + size] if kind == 6 else b""
            told = told[8 + size + pad:]
        head, _, body = out.partition(b"\r\n\r\n")
        status = [line for line in head.split(b"\r\n") if line.startswith(b"Status:")]
        told = json.loads(body) if b"\r\nContent-Type: application/json" in head else body.decode()
        return int(status[0].split()[1]) if status else 200, told


# --- versions ---

WANTED = {"commit": 1234, "date": "2020-01-02", "hash": "abcdef0", "bcd": "4.d2",
          "notes": "https://example.org/"}


def image(db, container):
    db.execute("INSERT INTO Images VALUES (?, 'sha256:1', 1, 1, 1)", (container,))


def versions_need_their_database(place):
    place.fails("versions", "/versions", 503, "unavailable")
    with place.db("config"):
        assert place.get("versions", "/versions") == {}


def versions_of_another_program_are_unavailable(place):
    with place.db("config") as db:
        db.execute("PRAGMA user_version = 99")
    place.fails("versions", "/versions", 503, "unavailable")


def a_broken_database_is_unavailable(place):
    (place.root / "state/queue/config.sqlite").write_bytes(b"x" * 4096)
    (place.root / "state/queue/jobs.sqlite").write_bytes(b"x" * 4096)
    place.fails("versions", "/versions", 503, "unavailable")
    place.fails("jobs", f"/api/v1/jobs/{ID}", 503, "unavailable")


def a_database_without_its_tables_is_an_error(place):
    with place.db("config") as db:
        db.execute("DROP TABLE Versions")
    with place.db("jobs") as db:
        db.execute("DROP TABLE Jobs")
    place.fails("versions", "/versions", 503, "database")
    place.fails("jobs", f"/api/v1/jobs/{ID}", 503, "database")


def versions_are_those_with_image_and_release(place):
    with place.db("config") as db:
        image(db, "controller-057")
        image(db, "controller-050")
        for tag in ("v0.5.7", "v0.5.5"):
            db.execute("INSERT INTO Releases VALUES (?, ?, ?, ?, ?, ?)", (tag, *WANTED.values()))
    told = place.get("versions", "/versions")
    assert told == {"latest": WANTED, "nightly": WANTED, "v0.5.7": WANTED}, told


def versions_have_a_tag(place):
    with place.db("config"):
        pass
    _, head, body = place.ask("versions", "/versions")
    status, _, again = place.ask("versions", "/versions", HTTP_IF_NONE_MATCH=head["ETag"])
    assert body and status == 304 and again == b"", (status, again)


def other_paths_and_methods_are_refused(place):
    place.fails("versions", "/versions/", 404, "not_found")
    place.fails("jobs", "/api/v1/jobs/", 404, "not_found")
    for program, path in (("versions", "/versions"), ("jobs", f"/api/v1/jobs/{ID}"),
                          ("layouts", "/layouts/"), ("health", "/healthz"),
                          ("health", "/metrics")):
        status, head, _ = place.ask(program, path, method="DELETE")
        assert status == 405 and "GET" in head["Allow"], (program, status, head)


# --- jobs ---

def insert(db, job=ID, kind="firmware", **columns):
    row = {"id": job, "kind": kind, "key": job, "state": "queued", "client": "192.0.2.9",
           "subject": "MD1", "request": "{}", "created": 1700000000000, **columns}
    db.execute(f"INSERT INTO Jobs ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
               tuple(row.values()))


def jobs_need_their_database(place):
    place.fails("jobs", f"/api/v1/jobs/{ID}", 503, "unavailable")


def an_unknown_job_is_404(place):
    with place.db("jobs") as db:
        insert(db)
    for job in ("0" * 32, "x", ID[:-1], ID + "0", ID.upper(), "%27", ID[:-2] + "..", ID + "/x"):
        place.fails("jobs", f"/api/v1/jobs/{job}", 404, "not_found")


def only_firmware_is_public(place):
    with place.db("jobs") as db:
        insert(db, kind="image")
    place.fails("jobs", f"/api/v1/jobs/{ID}", 404, "not_found")


def a_waiting_job_tells_its_place(place):
    with place.db("jobs") as db:
        insert(db, job="0" * 32, created=1699999999000)
        insert(db)
    assert place.get("jobs", f"/api/v1/jobs/{ID}") == {
        "id": ID, "kind": "firmware", "state": "queued", "created": "2023-11-14T22:13:20Z",
        "started": None, "finished": None, "attempts": 0, "place": 2, "estimate": None,
        "outcome": None, "error": None, "artifact": None, "log": f"/logs/{ID}.log"}


@contextlib.contextmanager
def worker(place, answer):
    """A worker that takes one question; what it was asked comes in the list."""
    folder = place.root / "run/worker"
    folder.mkdir(parents=True)
    asked = []

    def serve():
        with listener.accept()[0] as s, s.makefile("r") as lines:
            asked.append(json.loads(lines.readline()))
            s.sendall(json.dumps(answer()).encode() + b"\n")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "worker.sock"))
        listener.listen(1)
        listener.settimeout(60)
        thread = threading.Thread(target=serve)
        thread.start()
        yield asked
        thread.join()


def the_worker_says_whose_turn_it_is(place):
    with place.db("jobs") as db:
        insert(db)
    with worker(place, lambda: {"ok": True, "state": "queued", "place": 7,
                                "estimate_ms": 2500}) as asked:
        told = place.get("jobs", f"/api/v1/jobs/{ID}")
    assert told["place"] == 7 and told["estimate"] == 2.5, told
    assert asked == [{"op": "attach", "job": ID}]


def a_job_whose_turn_came_meanwhile_is_told_as_it_is(place):
    with place.db("jobs") as db:
        insert(db)

    def begin():
        with place.db("jobs") as own:
            own.execute("UPDATE Jobs SET state = 'running', started = 1000, attempts = 1")
        return {"ok": True, "state": "running", "place": 0, "estimate_ms": -1}
    with worker(place, begin):
        told = place.get("jobs", f"/api/v1/jobs/{ID}")
    assert told["state"] == "running" and told["place"] == 0, told


def a_job_has_an_estimate_from_history(place):
    with place.db("jobs") as db:
        insert(db, job="1" * 32, state="succeeded", started=1000, finished=5000)
        insert(db)
        insert(db, job="2" * 32, state="running", started=1000)
    told = place.get("jobs", f"/api/v1/jobs/{ID}")
    assert told["place"] == 1 and told["estimate"] == 8.0, told
    told = place.get("jobs", "/api/v1/jobs/" + "2" * 32)
    assert told["place"] == 0 and told["estimate"] == 0, told
    assert told["state"] == "running" and told["started"] == "1970-01-01T00:00:01Z", told


def an_ended_job_tells_how(place):
    with place.db("jobs") as db:
        insert(db, state="failed", started=1700000001000, finished=1700000009000, attempts=2,
               exit_code=1, outcome="build_failed", error="The compiler said no.",
               artifact="MD1-x-ab_error.zip", container_id="c", image="sha256:1")
    told = place.get("jobs", f"/api/v1/jobs/{ID}")
    assert told == {
        "id": ID, "kind": "firmware", "state": "failed", "created": "2023-11-14T22:13:20Z",
        "started": "2023-11-14T22:13:21Z", "finished": "2023-11-14T22:13:29Z", "attempts": 2,
        "place": None, "estimate": None, "outcome": "build_failed",
        "error": "The compiler said no.", "artifact": "/tmp/MD1-x-ab_error.zip",
        "log": f"/logs/{ID}.log"}, told


# --- a process that lives on ---

def a_database_that_comes_goes_and_is_another_one_is_followed(place):
    with Server(place, "jobs") as jobs:
        assert jobs.ask(f"/api/v1/jobs/{ID}")[0] == 503
        with place.db("jobs") as db:
            insert(db)
        status, told = jobs.ask(f"/api/v1/jobs/{ID}")
        assert status == 200 and told["state"] == "queued", told
        for file in (place.root / "state/queue").iterdir():
            file.unlink()
        assert jobs.ask(f"/api/v1/jobs/{ID}")[0] == 503
        with place.db("jobs") as db:
            insert(db, state="lost", finished=1)
            status, told = jobs.ask(f"/api/v1/jobs/{ID}")
            assert status == 200 and told["state"] == "lost", told
            db.execute("DROP TABLE Jobs")
        assert jobs.ask(f"/api/v1/jobs/{ID}")[0] == 503


def versions_follow_their_database_too(place):
    with Server(place, "versions") as versions:
        assert versions.ask("/versions")[0] == 503
        with place.db("config") as db:
            image(db, "controller-057")
            db.execute("INSERT INTO Releases VALUES ('v0.5.7', ?, ?, ?, ?, ?)",
                       tuple(WANTED.values()))
        assert versions.ask("/versions")[1]["latest"] == WANTED
        for file in (place.root / "state/queue").iterdir():
            file.unlink()
        with place.db("config") as db:
            assert versions.ask("/versions") == (200, {})
            db.execute("DROP TABLE Releases")
        assert versions.ask("/versions")[0] == 503


# --- stats ---

NOTHING = ("Builds: 0 (0 unique)\nCache ratio: 0.0\nAvg time: 0.000 s\n\nUsers: 0 unique\n"
           "Avg builds per user: 0.0\nAverage number of layers: 0\n\nOS Counts: {}\n"
           "Platform Counts: {}\nKeyboard Counts: {}\nVersion Counts: {}\n\n")


def record(db, board="MD1"):
    db.execute("INSERT INTO Requests (ip_addr, os, web, hash, board, variant, layers, container, "
               "success, request_time, build_duration) VALUES ('192.0.2.1', 'Linux', 1, 'a', ?, "
               "'x', 2, 'c', 1, '2024-01-02T00:00:00Z', 5)", (board,))


def stats_need_their_database(place):
    place.fails("stats", "/stats", 503, "unavailable")
    with place.db("stats"):
        status, head, body = place.ask("stats", "/stats")
        assert status == 200 and body.decode() == NOTHING, body
        assert head["Content-Type"] == "text/plain; charset=utf-8", head
        assert head["Vary"] == "Accept" and head["Cache-Control"] == "no-cache", head


def stats_are_json_for_who_asks_so(place):
    with place.db("stats") as db:
        record(db)
    status, head, body = place.ask("stats", "/stats", HTTP_ACCEPT="application/json")
    told = json.loads(body)
    assert status == 200 and head["Content-Type"] == "application/json", head
    assert told["builds"] == 1 and told["boards"]["MD1"]["builds"] == 1, told
    again, _, body = place.ask("stats", "/stats", HTTP_ACCEPT="application/json",
                               HTTP_IF_NONE_MATCH=head["ETag"])
    assert again == 304 and body == b""
    assert place.ask("stats", "/stats", HTTP_IF_NONE_MATCH=head["ETag"])[0] == 200


def broken_stats_are_unavailable(place):
    with place.db("stats") as db:
        db.execute("DROP TABLE Totals")
    place.fails("stats", "/stats", 503, "database")
    with place.db("stats") as db:
        db.execute("PRAGMA user_version = 99")
    place.fails("stats", "/stats", 503, "unavailable")
    place.fails("stats", "/stats/x", 404, "not_found")
    (place.root / "state/public/stats.sqlite").write_bytes(b"x" * 4096)
    place.fails("stats", "/stats", 503, "unavailable")


def stats_follow_their_database(place):
    with Server(place, "stats") as stats:
        assert stats.ask("/stats")[0] == 503
        with place.db("stats") as db:
            for n in range(1, 4):
                record(db)
                for _ in range(2):
                    status, text = stats.ask("/stats")
                    assert status == 200 and text.startswith(f"Builds: {n} (1 unique)\n"), text
        for file in (place.root / "state/public").iterdir():
            file.unlink()
        with place.db("stats") as db:
            assert stats.ask("/stats") == (200, NOTHING)
            db.execute("DROP TABLE Counts")
            assert stats.ask("/stats")[0] == 503
            db.execute("CREATE TABLE Counts (what, name, n)")
            assert stats.ask("/stats") == (200, NOTHING)


# --- layouts ---

def layout(place, name, layout_name, leds):
    header = {"Name": name, "Variant": "Standard", "Layout": layout_name, "Base": "Blank",
              "Version": "1", "Author": "a", "KLL": "0.5", "Date": "2020-01-01", "Generator": "g"}
    matrix = [{"code": "0x01", "layers": {"0": {"key": "A", "label": "A"}}}]
    text = json.dumps({"header": header, "matrix": matrix,
                       "leds": [{"id": 1, "x": 0, "y": 0}] * leds})
    (place.root / f"layouts/{name}-{layout_name}.json").write_text(text)


def layouts_are_listed_sorted(place):
    assert place.get("layouts", "/layouts/") == {"layouts": []}
    layout(place, "MD1", "Blank", 0)
    layout(place, "Kira", "Blank", 2)
    told = place.get("layouts", "/layouts/")["layouts"]
    assert told == [
        {"file": "Kira-Blank.json", "name": "Kira", "variant": "Standard", "layout": "Blank",
         "base": "Blank", "keys": 1, "leds": 2},
        {"file": "MD1-Blank.json", "name": "MD1", "variant": "Standard", "layout": "Blank",
         "base": "Blank", "keys": 1, "leds": 0}], told


def a_layout_that_nginx_did_not_find_is_404(place):
    for path in ("/layouts/None.json", "/layouts/a/b", "/layouts/..", "/layouts/%2e%2e"):
        place.fails("layouts", path, 404, "not_found")


def git(place, *args):
    """A command in the layouts' folder."""
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *args], check=True,
                   cwd=place.root / "layouts", capture_output=True, timeout=60)


def keyed(place, text):
    """The layout of the revisions' tests, with this Author."""
    file = place.root / "layouts/MD1-Blank.json"
    told = json.loads(file.read_text())
    told["header"]["Author"] = text
    file.write_text(json.dumps(told))


def revised(place, query, file="MD1-Blank.json"):
    status, head, body = place.ask("layouts", f"/layouts/{file}{query}")
    assert status == 200 and head["Content-Type"] == "application/json", (status, body)
    return json.loads(body)["header"]["Author"]


def without_a_checkout_the_revision_is_ignored(place):
    layout(place, "MD1", "Blank", 0)
    for query in ("", "?rev=", "?rev=v1", "?rev=--output=x", "?rev=a%20b", "?x=1"):
        assert revised(place, query) == "a", query
    place.fails("layouts", "/layouts/MD1-None.json?rev=v1", 404, "not_found")
    _, head, _ = place.ask("layouts", "/layouts/MD1-Blank.json?rev=v1")
    status, _, body = place.ask("layouts", "/layouts/MD1-Blank.json?rev=v1",
                                HTTP_IF_NONE_MATCH=head["ETag"])
    assert status == 304 and body == b"", status


def in_a_checkout_a_revision_is_what_it_was(place):
    if not shutil.which("git"):
        return
    layout(place, "MD1", "Blank", 0)
    (place.root / "layouts/MD1-Gone.json").symlink_to("MD1-Blank.json")
    git(place, "init", "-q")
    git(place, "add", ".")
    git(place, "commit", "-qm", "1")
    git(place, "tag", "v1")
    keyed(place, "b")
    (place.root / "layouts/MD1-Gone.json").unlink()
    git(place, "commit", "-qam", "2")
    git(place, "branch", "topic/x")
    keyed(place, "c")
    layout(place, "MD1", "New", 0)
    assert [revised(place, q) for q in ("", "?rev=v1", "?rev=topic/x")] == ["c", "a", "b"]
    assert revised(place, "?rev=v1", "MD1-Gone.json") == "a"
    for query in ("?rev=v2", "?rev=--output=x", "?rev=-v1", "?rev=HEAD~1", "?rev=v1:x", "?rev=a%20b",
                  "?rev=HEAD%5e", "?rev=" + "a" * 300):
        place.fails("layouts", "/layouts/MD1-Blank.json" + query, 404, "not_found")
    for file in ("MD1-New.json?rev=v1", "MD1-Gone.json?rev=topic/x", "MD1-Gone.json",
                 "MD1-None.json?rev=v1", "MD1-None.json?rev=--x", ".git%2fconfig?rev=v1",
                 "x?rev=v1"):
        place.fails("layouts", "/layouts/" + file, 404, "not_found")
    (place.root / "layouts/.git/refs/tags/v1").write_text("garbage")
    place.fails("layouts", "/layouts/MD1-Blank.json?rev=v1", 500, "internal")
    place.fails("layouts", "/layouts/MD1-Gone.json?rev=v1", 500, "internal")


def a_layout_that_is_gone_since_the_start_is_404(place):
    layout(place, "MD1", "Blank", 0)
    file = place.root / "layouts/MD1-Blank.json"
    with Server(place, "layouts") as layouts:
        assert layouts.ask("/layouts/MD1-Blank.json")[0] == 200
        file.unlink()
        status, told = layouts.ask("/layouts/MD1-Blank.json")
        assert status == 404 and str(place.root) not in told["error"], told
        file.mkdir()
        status, told = layouts.ask("/layouts/MD1-Blank.json")
        assert status == 500 and str(place.root) not in told["error"], told


def a_broken_layout_refuses_the_start(place):
    (place.root / "layouts/MD1-x.json").write_text('{"header": {}}')
    done = subprocess.run([BUILD / "cgi/layouts"], capture_output=True, timeout=60, check=False,
                          env=place.env(REQUEST_METHOD="GET", REQUEST_URI="/layouts/"))
    assert done.returncode == 1 and b"MD1-x.json" in done.stderr, done


# --- health ---

def without_anything_it_is_unhealthy(place):
    place.fails("health", "/healthz", 503, "unhealthy")
    told = json.loads(place.ask("health", "/healthz")[2])
    assert told["ok"] is False, told
    assert {r.split(":")[0] for r in told["reasons"]} == {
        "database jobs", "database config", "database stats", "disk", "worker"} - (
            {"disk"} if told["checks"]["disk"]["free"] > told["checks"]["disk"]["floor"] else set())
    with place.db("jobs"), place.db("config"):
        told = json.loads(place.ask("health", "/healthz")[2])
    assert told["checks"]["databases"] == {"jobs": "ok", "config": "ok", "stats": "missing"}, told


def metrics_are_told_whatever_is_down(place):
    with place.db("jobs") as db:
        insert(db, state="running", started=1)
        db.execute("UPDATE Jobs SET state = 'succeeded', outcome = 'built', finished = 700, "
                   "release = 'controller-057'")
    status, head, body = place.ask("health", "/metrics")
    assert status == 200, (status, body)
    assert head["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8", head
    lines = body.decode().splitlines()
    for line in ('kiisrv_worker_up 0', 'kiisrv_database_up{database="jobs"} 1',
                 'kiisrv_database_up{database="stats"} 0',
                 'kiisrv_builds_total{board="MD1",release="controller-057",outcome="built"} 1',
                 'kiisrv_build_duration_seconds_sum{board="MD1"} 0.699'):
        assert line in lines, (line, lines)
    assert not any(line.startswith("kiisrv_requests_total") for line in lines)


# --- kiisrvctl versions ---

def the_shipped_versions_are_listed(place):
    with place.db("config"):
        pass
    text = place.ctl("versions", "list").split("\n")
    assert text[0].split() == ["NAME", "CHANNEL", "CONTAINER", "TAG"], text
    assert text[2].split() == ["lts", "lts", "controller-050", "v0.5.0"], text
    told = json.loads(place.ctl("versions", "list", "--json"))
    assert len(told) == 8 and told[1] == {"name": "lts", "channel": "lts",
                                          "container": "controller-050", "git_tag": "v0.5.0"}


def a_version_is_added_and_removed(place):
    with place.db("config"):
        pass
    place.ctl("versions", "add", "mine", "beta", "controller-058", "v0.5.8")
    assert "mine" in place.ctl("versions", "list")
    assert "already" in place.ctl("versions", "add", "mine", "beta", "c", "v1", code=1)
    assert "name" in place.ctl("versions", "add", "a/b", "beta", "c", "v1", code=2)
    place.ctl("versions", "remove", "mine")
    assert "mine" not in place.ctl("versions", "list")
    assert "no such" in place.ctl("versions", "remove", "mine", code=1)


def a_release_is_told_by_versions(place):
    with place.db("config") as db:
        image(db, "controller-057")
    values = [str(v) for v in WANTED.values()]
    place.ctl("versions", "release", "v0.5.7", *values)
    assert place.get("versions", "/versions")["latest"] == WANTED
    for bad in ("x", "", "-1", "12x", "65536", "99999999999999999999"):
        text = place.ctl("versions", "release", "v0.5.7", bad, *values[1:], code=2)
        assert "COMMITS" in text, text
    assert "git_tag" in place.ctl("versions", "release", "../x", *values, code=2)


def a_wrong_command_line_is_told(place):
    with place.db("config"):
        pass
    for args in (["list", "x"], ["add", "x"], ["remove"], ["release", "v1"], ["x"], []):
        place.ctl("versions", *args, code=64)


def without_a_database_or_configuration_nothing_is_done(place):
    for args in (["list"], ["add", "a", "b", "c", "d"], ["remove", "a"],
                 ["release", "v1", "1", "d", "h", "b", "n"]):
        assert "no database" in place.ctl("versions", *args, code=1)
        told = json.loads(place.ctl("--json", "versions", *args, code=1))
        assert told["code"] == "not_found", told
    place.conf.write_text("[nowhere]\n")
    assert "nowhere" in place.ctl("versions", "list", code=2)


def is_test(f):
    """Tests are the functions that want a place and nothing else."""
    return inspect.isfunction(f) and list(inspect.signature(f).parameters) == ["place"]


TESTS = [f for f in list(globals().values()) if is_test(f)]


def main():
    print(f"1..{len(TESTS)}")
    bad = 0
    for n, test in enumerate(TESTS, 1):
        root = pathlib.Path(tempfile.mkdtemp(prefix="kii-cgi-"))
        try:
            test(Place(root))
            print(f"ok {n} - {test.__name__}", flush=True)
        except Exception:
            bad = 1
            print(f"not ok {n} - {test.__name__}")
            print("# " + traceback.format_exc().replace("\n", "\n# "), flush=True)
        finally:
            shutil.rmtree(root)
    return bad


sys.exit(main())
