# SPDX-License-Identifier: MIT
"""GET /stats on a whole stack, what the reference server kept in it, and layouts of revisions."""

import json
import os
import pwd
import re
import shutil
import signal
import sqlite3
import subprocess

from client import check_error
from stack import PREFIX, SANITIZER, wait_until

LINES = (r"Builds: (\d+) \((\d+) unique\)", r"Cache ratio: (\d+\.\d)", r"Avg time: (\d+\.\d{3}) s",
         r"", r"Users: (\d+) unique", r"Avg builds per user: (\d+\.\d)",
         r"Average number of layers: (\d+(?:\.\d*[1-9])?)", r"")
MAPS = ("OS Counts", "Platform Counts", "Keyboard Counts", "Version Counts")
ENTRY = re.compile(r'    "((?:[^"\\]|\\.)*)": ([1-9]\d*),')
DESKTOP = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Electron/4.2"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Firefox/115.0"
VERSIONS = "CREATE TABLE Versions (name TEXT PRIMARY KEY, channel TEXT, container TEXT, git_tag TEXT)"
REQUESTS = ("CREATE TABLE Requests (id INTEGER PRIMARY KEY, uid INTEGER, ip_addr TEXT, os TEXT, "
            "web BOOLEAN, serial INTEGER, hash TEXT, board TEXT, variant TEXT, layers INTEGER, "
            "container TEXT, success BOOLEAN, request_time DATETIME, build_duration INTEGER)")


def parse(text):
    """The reference's text, read line by line: (numbers, maps)."""
    lines = text.split("\n")
    numbers = []
    for want in LINES:
        found = re.fullmatch(want, lines.pop(0))
        assert found, text
        numbers += [float(n) for n in found.groups()]
    maps = {}
    for name in MAPS:
        line = lines.pop(0)
        maps[name] = {}
        if line == name + ": {}":
            continue
        assert line == name + ": {", text
        while lines[0] != "}":
            entry = ENTRY.fullmatch(lines.pop(0))
            assert entry, text
            maps[name][entry[1]] = int(entry[2])
        lines.pop(0)
        assert maps[name] and list(maps[name]) == sorted(maps[name]), text
    assert lines == ["", ""], text
    return numbers, maps


def stats(stack, builds=None):
    """The text, once it counts so many builds: they are counted behind their answers."""
    def told():
        reply = stack.get("/stats")
        assert reply.status == 200, reply
        assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
        numbers, maps = parse(reply.text)
        return (numbers, maps) if builds in (None, int(numbers[0])) else None
    return wait_until(told, 30)


def stats_json(stack):
    reply = stack.get("/stats", headers={"Accept": "application/json"})
    assert reply.status == 200 and reply.headers["Content-Type"] == "application/json", reply
    return reply.json


def ctl(stack, *args, status=0):
    done = subprocess.run([PREFIX / "sbin/kiisrvctl", "-c", stack.conf, *map(str, args)],
                          capture_output=True, text=True, timeout=120, cwd="/")
    assert not SANITIZER.search(done.stderr), done.stderr
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done.stdout if status == 0 else done.stderr


def test_nothing_was_built(new_stack):
    mine = new_stack()
    numbers, maps = stats(mine)
    assert numbers == [0] * 7 and maps == {name: {} for name in MAPS}
    told = stats_json(mine)
    assert told["builds"] == 0 and told["days"] == {} and told["seconds"]["p50"] is None
    head = mine.request("HEAD", "/stats")
    assert head.status == 200 and head.body == b"" and head.headers["Vary"] == "Accept"
    check_error(mine.request("POST", "/stats", b"x"), 405, "method_not_allowed")


