# SPDX-License-Identifier: MIT
"""Rows of kll.md, section 11, through nginx: bad input is a 400 that names its field, starts nothing
and harms nobody."""

import copy
import json

import pytest

from client import check_error


def put(path, value):
    """Set the member at config.<path>; an int is an index."""
    def change(config):
        *way, last = path
        for step in way:
            config = config[step]
        config[last] = value
    return change


def drop(*path):
    def change(config):
        *way, last = path
        for step in way:
            config = config[step]
        del config[last]
    return change


def header(name, value):
    return put(("header", name), value)


def key(value):
    return put(("matrix", 0, "layers", "0"), {"key": value})


ROWS = [
    ("no header", drop("header"), "config.header"),
    ("no name", drop("header", "Name"), "config.header.Name"),
    ("a number as KLL", header("KLL", 0.5), "config.header.KLL"),
    ("null as author", header("Author", None), "config.header.Author"),
    ("no matrix", drop("matrix"), "config.matrix"),
    ("no code", drop("matrix", 3, "code"), "config.matrix[3].code"),
    ("layers as list", put(("matrix", 0, "layers"), []), "config.matrix[0].layers"),
    ("a key that is none", put(("matrix", 3, "layers", "0"), {"label": "x"}),
     "config.matrix[3].layers.0.key"),
    ("unknown board", header("Name", "Nope"), "config.header.Name"),
    ("a board in the wrong case", header("Name", "md1"), "config.header"),
    ("no base", header("Base", ""), "config.header.Base"),
    ("a base elsewhere", header("Base", "../../etc/passwd"), "config.header.Base"),
    ("no layout", header("Layout", ""), "config.header.Layout"),
    ("a path as layout", header("Layout", "../x"), "config.header.Layout"),
    ("two maps as layout", header("Layout", "a;b"), "config.header.Layout"),
    ("a dot before the layout", header("Layout", ".x"), "config.header.Layout"),
    ("a dash before the layout", header("Layout", "-x"), "config.header.Layout"),
    ("a long layout", header("Layout", "x" * 65), "config.header.Layout"),
    ("an unknown variant", header("Variant", "alphabet2"), "config.header.Variant"),
    ("a quote in a header", header("Author", 'a";b'), "config.header.Author"),
    ("a line break in a header", header("Date", "a\nb"), "config.header.Date"),
    ("a control character", header("Generator", "a\x01b"), "config.header.Generator"),
    ("another code", put(("matrix", 5, "code"), "0x99"), "config.matrix[5].code"),
    ("a layer that is no number", put(("matrix", 0, "layers"), {"a": {"key": "A"}}),
     "config.matrix[0].layers"),
    ("a negative layer", put(("matrix", 0, "layers"), {"-1": {"key": "A"}}),
     "config.matrix[0].layers"),
    ("a layer with a zero before it", put(("matrix", 0, "layers"), {"01": {"key": "A"}}),
     "config.matrix[0].layers"),
    ("an empty layer", put(("matrix", 0, "layers"), {"": {"key": "A"}}), "config.matrix[0].layers"),
    ("a huge layer", put(("matrix", 0, "layers"), {"18446744073709551615": {"key": "A"}}),
     "config.matrix[0].layers"),
    ("layer 17", put(("matrix", 0, "layers"), {"17": {"key": "A"}}), "config.matrix[0].layers"),
    ("an empty matrix", put(("matrix",), []), "config.matrix"),
    ("custom of layer 17", put(("custom",), {"17": "x"}), "config.custom"),
    ("custom of no number", put(("custom",), {"x": "x"}), "config.custom"),
    ("a quote in a key", key('A"B'), "config.matrix[0].layers.0.key"),
    ("a line break in a key", key("A\nB"), "config.matrix[0].layers.0.key"),
    ("an empty key", key(""), "config.matrix[0].layers.0.key"),
    ("an empty CONS", key("CONS:"), "config.matrix[0].layers.0.key"),
    ("an empty raw key", key("#:"), "config.matrix[0].layers.0.key"),
    ("a define without name", put(("defines",), [{"name": "", "value": "1"}]),
     "config.defines[0].name"),
    ("a define with a quote", put(("defines",), [{"name": "a", "value": '"'}]),
     "config.defines[0].value"),
    ("a define's name of words", put(("defines",), [{"name": "a b", "value": "1"}]),
     "config.defines[0].name"),
    ("an animation's name", put(("animations",), {"a-b": {"settings": "", "frames": []}}),
     "config.animations.a-b"),
    ("triggers of the wrong type", put(("matrix", 0, "triggers"), {"0": {"action": 1}}),
     "config.matrix[0].triggers.0"),
]


