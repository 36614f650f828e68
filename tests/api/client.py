# SPDX-License-Identifier: MIT
"""HTTP as the tests speak it: one request a connection, over TCP or a Unix socket."""

import http.client
import json
import re
import socket

# How the configurator reads a file name: anchored at its start, greedy (kll.md, section 9).
FILENAME = re.compile(r"\./[^/]+/+([A-Za-z0-9_.-]+)-([A-Za-z0-9_.-]+)-([0-9A-Fa-f]+)(_error)?")


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