def test_every_answered_build_counts(new_stack):
    mine = new_stack()
    config = mine.layout("MD1-Standard")
    layers = len({n for key in config["matrix"] for n in key["layers"]})
    for agent in (DESKTOP, BROWSER, BROWSER):
        reply = mine.build(config, headers={"User-Agent": agent})
        assert reply.json["success"] is True, reply
    failing = mine.ordered("fails", "exit 1")
    assert mine.post(failing).json["success"] is False
    bad = mine.layout("MD1-Standard")
    bad["header"]["Name"] = "None"
    assert mine.build(bad).status == 400
    numbers, maps = stats(mine, builds=4)
    builds, unique, cache, seconds, users, by_user, average = numbers
    assert (builds, unique, cache, users, by_user) == (4, 2, 2.0, 1, 4.0)
    assert seconds > 0 and average == layers
    assert maps == {
        "OS Counts": {"Linux": 2, "Other": 1, "Windows": 1},
        "Platform Counts": {"Desktop": 1, "Web": 3},
        "Keyboard Counts": {"MD1-Standard": 4},
        "Version Counts": {"controller-056": 1, "controller-057": 3}}
    told = stats_json(mine)
    assert told["builds"] == 4 and told["unique"] == 2 and told["cached"] == 2
    assert told["outcomes"] == {"succeeded": 3, "failed": 1}
    assert told["boards"] == {"MD1": {"builds": 4, "failed": 1, "cached": 2}}
    assert told["releases"]["controller-057"] == {"builds": 3, "failed": 0, "cached": 2}
    assert sum(d["builds"] for d in told["days"].values()) == 4
    assert 0 < told["seconds"]["p50"] <= told["seconds"]["p90"] < 60
    assert told["os"] == maps["OS Counts"] and told["containers"] == maps["Version Counts"]


def test_both_forms_have_a_tag_of_their_own(new_stack):
    mine = new_stack()
    text, as_json = mine.get("/stats"), mine.get("/stats", {"Accept": "application/json"})
    assert text.headers["ETag"] != as_json.headers["ETag"]
    again = mine.get("/stats", {"If-None-Match": text.headers["ETag"]})
    assert again.status == 304 and again.body == b""
    both = {"Accept": "application/json", "If-None-Match": text.headers["ETag"]}
    assert mine.get("/stats", both).status == 200


def reference(folder):
    """What the Rust server would have left: two databases."""
    folder.mkdir()
    with sqlite3.connect(folder / "config.db") as db:
        db.execute(VERSIONS)
        db.executemany("INSERT INTO Versions VALUES (?, ?, ?, ?)", [
            ("latest", "stable", "controller-056", "v0.5.6"),
            ("mine", "beta", "controller-057", "v0.5.7")])
    with sqlite3.connect(folder / "stats.db") as db:
        db.execute(REQUESTS)
        db.executemany(
            "INSERT INTO Requests (ip_addr, os, web, hash, board, variant, layers, container, "
            "success, request_time, build_duration) VALUES (?, 'Mac', 0, ?, 'Kira', 'Standard', 3, "
            "'controller-054', ?, '2018-04-01T12:00:00.123456789Z', ?)",
            [(f"192.0.2.{n % 10}", f"h{n % 50}", n % 4 > 0, None if n % 2 else 4000)
             for n in range(200)])


def owners(stack):
    return {f: pwd.getpwuid(f.stat().st_uid).pw_name
            for zone in ("queue", "public") for f in (stack.state / zone).iterdir()}


def test_what_the_reference_server_kept_is_taken_over(new_stack):
    mine = new_stack()
    folder = mine.root / "reference"
    reference(folder)
    mine.built(mine.layout("MD1-Standard"))
    stats(mine, builds=1)
    before = owners(mine)
    told = json.loads(ctl(mine, "--json", "import-reference", "--dry-run", folder))
    assert told["requests"] == {"found": 200, "taken": 200} and told["dry_run"] is True
    stats(mine, builds=1)
    ctl(mine, "import-reference", folder)
    after = owners(mine)
    assert before.items() <= after.items()
    assert {o for f, o in after.items() if f.parent.name == "public"} == {"kiisrv"}
    assert {o for f, o in after.items() if f.parent.name == "queue"} == {"kiisrv-engine"}
    numbers, maps = stats(mine, builds=201)
    assert numbers[1] == 51 and numbers[4] == 11
    assert maps["Keyboard Counts"] == {"Kira-Standard": 200, "MD1-Standard": 1}
    assert maps["OS Counts"]["Mac"] == 200 and maps["Version Counts"]["controller-054"] == 200
    told = stats_json(mine)
    assert told["days"]["2018-04-01"] == {"builds": 200, "failed": 50, "cached": 100}
    told = json.loads(ctl(mine, "--json", "import-reference", folder))
    assert told["requests"]["taken"] == 0 and told["versions"] == {"found": 2, "taken": 0}
    stats(mine, builds=201)
    listed = {v["name"]: v["container"] for v in json.loads(ctl(mine, "--json", "versions", "list"))}
    assert listed["latest"] == "controller-056" and listed["mine"] == "controller-057"
    # The server goes on with both.
    config = mine.layout("MD1-Standard")
    config["header"]["Author"] = "after the import"
    mine.built(config, env="mine")
    _, maps = stats(mine, builds=202)
    assert maps["Version Counts"]["controller-057"] == 2


