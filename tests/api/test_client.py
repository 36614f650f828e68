# SPDX-License-Identifier: MIT
"""The configurator's own sequence: layout, POST download.php, the file name that it parses, the zip,
the files that it reads from it."""

import concurrent.futures
import copy
import io
import json
import threading
import time
import zipfile

import pytest

from client import check_error

BOARDS = {
    "MD1-Standard": "MD1",
    "MD1.1-Standard": "MD1.1",
    "MDErgo1-Default": "MDErgo1",
    "WhiteFox-TheTrueFox": "WhiteFox",
    "KType-Standard": "KType",
    "Kira-Standard": "Kira",
    "GeminiDuskDawn-Standard": "GeminiDuskDawn",
}


def files(reply):
    """The zip's files by name; what is broken in it raises."""
    with zipfile.ZipFile(io.BytesIO(reply.body)) as z:
        assert z.testzip() is None
        return {name: z.read(name) for name in z.namelist()}


def fresh(config, author):
    """A configuration that nobody has built before."""
    config = copy.deepcopy(config)
    config["header"]["Author"] = author
    return config


def first_key(config):
    return next(key for key in config["matrix"] if key["layers"].get("0"))


def broken(config, author):
    """KLL that the compiler refuses: a function that there is not."""
    config = fresh(config, author)
    first_key(config)["layers"]["0"]["key"] = "#:noSuchFunctionAtAll()"
    return config


@pytest.mark.parametrize("layout", BOARDS)
def test_a_layout_becomes_a_firmware(stack, layout):
    config = stack.layout(layout)
    match, reply = stack.built(config)
    assert match[1] == BOARDS[layout] and not match[4], match
    found = files(reply)
    if match[1] == "MDErgo1":
        wanted = ["left_kiibohd.dfu.bin", "right_kiibohd.dfu.bin"]
    else:
        wanted = ["kiibohd.dfu.bin"]
    for name in wanted:
        assert len(found[name]) > 256, name
    assert found["log/build.log"].strip()
    header = config["header"]
    name = f"{header['Name']}-{header['Layout']}".replace(" ", "_")
    assert f"{name}-0.kll" in found
    # The client loads this one as the recent layout.
    stored = json.loads(found[f"{name}.json"])
    assert stored["matrix"] == config["matrix"] and stored["header"] == header


@pytest.mark.parametrize("layout", BOARDS)
def test_a_failed_build_is_an_answer_with_its_log(stack, layout):
    config = broken(stack.layout(layout), "failure")
    match, reply = stack.built(config, success=False)
    assert match[1] == BOARDS[layout] and match[4] == "_error", match
    found = files(reply)
    assert found["log/build.log"].strip()
    assert not [name for name in found if name.endswith(".dfu.bin")]
    # Remembered: the same answer at once, from no new job.
    jobs = len(stack.jobs("id"))
    again = stack.build(config)
    assert again.json == {"success": False, "filename": match[0] + ".zip"}
    assert len(stack.jobs("id")) == jobs


@pytest.mark.parametrize("layout", ["MD1-Standard", "WhiteFox-Aria", "KType-Standard"])
def test_lts_builds_the_old_release(stack, layout):
    config = stack.layout(layout)
    match, reply = stack.built(config, env="lts")
    assert len(files(reply)["kiibohd.dfu.bin"]) > 256
    latest, _ = stack.built(config)
    assert latest[3] != match[3], "two releases share a name"


def test_another_key_makes_another_firmware(stack):
    config = stack.layout("MD1-Standard")
    one = files(stack.built(config)[1])
    first_key(config)["layers"]["0"]["key"] = "F12"
    two = files(stack.built(config)[1])
    assert one["kiibohd.dfu.bin"] != two["kiibohd.dfu.bin"]


def test_equal_requests_share_one_build(stack):
    config = fresh(stack.layout("MD1-Standard"), "equal requests")
    plain = stack.post({"env": "latest", "config": config})
    spaced = stack.post(json.dumps({"config": dict(reversed(config.items())), "env": "latest"},
                                   indent=3).encode())
    root = stack.post({"env": "latest", "config": config}, path="/")
    assert plain.json == spaced.json == root.json
    assert plain.json["success"] is True
    assert plain.headers["X-Kiisrv-Job"] == spaced.headers["X-Kiisrv-Job"]


def test_a_hundred_clients_cause_one_container(stack):
    config = fresh(stack.layout("MD1-Standard"), "a hundred")
    before = {row["id"] for row in stack.jobs("id")}
    gate = threading.Barrier(100)

    def client(_):
        gate.wait(60)
        return stack.build(config)
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        replies = list(pool.map(client, range(100)))
    assert {r.status for r in replies} == {200}, [r for r in replies if r.status != 200][:3]
    assert len({r.body for r in replies}) == 1
    assert len({r.headers["X-Kiisrv-Job"] for r in replies}) == 1
    made = [row for row in stack.jobs("id, attempts, state") if row["id"] not in before]
    assert [(row["attempts"], row["state"]) for row in made] == [(1, "succeeded")]
    assert made_containers(stack, made[0]["id"]) == 1


def made_containers(stack, job):
    """How many the engine itself says were made for a job."""
    reply = stack.engine.ask("GET", "/events", since="1", until=str(int(time.time()) + 1),
                             filters={"type": ["container"], "event": ["create"]})
    assert reply.status == 200, reply
    names = set()
    for line in reply.body.decode().splitlines():
        actor = json.loads(line)["Actor"]
        if job in actor["Attributes"].get("name", ""):
            names.add(actor["ID"])
    return len(names)


def test_macros_do_not_come_back(stack):
    config = fresh(stack.layout("MD1-Standard"), "macros")
    config["macros"] = {"0": []}
    _, reply = stack.built(config)
    stored = json.loads(files(reply)["MD1-Standard.json"])
    assert "macros" not in stored


def test_an_unknown_env_is_told_the_known_ones(stack):
    reply = stack.build(stack.layout("MD1-Standard"), env="v9")
    told = check_error(reply, 400, field="env")
    assert "latest" in told["error"] and "lts" in told["error"]


def test_a_release_without_its_image_is_unavailable(stack):
    check_error(stack.build(stack.layout("MD1-Standard"), env="v0.5.5"), 503, "image_missing")
