# SPDX-License-Identifier: MIT
"""Clients as there are: they come again when they are told to or when nobody answers, and they keep
what they were promised."""

import copy
import dataclasses
import http.client
import io
import json
import random
import socket
import tarfile
import threading
import time

from client import FILENAME, ask, check_error

PATIENCE = 150   # seconds after which a client has been let down
FINAL = ("succeeded", "failed", "timed_out", "cancelled", "lost")
JOBS = "/operator/jobs"
TINY = "kiisrv-controller-056:latest"

# What is asked of the stand-in: orders, and what has to become of it.
BUILDS = {
    "good": (("say before", "log 6400", "tick {n}", "log 640", "say after"), "succeeded", "built"),
    "slow": (("tick 4", "log 12800"), "succeeded", "built"),
    "fails": (("tick 1", "say no", "exit 1"), "failed", "build_failed"),
    "none": (("say none", "artifact none"), "failed", "no_result"),
    "broken": (("say broken", "exit 3"), "failed", "builder_failed"),
}


@dataclasses.dataclass
class Promise:
    """A job that a client was told of, or an answer that it got."""
    what: str                # of BUILDS, or "image", "pull", ...
    name: str
    made: float              # by the diary's clock
    state: str               # that it has to come to
    outcome: str
    orders: tuple = ()
    job: str = None
    seen: str = None         # the final state that was seen
    seen_outcome: str = None
    ended: float = None
    filename: str = None     # of the zip
    more: dict = dataclasses.field(default_factory=dict)


class Down(Exception):
    """A client has waited for too long, or was told what nobody may be told."""


class Client(threading.Thread):
    """Asks for one thing after the other until `end`, but `least` things, and then stays until it
    has it all."""

    def __init__(self, world, number, end, least):
        super().__init__(daemon=True)
        self.world = world
        self.number = number
        self.rng = random.Random(f"{world.seed} client {number}")
        self.pause = random.Random()   # how often these are drawn is not the seed's to say
        self.end = end
        self.least = least
        self.promises = []
        self.asked = 0
        self.address = f"127.0.77.{number + 1}"

    def run(self):
        diary = self.world.diary
        while diary.now() < self.end or self.asked < self.least:
            self.asked += 1
            try:
                self.one()
            except Exception as e:   # the others go on; the run fails
                diary.fault(f"client {self.number}, its {self.asked}th wish: {e!r}")
                return

    # --- asking

    def request(self, method, path, body=None, timeout=PATIENCE):
        connection = http.client.HTTPConnection("127.0.0.1", self.world.stack.port,
                                                timeout=timeout, source_address=(self.address, 0))
        return ask(connection, method, path, body, {"Content-Type": "application/json"})

    def insist(self, ask_once, *good):
        """The first answer with a status that is good; what says "again" is asked again."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                reply = ask_once()
            except (OSError, http.client.HTTPException) as e:
                reply, said = None, e
            if reply:
                said = reply
                if reply.status in good:
                    return reply
                if reply.status not in (429, 502, 503, 504):
                    raise Down(f"not one of {good}: {reply}")
                check_error(reply, reply.status)
            if time.monotonic() > end:
                raise Down(f"nothing in {PATIENCE} s, at last: {said}")
            # Retry-After is meant for people who have minutes.
            time.sleep(self.pause.uniform(0.1, 0.6))

    def until_final(self, promise, look):
        """Follow a job that was promised. It is never unknown, and it ends."""
        end = time.monotonic() + PATIENCE
        while True:
            told = self.insist(look, 200).json
            if told["state"] in FINAL:
                promise.seen, promise.seen_outcome = told["state"], told["outcome"]
                promise.ended = self.world.diary.now()
                return told
            if time.monotonic() > end:
                raise Down(f"job {promise.job} has no end: {told}")
            time.sleep(self.pause.uniform(0.05, 0.3))

    def promise(self, what, name, state, outcome, **more):
        made = Promise(what, name, self.world.diary.now(), state, outcome, **more)
        self.promises.append(made)
        return made


class Builder(Client):
    """Firmware: held POSTs, jobs that are followed, some that are left alone."""

    def one(self):
        what = self.rng.choices(list(BUILDS), (10, 2, 3, 1, 1))[0]
        # Some things many want.
        shared = self.rng.random() < 0.2
        name = f"torture {'all' if shared else self.number} " \
            f"{self.rng.randrange(20) if shared else self.asked}"
        orders, state, outcome = BUILDS[what]
        n = 1 if shared else self.rng.randrange(3)
        orders = tuple(order.format(n=n) for order in orders)
        body = self.document(f"{name} {what}", orders)
        way = self.rng.choices((self.held, self.followed, self.left), (5, 4, 1))[0]
        way(what, name, body, orders, state, outcome)

    def document(self, name, orders):
        config = copy.deepcopy(self.world.layout)
        config["header"]["Author"] = name
        config["custom"] = {"0": "".join(f"//! {order}\n" for order in orders)}
        return json.dumps({"env": "v0.5.6", "config": config}).encode()

    def held(self, what, name, body, orders, state, outcome):
        begun = self.world.diary.now()
        reply = self.insist(lambda: self.request("POST", "/download.php", body), 200)
        told = reply.json
        promise = self.promise(what, name, state, outcome, orders=orders,
                               job=reply.headers["X-Kiisrv-Job"])
        promise.made, promise.ended = begun, self.world.diary.now()
        promise.filename = told["filename"]
        if told["success"] is not (state == "succeeded") or not FILENAME.match(told["filename"]):
            raise Down(f"{what}: {told}")
        promise.seen = state

    def followed(self, what, name, body, orders, state, outcome):
        """What is lost is asked for again, as the server says."""
        while True:
            reply = self.insist(lambda: self.request("POST", "/api/v1/builds", body), 200, 202)
            promise = self.promise(what, name, state, outcome, orders=orders,
                                   job=reply.json["job"])
            path = f"/api/v1/jobs/{promise.job}"
            told = self.until_final(promise, lambda: self.request("GET", path))
            if told["state"] != "lost":
                promise.filename = "." + told["artifact"]
                return

    def left(self, what, name, body, orders, state, outcome):
        """A held POST whose client goes before the answer: nobody is promised anything, and the
        job, if there is one, ends all the same."""
        try:
            with socket.create_connection(("127.0.0.1", self.world.stack.port), 10,
                                          (self.address, 0)) as s:
                s.sendall(b"POST /download.php HTTP/1.1\r\nHost: x\r\n"
                          b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" %
                          (len(body), body[:self.rng.choice((len(body), len(body) // 2))]))
                time.sleep(self.rng.uniform(0, 1))
        except OSError:
            pass


def context(files):
    """{name: text} as a packed tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


