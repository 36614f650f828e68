#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Every command of kiisrvctl, found by its own --help: help, man page, exit codes, --json, and the
completion for bash. What a new command lacks is found without a line here: TAP."""

import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import traceback

SRC = pathlib.Path(os.environ.get("KII_SRCDIR", ".")).resolve()
BUILD = pathlib.Path(os.environ.get("KII_BUILDDIR", ".")).resolve()
PROGRAM = BUILD / "kiisrvctl"
MAN = (SRC / "docs/man/kiisrvctl.8").read_text()
# What is not data: a file as it is.
RAW = {("jobs", "log")}


class Place:
    """Folders and databases that are there and empty, and nobody who answers."""

    def __init__(self, root):
        self.root = root
        for folder in ("state/queue", "state/public", "state/engine", "layouts", "run", "dir"):
            (root / folder).mkdir(parents=True)
        for zone, name in (("queue", "config"), ("queue", "jobs"), ("public", "stats"),
                           ("engine", "operator")):
            with sqlite3.connect(root / f"state/{zone}/{name}.sqlite") as db:
                db.executescript((SRC / f"schema/{name}.sqlite").read_text())
        self.conf = root / "kiisrv.toml"
        self.conf.write_text(
            f'[docker]\nsocket_path = "{root}/none.sock"\n'
            f'[paths]\nstate_dir = "{root}/state"\nrun_dir = "{root}/run"\n'
            f'layouts = ["{root}/layouts"]\n')
        (root / "file.json").write_text('{"env": "latest", "config": {}}')

    def run(self, *args, conf=None):
        """Exit status, stdout and stderr."""
        done = subprocess.run(
            [PROGRAM, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
            check=False, cwd=self.root / "dir",
            env={"PATH": os.environ["PATH"], "KIISRV_CONFIG": str(conf or self.conf),
                 "KIISRV_URL": "http://127.0.0.1:1", "DOCKER_HOST": "",
                 "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")})
        assert 0 <= done.returncode <= 64, (args, done.returncode, done.stderr)
        return done.returncode, done.stdout, done.stderr

    def operands(self, usage):
        """Something for each word of a usage line that must be there, and needed options."""
        values = {"FILE": str(self.root / "file.json"), "DIR": str(self.root / "dir"),
                  "ID": "0" * 32, "SECONDS": "1", "N": "1", "COMMITS": "1", "TAG": "v0.5.7",
                  "RELEASE": "v0.5.7", "SCOPE": "all"}
        words = re.sub(r"\[[^]]*\]", "", usage).split()
        return [word if word.startswith("-") else values.get(word.split("|")[0], word.lower())
                for word in words]


def commands(place, *path):
    """(path, usage behind it) of each command below a group."""
    code, out, err = place.run(*path, "--help")
    assert code == 0 and not err, (path, code, err)
    words = " ".join(("kiisrvctl",) + path)
    assert out.startswith(f"Usage: {words} COMMAND\n"), out
    rows = re.findall(r"^  ([a-z]\S*)(?: (.*))?\n      (\S.*)$", out, re.M)
    assert rows, out
    for name, usage, sentence in rows:
        assert sentence[0].isupper() and sentence.endswith("."), sentence
        if usage == "COMMAND":
            yield from commands(place, *path, name)
        else:
            yield path + (name,), usage


def item(path):
    """What the man page says of a command: from its .It to the next."""
    found = re.search(rf"^\.It Cm {' '.join(path)}(?=\s)(.*?)(?=^\.(It|El))", MAN, re.M | re.S)
    assert found, f"the man page does not know {' '.join(path)}"
    return found[1]


def every_command_has_help(place):
    for path, usage in commands(place):
        for option in ("--help", "-h"):
            code, out, err = place.run(*path, option)
            assert code == 0 and not err, (path, code, err)
            line = f"Usage: kiisrvctl {' '.join(path)}{' ' if usage else ''}{usage}\n"
            assert out.startswith(line) and len(out) > len(line) + 10, out


def every_command_is_in_the_man_page(place):
    known = set()
    for path, usage in commands(place):
        known.add(" ".join(path))
        text = item(path)
        for option in re.findall(r"--([a-z-]+)", usage):
            assert f"Fl -{option}" in text, (path, option)
    for name in re.findall(r"^\.It Cm ([a-z][a-z -]*[a-z])(?= [A-Z]|$)", MAN, re.M):
        assert name in known, f"the man page knows {name}"


def the_version_is_told(place):
    code, out, err = place.run("--version")
    assert code == 0 and re.fullmatch(r"kiisrv \d+\.\d+\.\d+\S*\n", out) and not err, (code, out)


def a_wrong_command_line_is_64_and_does_nothing(place):
    wrong = [(), ("nothing",), ("--nothing",), ("--version", "x")]
    for path, usage in commands(place):
        # No command has this many operands.
        wrong += [path + ("--no-such-option",), path + ("x",) * 9]
        wrong += [path[:-1] + ("nothing",), path[:-1]]
        if place.operands(usage):
            wrong.append(path)
    for args in wrong:
        code, out, err = place.run(*args)
        assert code == 64 and not out and err.startswith("kiisrvctl: "), (args, code, out, err)
    assert not list((place.root / "dir").iterdir())


def is_json(text):
    try:
        json.loads(text)
        return True
    except ValueError:
        return False


def check_json(path, code, out, err):
    """Results on stdout, or an error on stderr: one JSON document in ASCII each."""
    if path not in RAW and out:
        assert is_json(out) and out.isascii(), (path, out)
    if code != 0 and not out:
        told = json.loads(err)
        assert told["error"] and re.fullmatch("[a-z_]+", told["code"]), (path, told)
        assert code in (1, 2), (path, code)


def with_json_every_command_speaks_it(place):
    for path, usage in commands(place):
        for before, after in (([], ["--json"]), (["--json"], [])):
            check_json(path, *place.run(*before, *path, *place.operands(usage), *after))


def a_broken_configuration_is_an_error_of_every_command(place):
    broken = place.root / "broken.toml"
    broken.write_text("[docker]\nnothing = 1\n")
    for path, usage in commands(place):
        args = place.operands(usage)
        code, out, err = place.run(*path, *args, conf=broken)
        assert code in (1, 2) and (err or out), (path, code)
        over_api = path == ("runtime",) or (path[0] == "images" and "--server" in usage)
        if path not in {("build",), ("kll",), ("doctor",)} and not over_api:
            assert code == 2 and not out and "nothing" in err, (path, code, out, err)
        check_json(path, *place.run("--json", *path, *args, conf=broken))


def messages_have_a_name_and_no_escapes(place):
    for path, usage in commands(place):
        args = ["\x1b[31m" if a.startswith("/") else a for a in place.operands(usage)]
        code, out, err = place.run(*path, *args)
        assert "\x1b" not in out + err, (path, out, err)
        if code and not out and path != ("kll",):
            assert err.startswith("kiisrvctl: "), (path, err)


def complete(place, *words):
    """What the completion offers for the last of these words."""
    script = (f'. "{SRC}/ctl/kiisrvctl.bash"; compopt() {{ :; }}; COMP_WORDS=(kiisrvctl "$@");'
              'COMP_CWORD=$#; _kiisrvctl "$0" "${!#}" "${COMP_WORDS[$#-1]}";'
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, PROGRAM, *words], capture_output=True, text=True,
                          timeout=60, check=True, cwd=place.root,
                          env={"PATH": os.environ["PATH"], "KIISRV_CONFIG": str(place.conf)})
    assert not done.stderr, done.stderr
    return set(done.stdout.split())


def completion_offers_every_command(place):
    groups = {}
    for path, _ in commands(place):
        for n in range(len(path)):
            groups.setdefault(path[:n], set()).add(path[n])
    for path, names in groups.items():
        assert complete(place, *path, "") == names, path
        name = sorted(names)[0]
        assert name in complete(place, *path, name[:2])
    assert complete(place, "-c", str(place.conf), "--json", "jobs", "") == groups[("jobs",)]


def completion_offers_every_option(place):
    for path, usage in commands(place):
        offered = complete(place, *path, "-")
        assert offered >= set(re.findall(r"--[a-z-]+", usage)) | {"--json", "--config"}, path
        assert "--help" in complete(place, *path, "--h")


def completion_offers_values(place):
    (place.root / "state/some").mkdir()
    assert complete(place, "jobs", "list", "--state", "f") == {"failed"}
    assert complete(place, "kll", "--out", "d") == {"dir"}
    assert complete(place, "kll", "--out", "dir", "fil") == {"file.json"}
    assert complete(place, "-c", "kii") == {"kiisrv.toml"}
    assert complete(place, "versions", "remove", "lat") == {"latest"}
    assert complete(place, "build", "--env", "lt") == {"lts"}
    assert complete(place, "jobs", "show", "x") == set()
    assert complete(place, "token", "add", "--scope", "runt") == {"runtime:read"}
    assert place.run("token", "add", "--scope", "all", "tess")[0] == 0
    assert complete(place, "token", "revoke", "te") == {"tess"}


def is_test(f):
    return callable(f) and getattr(f, "__code__", None) and f.__code__.co_varnames[:1] == (
        "place",) and f.__code__.co_argcount == 1 and not f.__code__.co_flags & 0x04


TESTS = [f for f in list(globals().values()) if is_test(f)]


def main():
    print(f"1..{len(TESTS)}")
    bad = 0
    for n, test in enumerate(TESTS, 1):
        if test.__name__.startswith("completion") and not shutil.which("bash"):
            print(f"ok {n} - {test.__name__} # SKIP there is no bash")
            continue
        root = pathlib.Path(tempfile.mkdtemp(prefix="kii-ctl-"))
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