def test_foreign_databases_are_refused(new_stack):
    mine = new_stack()
    folder = mine.root / "reference"
    reference(folder)
    (folder / "stats.db").write_text("no database at all, but a text of some length\n" * 50)
    assert "stats.db" in ctl(mine, "import-reference", folder, status=2)
    (folder / "stats.db").unlink()
    assert "there is no database" in ctl(mine, "import-reference", folder, status=1)
    listed = json.loads(ctl(mine, "--json", "versions", "list"))
    assert "mine" not in {v["name"] for v in listed}
    stats(mine, builds=0)


def git(folder, *args):
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *args], check=True,
                   cwd=folder, capture_output=True, timeout=60)


def author(reply):
    assert reply.status == 200 and reply.headers["Content-Type"] == "application/json", reply
    return reply.json["header"]["Author"]


def test_a_layout_as_it_was(new_stack):
    mine = new_stack(start=False)
    folder = mine.etc / "layouts"
    source = json.loads((PREFIX / "share/kiisrv/layouts/MD1-Standard.json").read_text())
    git(folder, "init", "-q")
    for tag in ("v1", "v2"):
        source["header"]["Author"] = tag
        (folder / "MD1-Standard.json").write_text(json.dumps(source))
        git(folder, "add", ".")
        git(folder, "commit", "-qm", tag)
        git(folder, "tag", tag)
    source["header"]["Author"] = "now"
    (folder / "MD1-Standard.json").write_text(json.dumps(source))
    mine.start()
    url = "/layouts/MD1-Standard.json"
    assert author(mine.get(url)) == author(mine.get(url + "?rev=")) == "now"
    assert author(mine.get(url + "?other=v1")) == "now"
    assert author(mine.get(url + "?rev=v1")) == "v1"
    assert author(mine.get(url + "?other=x&rev=v2")) == author(mine.get(url + "?rev=HEAD")) == "v2"
    tag = mine.get(url + "?rev=v1").headers["ETag"]
    assert mine.get(url + "?rev=v1", {"If-None-Match": tag}).status == 304
    for rev in ("v3", "--output=x", "-v1", "v1%3Ax", "a%20b", "..", "%00", "0"):
        check_error(mine.get(f"{url}?rev={rev}"), 404, "not_found")
    check_error(mine.get("/layouts/None.json?rev=v1"), 404, "not_found")
    check_error(mine.get("/kiisrv-layout?rev=v1"), 404, "not_found")
    # Where the folder is no checkout, there is but one.
    other = mine.get("/layouts/Kira-Standard.json")
    assert mine.get("/layouts/Kira-Standard.json?rev=v1").body == other.body
    assert mine.get("/layouts/Kira-Standard.json?rev=--output=x").body == other.body


def test_a_set_of_layouts_is_taken_in(new_stack):
    mine = new_stack()
    folder = mine.root / "set"
    shutil.copytree(PREFIX / "share/kiisrv/layouts", folder, symlinks=True)
    config = json.loads((folder / "MD1-Standard.json").read_text())
    config["header"]["Author"] = "somebody else"
    (folder / "MD1-Mine.json").write_text(json.dumps(config))
    links = {f.name: os.readlink(f) for f in folder.iterdir() if f.is_symlink()}
    assert links
    told = ctl(mine, "layouts", "check", folder)
    assert " 0 wrong, 0 that cannot be built" in told
    ctl(mine, "layouts", "import", "--dry-run", folder)
    assert not list((mine.etc / "layouts").iterdir())
    assert "reload kiisrv" in ctl(mine, "layouts", "import", folder)
    assert {f.name: os.readlink(f) for f in (mine.etc / "layouts").iterdir()
            if f.is_symlink()} == links
    assert author(mine.get("/layouts/MD1-Mine.json")) == "somebody else"
    mine.processes["layouts"].kill(signal.SIGHUP)
    wait_until(lambda: "MD1-Mine.json" in mine.get("/layouts/").text, 30)
    told = json.loads(ctl(mine, "--json", "layouts", "list"))
    assert {l["folder"] for l in told} == {str(mine.etc / "layouts")}
    (folder / "MD1-Broken.json").write_text("{}")
    assert "nothing was taken over" in ctl(mine, "layouts", "import", folder, status=2)
    assert not (mine.etc / "layouts/MD1-Broken.json").exists()
