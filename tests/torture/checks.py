# SPDX-License-Identifier: MIT
"""What must be true when all is calm again. Each check gives a list of sentences, empty when all is
well, so that one run tells all that is wrong."""

import calendar
import fcntl
import io
import pathlib
import re
import sqlite3
import time
import zipfile

from clients import JOBS
from stack import wait_until
from test_kills import written

# A job is lost for a reason, which the diary has to know.
ATTEMPTS = 3
REASONS = {
    "disk": (1, ("disk full", "disk free")),
    "server": (1, ("disk full", "disk free", "lock", "unlock")),
    "engine": (1, ("kill engine",)),
    "interrupted": (ATTEMPTS, ("kill engine", "kill", "died", "reload")),
}
KLL_NOTE = re.compile(rb"\n\[kiisrv: [^\n]*\]\n\Z")


def promises(world, clients):
    """Each was kept: its end is the right one, and so are row, zip, image and log."""
    found = []
    rows = {**world.rows("queue/jobs"), **world.rows("engine/operator")}
    for promise in (p for client in clients for p in client.promises):
        row = rows.get(promise.job)
        wrong = wrong_end(world, promise, row)
        if not wrong and promise.seen != "lost":
            wrong = wrong_result(world, promise) or \
                (wrong_log(world, promise, row) if promise.orders else None)
        if wrong:
            found.append(f"{promise.what} {promise.name} ({promise.job}): {wrong}")
    return found


def wrong_end(world, promise, row):
    if promise.ended is None:
        return "was never seen to end"
    if promise.job and row is None:
        return "its row is gone"
    if row and row["state"] != promise.seen:
        return f"its state was {promise.seen} and is {row['state']}"
    if promise.seen == "lost":
        return wrong_loss(world, promise)
    if promise.seen != promise.state or (row and row["outcome"] != promise.outcome):
        return f"should be {promise.state}/{promise.outcome}, is {promise.seen}/" \
            f"{row and row['outcome']}: {row and row['error']}"
    return None


def wrong_loss(world, promise):
    least, causes = REASONS.get(promise.seen_outcome, (1, ()))
    seen = world.diary.count(promise.made, promise.ended, *causes)
    return None if seen >= least else f"was lost ({promise.seen_outcome}) with {seen} of {causes}"


def wrong_result(world, promise):
    if "image" in promise.more:
        return wrong_image(world, promise)
    if not promise.filename:
        return None
    reply = world.stack.get("/" + promise.filename[2:])
    if reply.status != 200:
        return f"{promise.filename}: {reply}"
    try:
        with zipfile.ZipFile(io.BytesIO(reply.body)) as z:
            if z.testzip() is not None:
                return f"{promise.filename} is damaged"
            files = {name: z.read(name) for name in z.namelist()}
    except zipfile.BadZipFile as e:
        return f"{promise.filename}: {e}"
    name = promise.filename.rsplit("/", 1)[1]
    if promise.state == "succeeded":
        wanted = f"firmware for {name}\n".encode()
        return None if files.get("kiibohd.dfu.bin") == wanted else f"{name} has {files}"
    return None if b"script" in files.get("log/build.log", b"") else f"{name} has {files}"


def wrong_image(world, promise):
    reply = world.ask_images(f"/images/{promise.more['image']}/json")
    if reply.status != 200:
        return f"its image: {reply}"
    if promise.what == "image" and f"WHO={promise.name}" not in reply.json["Config"]["Env"]:
        return f"its image is another: {reply.json['Config']}"
    return None


def wrong_log(world, promise, row):
    if promise.what == "image":
        reply = world.anna.get(f"{JOBS}/{promise.job}/log")
    else:
        reply = world.stack.get(f"/logs/{promise.job}.log")
    if reply.status != 200:
        return f"its log: {reply}"
    if promise.what == "image":
        return wrong_ticks(promise, reply.body)
    log = KLL_NOTE.sub(b"", reply.body)
    try:
        said = written(log, *(o for o in promise.orders if re.match("say|log|tick", o)))
    except TypeError:
        return f"its log begins with {log[:200]!r}"
    if log == said:
        return None
    # A Docker that dies takes with it what it had not logged of a container that lives on.
    if world.engine.name == "docker" and \
            world.diary.count(promise.made, promise.ended, "kill engine"):
        lines = log.splitlines()
        rest = iter(said.splitlines())
        if all(line in rest for line in lines[:-1]):
            return None
    return f"its log ({row['attempts']} attempts), at {difference(log, said)}"


def difference(log, said):
    n = next((n for n, (a, b) in enumerate(zip(log, said)) if a != b), min(len(log), len(said)))
    return f"byte {n} of {len(log)} (not {len(said)}): {log[n:n + 150]!r}, not {said[n:n + 150]!r}"


def wrong_ticks(promise, log):
    """The engine says more of a build than its steps do; of these each line is there once."""
    n = int(promise.orders[0].split()[1])
    ticks = re.findall(rb"^tick (\d+)$", log, re.M)
    ends = re.findall(rb"^after$", log, re.M)
    if ticks != [b"%d" % i for i in range(1, n + 1)] or len(ends) != 1:
        return f"its log: {log!r}"
    return None


