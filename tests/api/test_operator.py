# SPDX-License-Identifier: MIT
"""The operator's zone: tokens, scopes, the audit, and who does not get in."""

import http.client
import json
import os
import sqlite3
import stat

import pytest

from client import ask, check_error, raw
from stack import wait_until

SCOPES = ("containers:read", "containers:write", "images:read", "images:write", "images:build",
          "jobs:read", "jobs:write", "runtime:read", "audit:read")
AUDIT = "/api/v1/audit"


@pytest.fixture(scope="module")
def anna(stack):
    return stack.operator()


def rows(operator, **query):
    text = "&".join(f"{k}={v}" for k, v in query.items())
    reply = operator.get(f"/audit?{text}")
    assert reply.status == 200, reply
    return reply.json["entries"]


def test_a_token_is_shown_once_and_lets_in(stack):
    told = json.loads(stack.ctl("--json", "token", "add", "--scope", "audit:read,jobs:read",
                                "--expires", "2d", "ci"))
    assert told["scopes"] == ["jobs:read", "audit:read"] and told["expires"], told
    header = {"Authorization": "Bearer " + told["token"]}
    assert stack.get(AUDIT, header).status == 200
    listed = next(t for t in json.loads(stack.ctl("--json", "token", "list")) if t["name"] == "ci")
    assert "token" not in listed and listed["used"] and not listed["revoked"], listed
    assert told["token"] not in stack.ctl("token", "list")
    stack.ctl("token", "revoke", "ci")
    check_error(stack.get(AUDIT, header), 401, "unauthorized")


def test_without_a_token_nobody_comes_in(stack, anna):
    for header in ({}, {"Authorization": ""}, {"Authorization": "Basic YTpi"},
                   {"Authorization": "Bearer kii_" + "0" * 64},
                   {"Authorization": "Bearer " + anna.secret + "0"},
                   {"Authorization": "Bearer x' OR 1=1 --"}):
        reply = stack.get(AUDIT, header)
        check_error(reply, 401, "unauthorized")
        assert reply.headers["WWW-Authenticate"].startswith('Bearer realm="kiisrv"'), reply.headers
    assert "event=refused" in stack.processes["audit"].text()
    assert "client=127.0.0.1 why=missing" in stack.processes["audit"].text()


def test_a_scope_opens_its_own_routes_only(stack):
    others = stack.operator(",".join(s for s in SCOPES if s != "audit:read"))
    reply = others.get("/audit")
    told = check_error(reply, 403, "forbidden")
    assert "audit:read" in told["error"]
    assert 'scope="audit:read"' in reply.headers["WWW-Authenticate"]
    assert stack.operator("audit:read").get("/audit").status == 200


def test_a_token_that_is_written_with_a_bad_scope_is_refused(stack):
    stack.ctl("token", "add", "--scope", "audit:reed", "x", code=2)
    stack.ctl("token", "add", "--scope", "all", "../x", code=2)
    stack.ctl("token", "add", "--scope", "all", "--expires", "never", "x", code=2)
    stack.ctl("token", "add", "x", code=64)


def test_the_audit_is_read_in_pages(stack, anna):
    # Rows of another time: the executables write theirs by the guard.
    with sqlite3.connect(stack.state / "engine/operator.sqlite") as db:
        db.executemany("INSERT INTO Audit (time, who, verb, target, client, request, status, ended)"
                       " VALUES (1, 'paged', 'POST', ?, '192.0.2.9', 'r', 200, 5)",
                       [(f"/{i}",) for i in range(5)])
    db.close()
    first = anna.get("/audit?who=paged&limit=3").json
    assert [r["target"] for r in first["entries"]] == ["/4", "/3", "/2"]
    second = anna.get(f"/audit?who=paged&limit=3&before={first['next']}").json
    assert [r["target"] for r in second["entries"]] == ["/1", "/0"] and second["next"] is None
    row = second["entries"][0]
    assert row["duration_ms"] == 4 and row["client"] == "192.0.2.9" and row["status"] == 200, row
    assert len(rows(anna, client="192.0.2.9")) == 5
    assert rows(anna, client="192.0.2.9", verb="PUT") == []
    told = json.loads(stack.ctl("--json", "audit", "--who", "paged", "--limit", "2"))
    assert [r["target"] for r in told] == ["/4", "/3"]
    assert "192.0.2.9" in stack.ctl("audit", "--client", "192.0.2.9")


def test_a_page_has_bounds(anna):
    for query in ("limit=0", "limit=501", "limit=x", "limit=-1", "before=0", "before=1e3"):
        check_error(anna.get(f"/audit?{query}"), 400, "bad_request", query.split("=")[0])


def test_other_methods_and_paths(anna):
    for method in ("POST", "PUT", "DELETE"):
        reply = anna.request(method, "/audit")
        check_error(reply, 405, "method_not_allowed")
        assert reply.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert anna.request("HEAD", "/audit").status == 200


def test_only_this_machine_reaches_it(stack, anna):
    """By default; 127.0.0.2 stands for elsewhere, for nginx's list names addresses."""
    elsewhere = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60,
                                           source_address=("127.0.0.2", 0))
    check_error(ask(elsewhere, "GET", AUDIT, None, anna.headers), 403, "forbidden")


def test_guessing_is_slowed_and_others_are_not(stack, anna):
    request = b"GET /api/v1/audit HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer guess\r\n"
    answer = raw(stack.port, (request + b"\r\n") * 150 + request + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 401 ") <= 70, answer.count(b"HTTP/1.1 401 ")
    assert answer.count(b"HTTP/1.1 429 ") >= 80
    assert anna.get("/audit").status == 200


def test_the_database_is_the_zones_own(stack):
    file = stack.state / "engine/operator.sqlite"
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    owner = file.parent.stat().st_uid
    # kiisrvctl has written to it as root.
    for name in os.listdir(file.parent):
        if name.startswith("operator.sqlite"):
            assert (file.parent / name).stat().st_uid == owner, name


def test_a_token_can_be_made_before_the_first_start(new_stack):
    s = new_stack(start=False)
    anna = s.operator("audit:read")
    file = s.state / "engine/operator.sqlite"
    assert file.stat().st_uid == file.parent.stat().st_uid
    s.start()
    assert anna.get("/audit").status == 200
    # A database that came in its place is seen by who has it open.
    os.rename(file, s.state / "engine/aside")
    reply = anna.get("/audit")
    check_error(reply, 503, "unavailable")
    os.rename(s.state / "engine/aside", file)
    wait_until(lambda: anna.get("/audit").status == 200, 10)
