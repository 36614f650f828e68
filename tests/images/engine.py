#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""engine.py URL TAR|IMAGE NAME[:TAG] MARK CHANGE...: import a tar as an image of the engine at URL,
or give an image that it has another name and other settings.

TAR is a path with a slash. An image that carries the same mark (label kiisrv.files) stays as it is.
URL is a DOCKER_HOST: unix:///path or tcp://host:port; Docker and Podman speak the same here.
"""
import http.client
import json
import os
import socket
import sys
from urllib.parse import urlencode, urlsplit


class Local(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("engine", timeout=300)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def connection(url):
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return Local(parts.path)
    if parts.scheme == "tcp":
        return http.client.HTTPConnection(parts.hostname, parts.port or 2375, timeout=300)
    sys.exit("no engine: %s (unix:///path or tcp://host:port)" % url)


def call(url, method, path, body=None, headers=()):
    engine = connection(url)
    try:
        engine.request(method, path, body, dict(headers))
        answer = engine.getresponse()
        return answer.status, answer.read().decode()
    except OSError as error:
        sys.exit("%s: %s" % (url, error))
    finally:
        engine.close()


def mark_of(url, name):
    status, text = call(url, "GET", "/v1.40/images/%s/json" % name)
    if status != 200:
        return None
    return (json.loads(text)["Config"].get("Labels") or {}).get("kiisrv.files")


def imported(url, tar, repo, tag, changes):
    query = urlencode([("fromSrc", "-"), ("repo", repo), ("tag", tag)] + changes)
    with open(tar, "rb") as body:
        return call(url, "POST", "/v1.40/images/create?" + query, body, {
            "Content-Type": "application/x-tar",
            "Content-Length": str(os.path.getsize(tar))}.items())


def committed(url, image, repo, tag, changes):
    """What a container that never ran becomes has the files of its image, and no copy of them."""
    kind = {"Content-Type": "application/json"}.items()
    status, text = call(url, "POST", "/v1.40/containers/create", json.dumps({"Image": image}), kind)
    if status != 201:
        return status, text
    one = json.loads(text)["Id"]
    query = urlencode([("container", one), ("repo", repo), ("tag", tag)] + changes)
    told = call(url, "POST", "/v1.40/commit?" + query, "{}", kind)
    call(url, "DELETE", "/v1.40/containers/%s?force=1&v=1" % one)
    return told


def main(url, source, image, mark, *changes):
    repo, _, tag = image.partition(":")
    name = "%s:%s" % (repo, tag or "latest")
    if mark_of(url, name) == mark:
        print("%s is there" % name)
        return
    make = imported if "/" in source else committed
    status, text = make(url, source, repo, tag or "latest", [
        ("changes", change) for change in ("LABEL kiisrv.files=" + mark,) + changes])
    if status not in (200, 201) or mark_of(url, name) != mark:
        sys.exit("%s: import failed: %s" % (name, text.strip()[-500:]))
    print("%s imported" % name)


if __name__ == "__main__":
    main(*sys.argv[1:])
