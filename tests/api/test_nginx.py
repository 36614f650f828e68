# SPDX-License-Identifier: MIT
"""What nginx does of its own: limits, real addresses, compression, the cache of a second, headers.
Each test that reaches a limit has an address of its own; 127.0.0.1 is one that none holds for."""

import concurrent.futures
import gzip
import http.client
import json
import re
import socket
import subprocess
import time

import pytest

from client import ask, check_error
from stack import PREFIX, wait_until
from test_http import planted   # noqa: F401 (a fixture)

HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
POST = (b"POST /download.php HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\n\r\n{}")


def from_address(stack, address, method, path, body=None, headers=None):
    return ask(http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60,
                                          source_address=(address, 0)),
               method, path, body, headers)


def statuses(stack, address, request, count):
    """The statuses of as many requests, sent down one connection without waiting."""
    with socket.create_connection(("127.0.0.1", stack.port), 60, (address, 0)) as s:
        s.sendall(request * (count - 1) +
                  request.replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n"))
        answer = b""
        while True:
            part = s.recv(1 << 20)
            if not part:
                return [int(word) for word in re.findall(rb"HTTP/1\.1 (\d+) ", answer)]
            answer += part


def test_who_asks_too_often_is_429(stack):
    head = b"HEAD /layouts/MD1-Standard.json HTTP/1.1\r\nHost: x\r\n\r\n"
    got = statuses(stack, "127.0.1.1", head, 900)
    assert set(got) == {200, 429} and 500 <= got.count(200) < 900, (len(got), got.count(200))
    assert set(got[:500]) == {200}
    reply = from_address(stack, "127.0.1.1", "GET", "/layouts/MD1-Standard.json")
    while reply.status == 200:   # a place is free every 20 ms
        reply = from_address(stack, "127.0.1.1", "GET", "/layouts/MD1-Standard.json")
    check_error(reply, 429, "too_many_requests")
    # Nobody else notices.
    assert from_address(stack, "127.0.1.2", "GET", "/versions").status == 200
    assert set(statuses(stack, "127.0.0.1", head, 900)) == {200}


def test_builds_are_limited_more_strictly(stack):
    got = statuses(stack, "127.0.1.3", POST, 400)
    assert set(got) == {400, 429} and 200 <= got.count(400) < 400, got
    assert set(got[:200]) == {400}
    told = None
    while told is None or told.status == 400:   # a place is free every 200 ms
        told = from_address(stack, "127.0.1.3", "POST", "/api/v1/builds", b"{}",
                            {"Content-Type": "application/json"})
    check_error(told, 429, "too_many_requests")
    assert from_address(stack, "127.0.1.3", "GET", "/versions").status == 200
    assert from_address(stack, "127.0.1.3", "OPTIONS", "/download.php").status == 204


def test_a_limit_wears_off(stack):
    got = statuses(stack, "127.0.1.4", POST, 400)
    assert got[-1] == 429
    wait_until(lambda: from_address(stack, "127.0.1.4", "POST", "/", b"{}",
                                    {"Content-Type": "application/json"}).status == 400, 5)


@pytest.fixture(scope="module")
def strict(engine):
    """A stack whose nginx has less patience, smaller numbers, and trusts a proxy at 127.0.0.1."""
    from stack import Stack
    made = Stack(engine, nginx={
        "limit_conn kiisrv_held 256": "limit_conn kiisrv_held 2",
        "limit_conn kiisrv_open 128": "limit_conn kiisrv_open 8",
        "client_body_timeout 30s": "client_body_timeout 1s",
        "client_header_timeout 15s": "client_header_timeout 1s",
        "# set_real_ip_from 127.0.0.1;": "set_real_ip_from 127.0.0.1;",
        "# real_ip_header": "real_ip_header",
        "# real_ip_recursive": "real_ip_recursive",
        '# on "max-age': 'on "max-age',
    })
    try:
        yield made.start()
    finally:
        made.stop()


def test_builds_waited_for_are_limited_by_address(strict):
    document = json.dumps(strict.ordered("held", "sleep 4")).encode()
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        replies = [pool.submit(from_address, strict, "127.0.1.5", "POST", "/", document,
                               {"Content-Type": "application/json"}) for _ in range(5)]
        other = pool.submit(from_address, strict, "127.0.1.6", "POST", "/", document,
                            {"Content-Type": "application/json"}).result()
        replies = [reply.result() for reply in replies]
    assert other.status == 200, other
    assert sorted(reply.status for reply in replies) == [200, 200, 429, 429, 429]
    for reply in replies:
        if reply.status == 429:
            check_error(reply, 429, "too_many_requests")


def trickle(stack, data, address="127.0.0.1"):
    """A client that has sent this much and stays."""
    s = socket.create_connection(("127.0.0.1", stack.port), 20, (address, 0))
    s.sendall(data)
    return s


def all_of(s):
    parts = []
    while True:
        part = s.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


@pytest.mark.parametrize("data", [POST.replace(b"Length: 2", b"Length: 200"),
                                  b"GET /versions HTTP/1.1\r\nHost:"])
def test_a_client_that_stops_is_left(strict, data):
    with trickle(strict, data) as s:
        begun = time.monotonic()
        assert all_of(s) == b""
        assert 0.5 < time.monotonic() - begun < 10


def test_slow_clients_hold_nobody_else(stack):
    part = POST.replace(b"Length: 2", b"Length: 200")
    slow = [trickle(stack, part) for _ in range(100)]
    try:
        for _ in range(3):
            for s in slow:
                s.sendall(b" ")
            begun = time.monotonic()
            check_error(stack.post(b"{}"), 400)
            assert time.monotonic() - begun < 5
    finally:
        for s in slow:
            s.close()


def test_requests_at_a_time_are_limited_by_address(strict):
    """Of a download only so much as fits into the sockets is sent to one who does not read."""
    size = 64 << 20
    name = "big-0123.zip"
    with open(strict.state / "artifacts" / name, "wb") as f:
        f.truncate(size)
    subprocess.run(["chown", "kiisrv-engine:www-data", f.name], check=True)
    get = f"GET /tmp/{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    held = [trickle(strict, get, "127.0.1.7") for _ in range(8)]
    try:
        for s in held:
            assert s.recv(1000).startswith(b"HTTP/1.1 200 ")
        check_error(from_address(strict, "127.0.1.7", "GET", "/versions"), 429)
        assert from_address(strict, "127.0.1.8", "GET", "/versions").status == 200
    finally:
        for s in held:
            s.close()
        (strict.state / "artifacts" / name).unlink()
    wait_until(lambda: from_address(strict, "127.0.1.7", "GET", "/versions").status == 200, 10)


def client_of(stack, reply):
    return stack.jobs("client", f"id = '{reply.headers['X-Kiisrv-Job']}'")[0]["client"]


def test_a_trusted_proxy_names_the_client(strict):
    document = strict.ordered("real address", "fail")
    reply = strict.post(document, headers={"X-Forwarded-For": "198.51.100.1, 192.0.2.7"})
    assert client_of(strict, reply) == "192.0.2.7"


def test_nobody_else_names_a_client(stack):
    document = stack.ordered("false address", "fail")
    reply = stack.post(document, headers={"X-Forwarded-For": "192.0.2.7",
                                          "X-Real-IP": "192.0.2.8"})
    assert client_of(stack, reply) == "127.0.0.1"


def posted_as(address):
    return POST.replace(b"Host: x\r\n", b"Host: x\r\nX-Forwarded-For: " + address + b"\r\n")


def test_half_an_ipv6_address_is_a_client(strict):
    statuses(strict, "127.0.0.1", posted_as(b"2001:db8:1:2::1"), 400)
    assert statuses(strict, "127.0.0.1", posted_as(b"2001:db8:1:2:ffff::9"), 1) == [429]
    assert statuses(strict, "127.0.0.1", posted_as(b"2001:db8:1:3::1"), 1) == [400]
    # An IPv4 address as IPv6 is still one address.
    assert statuses(strict, "127.0.0.1", posted_as(b"::ffff:192.0.2.31"), 400)[-1] == 429
    assert statuses(strict, "127.0.0.1", posted_as(b"::ffff:192.0.2.32"), 1) == [400]


def test_idle_connections_are_probed(stack):
    with socket.create_connection(("127.0.0.1", stack.port)) as s:
        s.sendall(b"GET /versions HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(100)
        port = s.getsockname()[1]
        told = subprocess.run(["ss", "-Htno", f"sport = :{stack.port} and dport = :{port}"],
                              stdout=subprocess.PIPE, text=True, check=True).stdout
        assert "timer:(keepalive," in told, told


# --- compression

ZIPPED = {"Accept-Encoding": "gzip"}


@pytest.mark.parametrize("path", ["/layouts/", "/layouts/MD1-Standard.json",
                                  "/layouts/MD1-Standard.json?rev=x"])
def test_json_is_compressed_for_who_takes_it(stack, path):
    plain, zipped = stack.get(path), stack.get(path, ZIPPED)
    assert plain.headers["Content-Encoding"] is None
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(zipped.body) == plain.body
    assert len(zipped.body) < len(plain.body) / 3
    for reply in (plain, zipped):
        assert "Accept-Encoding" in ", ".join(reply.headers.get_all("Vary"))
    again = stack.get(path, {**ZIPPED, "If-None-Match": zipped.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


def test_small_answers_and_zips_stay_as_they_are(stack, planted):   # noqa: F811
    planted("artifacts", "MD1-Standard-0123.zip", text="zip" * 1000)
    for path in ("/versions", "/nowhere", "/tmp/MD1-Standard-0123.zip"):
        assert stack.get(path, ZIPPED).headers["Content-Encoding"] is None, path


def test_a_range_of_a_log_is_a_range_of_its_bytes(stack, planted):   # noqa: F811
    job = "c" * 32
    planted("logs", job + ".log", text="0123456789" * 1000)
    part = stack.get(f"/logs/{job}.log", {**ZIPPED, "Range": "bytes=9995-"})
    assert (part.status, part.text) == (206, "56789")


# --- the cache

# nginx counts in whole seconds, so that its second may take two.
TWO_SECONDS = 2.2


def cached(stack, path, headers=None):
    return stack.get(path, headers).headers["X-Cache"]


@pytest.mark.parametrize("path", ["/versions", "/stats", "/layouts/"])
def test_within_a_second_an_answer_comes_from_the_cache(stack, path):
    time.sleep(TWO_SECONDS)
    first = stack.get(path)
    assert first.headers["X-Cache"] in ("MISS", "EXPIRED")
    wait_until(lambda: cached(stack, path) == "HIT", 10, 0)
    hit = stack.get(path)
    assert hit.body == first.body
    assert hit.headers["ETag"] == first.headers["ETag"]
    assert hit.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    time.sleep(TWO_SECONDS)
    assert cached(stack, path) == "EXPIRED"


@pytest.mark.parametrize("path", ["/versions", "/layouts/"])
def test_a_known_tag_is_304_from_the_cache_too(stack, path):
    tag = stack.get(path).headers["ETag"]

    def hit():
        reply = stack.get(path, {"If-None-Match": tag})
        assert (reply.status, reply.body) == (304, b"")
        return reply.headers["X-Cache"] == "HIT"
    wait_until(hit, 10, 0)
    assert stack.get(path, {"If-None-Match": '"other"'}).status == 200


def test_the_forms_of_statistics_are_not_mixed_up(stack):
    for _ in range(20):
        assert stack.get("/stats").headers.get_content_type() == "text/plain"
        assert "builds" in stack.get("/stats", {"Accept": "application/json"}).json
        assert stack.get("/stats", {"Accept": "*/*"}).text.startswith("Builds: ")
        assert stack.request("HEAD", "/stats").body == b""


def test_only_what_is_the_same_for_all_is_cached(stack):
    for path in ("/", "/nowhere", "/layouts/MD1-Standard.json", "/layouts/None.json", "/healthz",
                 "/metrics", "/api/v1/jobs/" + "0" * 32):
        assert stack.get(path).headers["X-Cache"] is None, path


def test_no_error_is_kept(new_stack):
    mine = new_stack()
    mine.processes["versions"].stop()
    wait_until(lambda: mine.get("/versions").status == 502, 5)
    mine.start_public("versions")
    wait_until(lambda: mine.get("/versions").status == 200, 10)
    # What the executable itself refuses is not kept either.
    for _ in range(3):
        check_error(mine.request("DELETE", "/versions"), 405)
        assert mine.get("/versions").status == 200


def test_a_query_and_odd_ways_to_write_a_path_are_the_same_answer(stack):
    wanted = stack.get("/versions").body
    for path in ("/versions?x=1", "//versions", "/./versions", "/%76ersions"):
        reply = stack.get(path)
        assert (reply.status, reply.body) == (200, wanted), path


def test_a_new_version_is_there_after_a_second(new_stack):
    mine = new_stack()

    def ctl(*args):
        subprocess.run(["setpriv", "--reuid", "kiisrv-engine", "--regid", "kiisrv-engine",
                        "--clear-groups", PREFIX / "sbin/kiisrvctl", "-c", mine.conf, *args],
                       check=True)
    ctl("versions", "release", "v0.5.7", "1", "2020-01-01", "0" * 40, "0.1", "http://x/")
    wait_until(lambda: "latest" in mine.get("/versions").json, 30)
    for _ in range(3):
        assert "mine" not in mine.get("/versions").json
        ctl("versions", "add", "mine", "beta", "controller-057", "v0.5.7")
        time.sleep(TWO_SECONDS)
        assert "mine" in mine.get("/versions").json
        ctl("versions", "remove", "mine")
        time.sleep(TWO_SECONDS)


# --- headers and sizes

@pytest.mark.parametrize("path, status", [
    ("/versions", 200), ("/layouts/MD1-Standard.json", 200), ("/layouts/None.json", 404),
    ("/nowhere", 404), ("/", 405), ("/stats", 200), ("/healthz", 200),
    ("/tmp/MD1-Standard-0123.zip", 200), ("/logs/" + "d" * 32 + ".log", 200)])
def test_every_answer_has_every_header_once(stack, planted, path, status):   # noqa: F811
    planted("artifacts", "MD1-Standard-0123.zip")
    planted("logs", "d" * 32 + ".log")
    reply = stack.get(path)
    assert reply.status == status
    for name, value in HEADERS.items():
        assert reply.headers.get_all(name) == [value], name
    assert reply.headers["Strict-Transport-Security"] is None
    assert not re.search(r"\d", reply.headers["Server"]), "nginx's version is nobody's business"


def test_nginx_own_errors_have_them_too(stack):
    statuses(stack, "127.0.1.9", POST, 300)
    limited = from_address(stack, "127.0.1.9", "POST", "/", b"{}",
                           {"Content-Type": "application/json"})
    check_error(limited, 429)
    for reply in (limited, stack.post(b"x" * ((2 << 20) + 1))):
        for name, value in HEADERS.items():
            assert reply.headers.get_all(name) == [value], name


def test_a_body_too_large_is_refused_before_it_is_sent(stack):
    with trickle(stack, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                 b"Expect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n") as s:
        reply = http.client.HTTPResponse(s)
        reply.begin()
        assert reply.status == 413
        assert json.loads(reply.read())["code"] == "too_big"
