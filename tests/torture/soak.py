# SPDX-License-Identifier: MIT
"""Thousands of requests to a kiisrv that nobody hurts, and what its processes hold of memory and
descriptors before and after."""

import concurrent.futures
import http.client
import itertools
import json
import os
import pathlib
import threading
import time

from client import Reply
from stack import OPERATOR, PUBLIC, Stack, wait_until

THREADS = 8
FIRST = 1000
ALLOWED = 0.05
# A process of 3 MiB may grow by this much more, in KiB: SQLite keeps pages of tables that grow. All
# of them together may not.
GRAIN = 256
FILES = 1           # a layout, which one of nginx' workers keeps open until it is asked again
EACH = 50           # requests of one address before the next: nginx counts them
ADDRESSES = 40      # each takes room in nginx's tables


class Soak:
    def __init__(self, engine):
        # What an address sanitizer keeps back of freed memory is not ours, and which threads have
        # filled their share of the heap is chance.
        more = {"ASAN_OPTIONS": "quarantine_size_mb=0:thread_local_quarantine_size_kb=0",
                "MALLOC_ARENA_MAX": "1"}
        os.environ.update(more)
        try:
            # The clients have many addresses.
            self.stack = Stack(engine, nginx={"allow 127.0.0.1;": "allow 127.0.0.0/8;"}).start()
            self.stack.start_operators()
        finally:
            for name in more:
                del os.environ[name]
        self.anna = self.stack.operator()
        self.addresses = itertools.count()
        self.asked = 0
        built = self.stack.post(self.stack.ordered("soak", "say soaked", "log 6400"))
        assert built.status == 200, built
        job = built.headers["X-Kiisrv-Job"]
        known = json.dumps(self.stack.ordered("soak", "say soaked", "log 6400")).encode()
        wrong = json.dumps({"env": "v0.5.6", "config": {"header": 5}}).encode()
        zipped = built.json["filename"][1:]
        # (method, path, body, whose, the status that it has to get)
        self.requests = [
            *(("GET", path, None, "public", 200) for path in (
                "/versions", "/stats", "/layouts/", "/layouts/MD1-Standard.json", "/api/",
                "/api/openapi.yaml", f"/api/v1/jobs/{job}", f"/logs/{job}.log", zipped,
                "/healthz", "/metrics")),
            ("POST", "/download.php", known, "public", 200),
            ("POST", "/", known, "public", 200),
            ("POST", "/api/v1/builds", known, "public", 200),
            *(("GET", f"/api/v1{path}", None, "operator", 200) for path in (
                "/containers", "/images", "/images/kiisrv-controller-056:latest",
                "/runtime/info", "/operator/jobs", "/audit")),
            ("GET", "/none", None, "public", 404),
            ("GET", f"/api/v1/jobs/{'0' * 32}", None, "public", 404),
            ("GET", "/layouts/none.json", None, "public", 404),
            ("DELETE", "/versions", None, "public", 405),
            ("GET", "/download.php", None, "public", 405),
            ("POST", "/download.php", b"{", "public", 400),
            ("POST", "/download.php", wrong, "public", 400),
            ("POST", "/api/v1/builds", b"[" * 10000, "public", 400),
            ("GET", "/api/v1/containers", None, "nobody", 401),
            ("GET", "/api/v1/containers/none", None, "operator", 404),
            ("POST", "/api/v1/images/pull", b"{}", "operator", 400),
        ]

    def close(self):
        self.stack.stop()

    def ask(self, n):
        """`n` requests over kept connections, each with the status that it has to get. The first of
        all are asked by every client at the same time: how many of one kind come together later is
        chance, and each that waits has a thread, whose memory stays."""
        gate = None if self.asked else threading.Barrier(THREADS)
        self.asked += n
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            parts = [range(k, n, THREADS) for k in range(THREADS)]
            wrong = [w for part in pool.map(self.part, parts, [gate] * THREADS) for w in part]
        assert not wrong, wrong[:5]

    def part(self, numbers, gate):
        wrong, connection = [], None
        for count, n in enumerate(numbers):
            if gate:
                gate.wait(60)
                n //= THREADS
            if count % EACH == 0:
                if connection:
                    connection.close()
                at = next(self.addresses) % ADDRESSES
                connection = http.client.HTTPConnection(
                    "127.0.0.1", self.stack.port, timeout=60,
                    source_address=(f"127.0.80.{at + 1}", 0))
            method, path, body, who, status = self.requests[n % len(self.requests)]
            headers = {"Content-Type": "application/json"} if body else {}
            if who == "operator":
                headers.update(self.anna.headers)
            connection.request(method, path, body, headers)
            reply = Reply(connection.getresponse())
            if reply.status != status:
                wrong.append((method, path, status, reply))
        if connection:
            connection.close()
        return wrong

    # --- what the processes hold

    def figures(self):
        """{(service, pid): {what: how much}}, memory in KiB. Of Pss only what is in no file: one's
        part of a library grows when another stack that has it ends."""
        leaders = {p.pid: name for name, p in self.stack.processes.items()}
        found = {}
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                leader = os.getpgid(int(folder.name))
                if leader not in leaders:
                    continue
                if b"cache loader" in (folder / "cmdline").read_bytes():
                    continue   # nginx's, which ends after a minute
                rollup = (folder / "smaps_rollup").read_text().splitlines()[1:]
                values = {line.split(":")[0]: int(line.split()[1]) for line in rollup}
                found[leaders[leader], int(folder.name)] = {
                    "Pss_Anon": values["Pss_Anon"], "Rss": values["Rss"],
                    "descriptors": len(os.listdir(folder / "fd"))}
            except (OSError, IndexError, KeyError):
                continue
        assert {name for name, _ in found} == {*PUBLIC, *OPERATOR, "worker", "nginx"}, found
        return found

    def at_rest(self):
        """The figures when connections that were kept have ended: nobody's descriptors change."""
        # nginx keeps connections for five seconds, threads that wait for the engine stay for ten.
        time.sleep(11)
        last = [self.figures()]

        def same():
            last.append(self.figures())
            before, now = ({k: v["descriptors"] for k, v in f.items()} for f in last[-2:])
            return before == now
        wait_until(same, 30, 0.5)
        return last[-1]

    def run(self, total, each):
        """What grew by more than is allowed between the first thousand and the last: sentences.
        `each`: the memory of every process too, not only of all together."""
        self.ask(FIRST)
        before = self.at_rest()
        self.ask(total - FIRST)
        after = self.at_rest()
        found = [] if set(before) == set(after) else [f"processes: {set(before) ^ set(after)}"]
        for key in sorted(set(before) & set(after)):
            for what, was in before[key].items():
                line = f"{key[0]:<11} {key[1]:>7} {what:<11} {was:>7} {after[key][what]:>7}"
                print(line)
                least = GRAIN if each else 1 << 30
                if what == "descriptors":
                    least = FILES if key[0] == "nginx" else 0
                if after[key][what] - was > max(was * ALLOWED, least):
                    found.append(line)
        for what in ("Pss_Anon", "descriptors"):
            was, now = (sum(values[what] for values in f.values()) for f in (before, after))
            print(f"all of them, {what}: {was} {now}")
            if now > was * (1 + ALLOWED):
                found.append(f"all of them, {what}: {was} {now}")
        return found
