#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""load.py PORT LAYOUT: many clients at 127.0.0.1:PORT until stdin ends, then what they got as JSON.

Some get pages, a connection a request; some post builds, each its own, and wait for them. What is
not a 200, or no answer at all, is an error."""

import collections
import http.client
import json
import sys
import threading
import time

GETS = ("/versions", "/stats", "/layouts/", "/layouts/MD1-Standard.json", "/healthz")
PORT = int(sys.argv[1])
LAYOUT = json.load(open(sys.argv[2], encoding="utf-8"))
stop = threading.Event()
lock = threading.Lock()
counts = collections.Counter()
errors = []


def ask(method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def count(kind, path, status, body):
    with lock:
        counts[kind] += 1
        if status != 200:
            errors.append(f"{time.strftime('%T')} {path}: {status} {body[:300]!r}")


def one(kind, method, path, body=None):
    try:
        status, answer = ask(method, path, body)
    except OSError as failure:
        status, answer = 0, repr(failure).encode()
    except http.client.HTTPException as failure:
        status, answer = 0, repr(failure).encode()
    if status == 200 and kind == "posts" and json.loads(answer)["success"] is not True:
        status = 299
    count(kind, path, status, answer)


def get_all(number):
    while not stop.is_set():
        for path in GETS:
            one("gets", "GET", path)
        time.sleep(0.01)


def post_all(number):
    turn = 0
    while not stop.is_set():
        turn += 1
        own = json.loads(json.dumps(LAYOUT))
        own["header"]["Author"] = f"load {time.time()} {number} {turn}"
        own["custom"] = {"0": "//! tick 2\n"}
        one("posts", "POST", "/download.php",
            json.dumps({"env": "v0.5.6", "config": own}))


threads = [threading.Thread(target=run, args=(n,))
           for run, many in ((get_all, 4), (post_all, 3)) for n in range(many)]
for thread in threads:
    thread.start()
print("started", flush=True)
sys.stdin.read()
stop.set()
for thread in threads:
    thread.join()
print(json.dumps({**counts, "errors": errors}))