def once(world):
    """Nothing lives on, and what is remembered was built once."""
    found, keys = [], {}
    for name in ("queue/jobs", "engine/operator"):
        for row in world.rows(name).values():
            if row["state"] in ("queued", "running"):
                found.append(f"{name}: {row['id']} is {row['state']} still")
            if row["kind"] == "firmware" and row["outcome"] in ("built", "build_failed"):
                keys.setdefault(row["key"], []).append(row["id"])
    return found + [f"built more than once: {ids}" for ids in keys.values() if len(ids) > 1]


def engine(world, clients):
    """Of containers, volumes and images there is what there was, and what was promised."""
    found = []
    # A job that was interrupted for the third time may have made its image just before.
    wanted = {p.more["image"] for c in clients for p in c.promises if "image" in p.more}

    def quiet(what, left, seconds=40):
        try:
            wait_until(lambda: not left(), seconds, 0.5)
        except AssertionError:
            found.append(f"{what} were left: {left()}")
    quiet("containers", lambda: [(c["Id"][:12], c["State"], c["Command"], c["Created"])
                                 for c in world.engine.all_containers()])
    if world.engine.name == "podman":
        # The worker looks each minute.
        quiet("working containers", lambda: [(c["Names"], c["Created"])
                                             for c in world.engine.working()], 90)
    quiet("volumes", lambda: world.engine.volumes() - world.stack.volumes - {world.stack.mirror()})
    world.stack.ctl("gc")
    # The worker looks each ten seconds, and where something could not be done a minute later.
    quiet("nameless images", lambda: nameless(world), 90)
    tags = world.tags()
    if tags - world.images - wanted:
        found.append(f"images were left: {tags - world.images - wanted}")
    return found


def nameless(world):
    """Images without a name, and whether the worker knows them and what they were made of."""
    found = []
    notes = world.stack.state / "engine/layers"
    notes = notes.read_text() if notes.exists() else ""
    for image in world.ask_images("/images/json").json:
        if image["Id"] in world.ids or world.names(image):
            continue
        reply = world.ask_images(f"/images/{image['Id']}/json")
        if reply.status == 404:
            continue   # it has just gone
        made = seconds_of(reply.json["Created"]) - world.diary.wall
        found.append({"id": image["Id"], "made": f"{made:.2f}", "config": reply.json.get("Config"),
                      "noted": [id[7:18] in notes for id in (image["Id"], reply.json.get("Parent"))
                                if id]})
    return found


def seconds_of(stamp):
    """2026-11-29T13:32:12.338480283Z"""
    whole, _, part = stamp.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{part or 0}")


def files(world, clients):
    """Each file belongs to a row; nothing is half-made."""
    found = []
    state = world.stack.state
    jobs, operator = world.rows("queue/jobs"), world.rows("engine/operator")
    zips = {row["artifact"] for row in jobs.values() if row["artifact"]}
    names = {file.name for file in (state / "artifacts").iterdir()}
    if names != zips:
        found.append(f"artifacts/: without a row {names - zips}, without a file {zips - names}")
    for folder, rows in (("logs", jobs), ("operator-logs", operator)):
        strange = [f.name for f in (state / folder).iterdir()
                   if not re.fullmatch(r"[0-9a-f]{32}(\.[12])?\.log", f.name) or
                   f.name[:32] not in rows]
        if strange:
            found.append(f"{folder}/: {strange}")
    found += [f"left: {file}" for file in (state / "engine/work").iterdir()]
    uploads = state / "engine/uploads"
    strange = [f.name for f in uploads.iterdir() if not re.fullmatch(r"[0-9a-f]{32}", f.name)] \
        if uploads.exists() else []
    found += [f"left: {uploads}/{name}" for name in strange]
    found += [f"left: {f}" for f in state.rglob("*") if f.name.endswith(("-journal", ".new", "~"))
              or (f.parent.name == "engine" and f.name.startswith(("broken.", "layers.")))]
    # nginx's own.
    run = [f for f in world.stack.run.rglob("*") if f.is_file() and "nginx-cache" not in f.parts]
    return found + [f"left: {file}" for file in run]


def ended(state):
    """When all has been stopped: no damage, no lock."""
    found = []
    for name in ("queue/jobs", "queue/config", "engine/operator", "public/stats"):
        with sqlite3.connect(f"file:{state}/{name}.sqlite?mode=ro", uri=True) as db:
            said = db.execute("PRAGMA integrity_check").fetchone()[0]
            if said != "ok":
                found.append(f"{name}: {said}")
    with open(state / "engine/lock", "rb") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            found.append("the state folder is locked still")
    return found


def processes(world):
    """None is left that was started for this world."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        for path in (world.stack.root, world.engine.dir):
            if f"{path}/".encode() in text:
                found.append(f"process {folder.name}: {text[:200]!r}")
    return found
