# SPDX-License-Identifier: MIT
"""HTTP as the tests speak it: one request a connection, over TCP or a Unix socket."""

import http.client
import itertools
import json
import os
import re
import socket

# How the configurator reads a file name: anchored at its start, greedy (kll.md, section 9).
FILENAME = re.compile(r"\./[^/]+/+([A-Za-z0-9_.-]+)-([A-Za-z0-9_.-]+)-([0-9A-Fa-f]+)(_error)?")


# Below those that the kernel gives to clients, and another part of them in each process of tests.
FIRST_PORT = 10000 + os.getpid() % 200 * 100
PORTS = itertools.cycle(range(FIRST_PORT, FIRST_PORT + 100))


def free_port():
    """A port that nobody has, and nobody will be given by chance."""
    for port in itertools.islice(PORTS, 100):
        with socket.socket() as s:
            try:
                s.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("engine", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Reply:
    def __init__(self, answer):
        self.status = answer.status
        self.headers = answer.headers
        self.body = answer.read()

    def __repr__(self):
        return f"<{self.status} {self.body[:500]!r}>"

    @property
    def json(self):
        assert self.headers.get_content_type() == "application/json", self
        return json.loads(self.body)

    @property
    def text(self):
        return self.body.decode()


def ask(connection, method, path, body=None, headers=None):
    try:
        connection.request(method, path, body, headers or {})
        return Reply(connection.getresponse())
    finally:
        connection.close()


def check_error(reply, status, code=None, field=None):
    """An error of ours: its status, JSON with a sentence and a stable word, and CORS."""
    assert reply.status == status, reply
    told = reply.json
    assert told["error"] and isinstance(told["error"], str), told
    assert re.fullmatch("[a-z_]+", told["code"]), told
    assert reply.headers.get_all("Access-Control-Allow-Origin") == ["*"], reply.headers
    if code is not None:
        assert told["code"] == code, told
    if field is not None:
        assert told.get("field") == field, told
    if status in (429, 503):
        assert int(reply.headers["Retry-After"]) > 0
    return told


def raw(port, data, timeout=20):
    """Bytes as they are, and all that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout) as s:
        s.sendall(data)
        parts = []
        while True:
            part = s.recv(65536)
            if not part:
                return b"".join(parts)
            parts.append(part)


class Operator:
    """Requests to a stack's operator zone under one token; bodies are JSON."""

    def __init__(self, stack, name, secret):
        self.stack = stack
        self.name = name
        self.secret = secret
        self.headers = {"Authorization": f"Bearer {secret}"}

    def request(self, method, path, document=None, headers=None, timeout=120):
        """`document`: JSON, or bytes as they are; `path` is behind /api/v1 or begins with it."""
        path = path if path.startswith("/api/") else "/api/v1" + path
        body = document if document is None or isinstance(document, bytes) else \
            json.dumps(document).encode()
        more = {} if body is None else {"Content-Type": "application/json"}
        return self.stack.request(method, path, body, {**self.headers, **more, **(headers or {})},
                                  timeout)

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, document=None, **more):
        return self.request("POST", path, document, **more)

    def delete(self, path, **more):
        return self.request("DELETE", path, **more)