@pytest.fixture(scope="module")
def md1(stack):
    return stack.layout("MD1-Standard")


@pytest.mark.parametrize("name, change, field", ROWS, ids=[row[0] for row in ROWS])
def test_a_row(stack, md1, name, change, field):
    config = copy.deepcopy(md1)
    change(config)
    before = len(stack.jobs("id"))
    told = check_error(stack.build(config), 400)
    assert told["field"].startswith(field), told
    assert told["error"].startswith(told["field"]), told
    assert len(stack.jobs("id")) == before


def nest(depth):
    return b'{"env":"latest","config":' + b"[" * depth + b"]" * depth + b"}"


BODIES = {
    "nothing": b"",
    "no JSON": b"env=latest",
    "a list": b"[]",
    "half of it": b'{"env": "latest", "config": {',
    "something after it": b'{"env": "latest", "config": {}} x',
    "env twice": b'{"env": "latest", "env": "lts", "config": {}}',
    "env as a number": b'{"env": 1, "config": {}}',
    "no config": b'{"env": "latest"}',
    "no env": b'{"config": {}}',
    "config as text": b'{"env": "latest", "config": "{}"}',
    "broken UTF-8": b'{"env": "\xff\xfe", "config": {}}',
    "half a surrogate": b'{"env": "\\ud800", "config": {}}',
    "a NUL": b'{"env": "la\\u0000test", "config": {}}',
    "deep": nest(100000),
    "wide": b'{"env":"latest","config":[' + b"{}," * 600000 + b"{}]}",
    "a huge number": b'{"env": "latest", "config": 1' + b"0" * 100000 + b"}",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_body(stack, body):
    check_error(stack.post(body), 400)
    assert stack.answers()


def memory(stack, name):
    """The most that any process of an executable has had in memory, in MiB."""
    import os
    import pathlib
    leader = stack.processes[name].pid
    most = 0
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            if os.getpgid(int(status.parent.name)) != leader:
                continue
            for line in status.read_text().splitlines():
                if line.startswith("VmHWM:"):
                    most = max(most, int(line.split()[1]) // 1024)
        except (OSError, ProcessLookupError):
            continue
    assert most > 0
    return most


def test_extra_keys_beyond_the_base(stack, md1):
    config = copy.deepcopy(md1)
    last = len(config["matrix"])
    config["matrix"].append({"code": "0x7F", "layers": {"0": {"key": "A"}}})
    told = check_error(stack.build(config), 400)
    assert told["field"].startswith(f"config.matrix[{last}]"), told


def test_a_split_board_takes_no_dash_in_its_layout(stack):
    config = stack.layout("MDErgo1-Default")
    config["header"]["Layout"] = "My-Map"
    check_error(stack.build(config), 400, field="config.header.Layout")


def test_a_duplicate_member_deep_inside(stack, md1):
    text = json.dumps({"env": "latest", "config": md1}).replace(
        '"code":', '"code": "0x01", "code":', 1)
    check_error(stack.post(text.encode()), 400)


def test_raw_kll_that_breaks_out_is_a_failed_build(stack, md1):
    """Arbitrary KLL is allowed by design: the container is the wall."""
    config = copy.deepcopy(md1)
    config["custom"] = {"0": 'Name = "x"; cp /etc/passwd /mnt/builds; $(id) `id`;\nU"A" : ;'}
    reply = stack.build(config)
    assert reply.status == 200 and reply.json["success"] is False, reply
