# SPDX-License-Identifier: MIT
"""FastCGI by hand: what a peer of the executables' sockets may send, and a program that tells what
nginx sends to one (run with the path of its socket)."""

import json
import socket
import struct
import sys

BEGIN, END, PARAMS, STDIN, STDOUT = 1, 3, 4, 5, 6
KEEP = 1


def record(kind, body=b"", number=1, length=None, padding=0, version=1):
    """`length`: what its head says, where that is a lie."""
    said = len(body) if length is None else length
    return struct.pack(">BBHHBB", version, kind, number, said, padding, 0) + body + bytes(padding)


def begin(flags=0, role=1):
    return record(BEGIN, struct.pack(">HB5x", role, flags))


def size(n):
    return bytes([n]) if n < 128 else struct.pack(">I", n | 1 << 31)


def params(**values):
    pairs = b""
    for name, value in values.items():
        name, value = name.encode(), value.encode()
        pairs += size(len(name)) + size(len(value)) + name + value
    return record(PARAMS, pairs) + record(PARAMS)


def whole(method="GET", path="/", body=b"", flags=0, **more):
    """A request, as nginx would send it."""
    more = {**({"CONTENT_LENGTH": str(len(body))} if body else {}), **more}
    parts = [body[i:i + 65000] for i in range(0, len(body), 65000)]
    return (begin(flags) + params(REQUEST_METHOD=method, REQUEST_URI=path, **more) +
            b"".join(record(STDIN, part) for part in parts) + record(STDIN))


def connect(path, seconds=60):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(seconds)
    s.connect(str(path))
    return s


def take(s, n):
    data = b""
    while len(data) < n:
        part = s.recv(n - len(data))
        if not part:
            raise EOFError(f"hung up on after {len(data)} of {n} bytes")
        data += part
    return data


def read_record(s):
    _, kind, _, length, padding, _ = struct.unpack(">BBHHBB", take(s, 8))
    return kind, take(s, length + padding)[:length]


def answer(s):
    """Status and body of the answer."""
    out = b""
    while True:
        kind, body = read_record(s)
        if kind == END:
            head, _, body = out.partition(b"\r\n\r\n")
            assert head.startswith(b"Status: "), head
            return int(head[8:11]), body
        if kind == STDOUT:
            out += body


def ask(path, *args, **more):
    with connect(path) as s:
        s.sendall(whole(*args, **more))
        return answer(s)


def pairs_of(data):
    """The parameters in a stream of them."""
    found, at = [], 0

    def number():
        nonlocal at
        n = data[at]
        at += 1
        if n & 128:
            n = struct.unpack(">I", data[at - 1:at + 3])[0] & ~(1 << 31)
            at += 3
        return n
    while at < len(data):
        name, value = number(), number()
        found.append((data[at:at + name].decode(), data[at + name:at + name + value].decode()))
        at += name + value
    return found


def tell_one(s):
    """Answer with the parameters of the request, as JSON."""
    told, ended = b"", False
    while not ended:
        kind, body = read_record(s)
        told += body if kind == PARAMS else b""
        ended = kind == STDIN and not body
    text = json.dumps(pairs_of(told)).encode()
    head = f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode()
    s.sendall(record(STDOUT, head + text) + record(STDOUT) + record(END, bytes(8)))


def serve(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(8)
    while True:
        s, _ = listener.accept()
        with s:
            tell_one(s)


if __name__ == "__main__":
    serve(sys.argv[1])
