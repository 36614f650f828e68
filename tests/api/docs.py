# SPDX-License-Identifier: MIT
"""The commands that docs/deployment.md says, to be run as they stand there."""

import re
import shutil
import sqlite3
from contextlib import closing

from stack import TOP


def block(heading, word):
    """The commands below `heading`, in the one block that has `word`."""
    text = (TOP / "docs/deployment.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)[1]
    blocks = [re.sub(r"^    ", "", found, flags=re.M)
              for found in re.findall(r"(?:^    .*\n)+", section, re.M)]
    found = [each for each in blocks if word in each]
    assert len(found) == 1, (heading, word, blocks)
    return found[0]


def changed(heading, word, *changes):
    """A block, where some things have other names: pairs of theirs and ours."""
    commands = block(heading, word)
    for theirs, ours in changes:
        assert theirs in commands, (theirs, commands)
        commands = commands.replace(theirs, ours)
    return commands


def reference(folder):
    """What the Rust server keeps."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with closing(sqlite3.connect(folder / "config.db")) as db, db:
        db.execute("CREATE TABLE Versions (name, channel, container, git_tag)")
        db.execute("INSERT INTO Versions VALUES "
                   "('older', 'stable', 'controller-050', 'v0.5.0')")
    with closing(sqlite3.connect(folder / "stats.db")) as db, db:
        db.execute("CREATE TABLE Requests (id INTEGER PRIMARY KEY, uid, ip_addr, os, web, serial, "
                   "hash, board, variant, layers, container, success, request_time, "
                   "build_duration)")
        db.execute("INSERT INTO Requests VALUES (1, NULL, '192.0.2.1', 'Linux', 1, NULL, ?, 'MD1', "
                   "'Standard', 2, 'controller-057', 1, '2018-04-01T12:00:00.123456789Z', 4000)",
                   ("0" * 32,))
