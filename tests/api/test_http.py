# SPDX-License-Identifier: MIT
"""What any client may send to nginx, and what it gets: JSON errors with CORS, and no file that is
not meant for it."""

import json
import re

import pytest

from client import check_error, raw
from stack import wait_until

STATIC = ["/layouts/MD1-Standard.json"]
PATHS = ["/versions", "/layouts/", "/layouts/MD1-Standard.json", "/download.php", "/",
         "/api/v1/jobs/" + "0" * 32, "/tmp/none.zip", "/logs/" + "0" * 32 + ".log", "/nowhere"]


@pytest.mark.parametrize("path", ["/nowhere", "/versions/", "/versions/x", "/layouts/None.json",
                                  "/layouts/", "/api/v1/jobs/" + "0" * 32, "/api/v1/", "/index.html",
                                  "/tmp/", "/tmp/none.zip", "/logs/", "/logs/" + "0" * 32 + ".log",
                                  "/kiisrv-error/404", "/@kiisrv_layouts"])
def test_unknown_paths_are_404(stack, path):
    reply = stack.get(path)
    if path == "/layouts/":
        assert reply.status == 200
    else:
        check_error(reply, 404)


@pytest.mark.parametrize("method, path", [
    ("GET", "/download.php"), ("GET", "/"), ("PUT", "/download.php"), ("DELETE", "/versions"),
    ("POST", "/versions"), ("POST", "/layouts/"), ("POST", "/layouts/MD1-Standard.json"),
    ("DELETE", "/layouts/MD1-Standard.json"), ("PUT", "/layouts/MD1-Standard.json"),
    ("POST", "/api/v1/jobs/" + "0" * 32), ("TRACE", "/versions")])
def test_a_wrong_method_is_405_with_allow(stack, method, path):
    reply = stack.request(method, path, b"{}" if method == "POST" else None,
                          {"Content-Type": "application/json"})
    check_error(reply, 405)
    allow = set(re.split(", *", reply.headers["Allow"]))
    assert method not in allow and "OPTIONS" in allow, allow


@pytest.mark.parametrize("path", PATHS)
def test_options_is_204_everywhere(stack, path):
    reply = stack.request("OPTIONS", path, None, {
        "Origin": "http://elsewhere.example", "Access-Control-Request-Method": "POST"})
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers.get_all("Access-Control-Allow-Origin") == ["*"]
    methods = reply.headers.get_all("Access-Control-Allow-Methods")
    assert len(methods) == 1 and set(methods[0].split(", ")) >= {"GET", "POST", "OPTIONS"}
    headers = reply.headers.get_all("Access-Control-Allow-Headers")
    assert len(headers) == 1
    assert set(headers[0].split(", ")) >= {"Content-Type", "Accept", "User-Agent"}


@pytest.mark.parametrize("path", ["/versions", "/layouts/", "/layouts/MD1-Standard.json",
                                  "/nowhere"])
def test_cors_and_request_ids_are_on_every_answer(stack, path):
    reply = stack.get(path, {"X-Request-Id": "mine"})
    assert reply.headers.get_all("Access-Control-Allow-Origin") == ["*"]
    assert reply.headers.get_all("X-Content-Type-Options") == ["nosniff"]
    ids = reply.headers.get_all("X-Request-Id")
    assert len(ids) == 1 and re.fullmatch("[0-9a-f]{32}", ids[0]), ids


def test_a_request_is_found_in_the_log_by_its_id(stack):
    request = stack.get("/api/v1/jobs/" + "0" * 32).headers["X-Request-Id"]
    wait_until(lambda: request in stack.processes["jobs"].text())   # written after the answer


@pytest.mark.parametrize("path", ["/versions", "/layouts/", "/layouts/MD1-Standard.json",
                                  "/nowhere", "/layouts/None.json"])
def test_head_is_get_without_its_body(stack, path):
    get, head = stack.get(path), stack.request("HEAD", path)
    assert head.body == b""
    assert head.status == get.status
    assert head.headers["Content-Type"] == get.headers["Content-Type"]