class Operator(Client):
    """Images: built of an upload, pulled from nowhere, given names; some builds are cancelled."""

    def one(self):
        # On Podman a cancelled step may run on: docs/engines.md.
        ways = {self.build: 6, self.tag: 2, self.pull: 2}
        if self.world.engine.name == "docker":
            ways[self.cancel] = 1
        self.rng.choices(list(ways), list(ways.values()))[0](f"torture-{self.number}-{self.asked}")

    def ask(self, method, path, document=None):
        return self.world.anna.request(method, path, document, timeout=30)

    def order(self, name, lines):
        """A build of a Dockerfile; its id makes asking again harmless."""
        text = f"FROM {TINY}\nUSER 0\nENV WHO={name}\nCOPY f /f\n" + "".join(
            f"RUN {line}\n" for line in lines)
        archive = context({"Dockerfile": text, "f": name})
        source = self.insist(lambda: self.ask("POST", "/images/sources", archive), 201)
        request = {"id": name, "source": source.json["source"], "buildpack_type": "dockerfile",
                   "image_tag": f"{name}:1", "no_cache": True, "network_mode": "none"}
        return self.insist(lambda: self.ask("POST", "/images/build", request), 200, 202).json["job"]

    def follow(self, promise):
        return self.until_final(promise, lambda: self.ask("GET", f"{JOBS}/{promise.job}"))

    def again(self, promise):
        """What is lost is tried again; a second try finds the first one's job."""
        job = self.insist(lambda: self.ask("POST", f"{JOBS}/{promise.job}/retry"), 200, 202)
        return self.promise(promise.what, promise.name, promise.state, promise.outcome,
                            orders=promise.orders, job=job.json["id"], more=promise.more)

    def finish(self, promise):
        while self.follow(promise)["state"] == "lost":
            promise = self.again(promise)

    def build(self, name):
        n = self.rng.randrange(3)
        lines = [f"for i in $(seq {n}); do echo tick $i; sleep 1; done; echo after"]
        good = self.rng.random() < 0.8
        if not good:
            lines.append("echo no; exit 3")
        job = self.order(name, lines)
        state, outcome = ("succeeded", "built") if good else ("failed", "build_failed")
        self.finish(self.promise("image", name, state, outcome, orders=(f"tick {n}", "say after"),
                                 job=job, more={"image": f"{name}:1"} if good else {}))

    def cancel(self, name):
        job = self.order(name, [f"echo {name}; exec sleep 86395"])
        promise = self.promise("cancel", name, "cancelled", "cancelled", job=job)
        time.sleep(self.rng.uniform(0, 2))
        self.world.diary.note("cancel", name)
        self.insist(lambda: self.ask("POST", f"{JOBS}/{job}/cancel"), 200, 202, 409)
        self.world.diary.note("cancelled", name)
        self.follow(promise)

    def pull(self, name):
        request = {"image": f"127.0.0.1:9/{name}:1"}
        job = self.insist(lambda: self.ask("POST", "/images/pull", request), 200, 202).json["job"]
        self.finish(self.promise("pull", name, "failed", "registry_down", job=job))

    def tag(self, name):
        request = {"image": TINY, "tag": f"{name}:1"}
        self.insist(lambda: self.ask("POST", "/images/tag", request), 201)
        promise = self.promise("tag", name, "succeeded", None, more={"image": f"{name}:1"})
        promise.seen, promise.ended = "succeeded", self.world.diary.now()
