# SPDX-License-Identifier: MIT
"""GET /versions, GET /layouts/ and GET /api/v1/jobs/{id}."""

import json
import re
import subprocess

import pytest

from client import check_error
from stack import as_user, wait_until

RELEASE = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=10)
db.execute("INSERT OR REPLACE INTO Releases (git_tag, commit_count, date, hash, bcd, notes) "
           "VALUES (?, ?, ?, ?, ?, ?)", sys.argv[2:])
db.commit()
"""


def release(stack, tag, *row):
    """A row of Releases, written by the user who may."""
    subprocess.run([*as_user("kiisrv-engine"), "/usr/bin/python3", "-c", RELEASE,
                    stack.state / "queue/config.sqlite", tag, *map(str, row)], check=True, cwd="/")


def test_versions_are_those_with_image_and_release(new_stack):
    mine = new_stack()
    assert mine.get("/versions").json == {}
    row = ("1234", "2020-01-02", "abcdef0", "4.d2", "https://example.org/notes")
    release(mine, "v0.5.7", *row)
    release(mine, "v0.5.5", *row)
    wanted = {"commit": 1234, "date": "2020-01-02", "hash": "abcdef0", "bcd": "4.d2",
              "notes": "https://example.org/notes"}
    versions = wait_until(lambda: mine.get("/versions").json, 30)
    assert versions["latest"] == versions["nightly"] == versions["v0.5.7"] == wanted
    # lts has an image and no release, v0.5.5 a release and no image.
    assert not versions.get("lts") and not versions.get("v0.5.5")


def test_a_job_tells_its_story(stack):
    config = stack.layout("MD1-Standard")
    config["header"]["Author"] = "a story"
    reply = stack.build(config)
    job = reply.headers["X-Kiisrv-Job"]
    assert re.fullmatch("[0-9a-f]{32}", job)
    told = stack.job(job)
    assert told["id"] == job and told["kind"] == "firmware" and told["state"] == "succeeded"
    assert told["attempts"] == 1 and told["error"] is None
    assert reply.json["filename"].endswith(told["artifact"].rsplit("/", 1)[-1])
    for name in ("created", "started", "finished"):
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", told[name]), told
    assert told["created"] <= told["started"] <= told["finished"]
    log = stack.get(told["log"] if told["log"].startswith("/") else f"/logs/{job}.log")
    assert log.status == 200 and log.text.strip()
    # Nothing of the request, and nothing of the engine, is public.
    assert "request" not in told and "container_id" not in told and "client" not in told


def test_a_failed_job_says_so_without_an_engines_words(stack):
    config = stack.layout("MD1-Standard")
    next(k for k in config["matrix"] if k["layers"].get("0"))["layers"]["0"]["key"] = \
        "#:noSuchThing()"
    reply = stack.build(config)
    told = stack.job(reply.headers["X-Kiisrv-Job"])
    assert told["state"] == "failed" and told["error"]
    assert told["artifact"].endswith("_error.zip")


@pytest.mark.parametrize("job", ["0" * 32, "x", "0" * 31, "0" * 33, "A" * 32, "%27", "0" * 30 + "..",
                                 "a" * 32 + "/x"])
def test_an_unknown_job_is_404(stack, job):
    check_error(stack.get(f"/api/v1/jobs/{job}"), 404)


def test_the_list_of_layouts_names_every_file(stack):
    told = stack.get("/layouts/").json
    text = json.dumps(told)
    for name in ("MD1-Standard", "WhiteFox-TheTrueFox", "Kira-Standard", "GeminiDusk-Standard"):
        assert name in text