@pytest.mark.parametrize("path", ["/versions", "/layouts/", "/layouts/MD1-Standard.json"])
def test_an_etag_saves_the_body(stack, path):
    tag = stack.get(path).headers["ETag"]
    assert tag
    again = stack.get(path, {"If-None-Match": tag})
    assert (again.status, again.body) == (304, b"")
    assert again.headers.get_all("Access-Control-Allow-Origin") == ["*"]
    assert stack.get(path, {"If-None-Match": '"other"'}).status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", None])
def test_another_content_type_is_415(stack, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    check_error(stack.request("POST", "/download.php", b"{}", headers), 415)


def test_a_body_of_two_mebibytes_passes_nginx_and_more_does_not(stack):
    fits = b'{"env": "latest", "config": "' + b"x" * ((2 << 20) - 31) + b'"}'
    assert len(fits) == 2 << 20
    check_error(stack.post(fits), 400)
    check_error(stack.post(fits + b" "), 413)


def test_a_body_in_chunks_is_taken(stack):
    reply = raw(stack.port, b"POST /download.php HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"2\r\n{}\r\n0\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 400 ") and b'"field"' in reply, reply


def head_of(reply):
    """Status and body of raw bytes."""
    head, _, body = reply.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), head, body


@pytest.mark.parametrize("name, data, status", [
    ("no request", b"nonsense\r\n\r\n", 400),
    ("a header without a name", b"GET /versions HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n", 400),
    ("no host", b"GET /versions HTTP/1.1\r\n\r\n", 400),
    ("two lengths", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
     400),
    ("a NUL in the path", b"GET /layouts/%00.json HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("above the root", b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("an endless address", b"GET /" + b"x" * 40000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    ("an endless header", b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 40000 + b"\r\n\r\n", 431),
])
def test_nginx_refuses_in_json(stack, name, data, status):
    got, head, body = head_of(raw(stack.port, data))
    assert got == status, (name, head, body)
    told = json.loads(body)
    assert told["error"] and told["code"], told
    assert head.count(b"Access-Control-Allow-Origin: *") == 1, head


TRICKS = ["..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "....//",
          "x.zip/../../queue/jobs.sqlite", "../queue/jobs.sqlite", "..%5cqueue", ".zip", "-x.zip",
          "%2e.zip", "x%00.zip", "x.zip%00", "x.zip%0a", "x.zip.", "x.zip/", "x zip.zip", "a/b.zip",
          "//etc/passwd", "%2fetc%2fpasswd", "*.zip", "~root.zip", "%ff.zip", "x.ZIP"]


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("folder", ["/tmp/", "/logs/", "/layouts/"])
def test_path_tricks_reach_nothing(stack, folder, trick):
    line = f"GET {folder}{trick} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    got, head, body = head_of(raw(stack.port, line))
    assert got in (400, 404, 405), (head, body)
    if got != 405:
        assert json.loads(body)["error"]
    assert b"root:" not in body and b"SQLite" not in body


def plant(stack, folder, name, target=None, text="planted"):
    """A file as the worker would make it, or a link."""
    import os
    import shutil
    path = stack.state / folder / name
    if target:
        path.symlink_to(target)
    else:
        path.write_text(text)
        path.chmod(0o640)
        shutil.chown(path, "kiisrv-engine", "www-data")
    return path


@pytest.fixture
def planted(stack):
    made = []

    def make(*args, **more):
        made.append(plant(stack, *args, **more))
        return made[-1]
    yield make
    for path in made:
        path.unlink(missing_ok=True)


def test_links_are_not_followed_to_files_of_others(stack, planted):
    secret = stack.root / "log/versions.log"
    planted("artifacts", "link.zip", target=secret)
    planted("logs", "a" * 32 + ".log", target=secret)
    for path in ("/tmp/link.zip", "/logs/" + "a" * 32 + ".log"):
        assert stack.get(path).status in (403, 404)


def test_zips_are_served_as_such(stack, planted):
    planted("artifacts", "MD1-Standard-0123.zip", text="zip")
    reply = stack.get("/tmp/MD1-Standard-0123.zip")
    assert (reply.status, reply.body) == (200, b"zip")
    assert reply.headers["Content-Type"] == "application/zip"
    assert reply.headers.get_all("Access-Control-Allow-Origin") == ["*"]
    check_error(stack.request("POST", "/tmp/MD1-Standard-0123.zip", b"x"), 405)


def test_other_files_beside_the_zips_are_not_served(stack, planted):
    planted("artifacts", "note.txt")
    planted("artifacts", ".hidden.zip")
    planted("artifacts", "new.zip.tmp")
    for name in ("note.txt", ".hidden.zip", "new.zip.tmp"):
        check_error(stack.get(f"/tmp/{name}"), 404)


def test_logs_are_served_by_byte_range(stack, planted):
    job = "b" * 32
    planted("logs", job + ".log", text="0123456789")
    planted("logs", job + ".1.log", text="first")
    whole = stack.get(f"/logs/{job}.log")
    assert (whole.status, whole.text) == (200, "0123456789")
    assert whole.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert stack.get(f"/logs/{job}.1.log").text == "first"
    part = stack.get(f"/logs/{job}.log", {"Range": "bytes=4-"})
    assert (part.status, part.text) == (206, "456789")
    assert part.headers["Content-Range"] == "bytes 4-9/10"
    assert part.headers.get_all("Access-Control-Allow-Origin") == ["*"]
    check_error(stack.get(f"/logs/{job}.log", {"Range": "bytes=10-"}), 416)
    for name in (job + ".x.log", job[1:] + ".log", job.upper() + ".log", job + ".log.1", job):
        check_error(stack.get(f"/logs/{name}"), 404)


def test_the_administrators_layout_wins(new_stack, engine):
    mine = new_stack(start=False)
    ours = json.loads((mine_layouts() / "MD1-Standard.json").read_text())
    ours["header"]["Author"] = "the administrator"
    (mine.etc / "layouts/MD1-Standard.json").write_text(json.dumps(ours))
    (mine.etc / "layouts/MD1-Other.json").write_text(json.dumps(ours))
    mine.start()
    assert mine.layout("MD1-Standard")["header"]["Author"] == "the administrator"
    assert mine.layout("MD1-Other")["header"]["Author"] == "the administrator"
    assert mine.layout("MD1-Hacker")["header"]["Author"] != "the administrator"
    listed = mine.get("/layouts/").text
    assert "MD1-Other" in listed and "MD1-Hacker" in listed


def mine_layouts():
    from stack import LAYOUTS
    return LAYOUTS


def test_every_listed_layout_can_be_fetched_and_links_are_resolved(stack):
    names = sorted(p.name for p in mine_layouts().glob("*.json"))
    assert len(names) > 30
    for name in names:
        reply = stack.get(f"/layouts/{name}")
        assert reply.json["matrix"], name
    linked = [p for p in mine_layouts().glob("*.json") if p.is_symlink()]
    assert linked
    assert stack.get(f"/layouts/{linked[0].name}").body == linked[0].resolve().read_bytes()


@pytest.mark.parametrize("query", ["?rev=abc", "?rev=--output=/tmp/x", "?rev=../..", "?x"])
def test_a_query_changes_no_layout(stack, query):
    assert stack.get("/layouts/MD1-Standard.json" + query).body == \
        stack.get("/layouts/MD1-Standard.json").body


def test_a_dead_executable_is_502_in_json(new_stack):
    mine = new_stack()
    mine.processes["jobs"].stop()
    reply = mine.get("/api/v1/jobs/x")
    check_error(reply, 502, "unavailable")
    assert int(reply.headers["Retry-After"]) > 0
    assert mine.get("/layouts/").status == 200
    mine.start_public("jobs")
    wait_until(lambda: mine.serves("jobs"), 20)


def test_a_proxy_header_goes_nowhere(stack):
    """Whatever it does, it must not disturb: httpoxy is the case that has a name."""
    reply = stack.get("/healthz", {"Proxy": "http://127.0.0.1:1/"})
    assert reply.status == 200
    assert "127.0.0.1:1/" not in stack.processes["health"].text()
