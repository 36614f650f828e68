#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The committed layouts, as TAP: made from their tables, whole, and true to the shared facts."""
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SRC = os.path.abspath(os.environ.get("KII_SRCDIR", os.path.join(HERE, "../..")))
LAYOUTS = os.path.join(SRC, "layouts")
SHARED = os.path.join(SRC, os.environ.get("KIISRV_SHARED", "../shared"), "data/layouts")
HEADER = ["Name", "Variant", "Layout", "Base", "Version", "Author", "KLL", "Date", "Generator"]
VARIANTS = {
    "MD1": ("standard", "hacker"), "MD1.1": ("standard", "hacker", "alphabet"),
    "MDErgo1": ("standard",), "KType": ("standard",), "Kira": ("standard",),
    "GeminiDuskDawn": ("standard",),
    "WhiteFox": ("aria", "iso", "jackofalltrades", "truefox", "vanilla", "winkeyless"),
}
# What clients fetch by name, and the names that only links give.
CLIENT = """MDErgo1-Default MDErgo1-Blank MD1.1-Standard MD1.1-StandardBlank MD1.1-Hacker
MD1.1-HackerBlank MD1.1-Alphabet MD1.1-AlphabetBlank MD1-Standard MD1-StandardBlank MD1-Hacker
MD1-HackerBlank WhiteFox-TheTrueFox WhiteFox-Aria WhiteFox-Iso WhiteFox-Vanilla
WhiteFox-JackofAllTrades WhiteFox-Winkeyless KType-Standard KType-NoAnimations K-Type-Standard
K-Type-NoAnimations Kira-Standard GeminiDusk-Standard GeminiDawn-Standard""".split()
CAPABILITIES = {"flashMode", "layerShift", "ledControl", "ledTest", "animation_control", "rotate",
                "fade_control", "fade_set", "gamma", "storage_control", "toggleKbdProtocol",
                "kbdProtocolBoot", "kbdProtocolNKRO"}
# Two slips of the reference: an LED that lies on a key, under the code of no key. Ours are right.
SLIPS = {("KType", 38, "0x20"): "0x28", ("Kira", 50, "0xa8"): "0x38"}
count = 0
failed = 0


def say(name, findings, skip=""):
    global count, failed
    count += 1
    failed += bool(findings)
    print("%sok %d - %s%s" % ("not " * bool(findings), count, name, skip and " # SKIP " + skip))
    for finding in findings:
        print("# " + finding)


def names(folder):
    return sorted(n for n in os.listdir(folder) if n.endswith(".json"))


def raw(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def link_table():
    with open(os.path.join(LAYOUTS, "tables/links.tsv"), encoding="utf-8") as f:
        return dict(line.rstrip("\n").split("\t") for line in f.readlines()[1:])


def files():
    for name in names(LAYOUTS):
        if name not in LINKS:
            yield name, json.loads(raw(os.path.join(LAYOUTS, name)))


def is_link(name, target):
    """A checkout has the link, a release's tarball a copy of what it leads to."""
    path = os.path.join(LAYOUTS, name)
    if os.path.islink(path):
        return os.readlink(path) == target
    return not os.path.exists(os.path.join(SRC, ".git")) and os.path.isfile(path) \
        and raw(path) == raw(os.path.join(LAYOUTS, target))


def made_again():
    with tempfile.TemporaryDirectory() as tmp:
        subprocess.run([sys.executable, os.path.join(LAYOUTS, "make.py"), tmp], check=True)
        for name in sorted(set(names(tmp)) | set(names(LAYOUTS))):
            new, old = os.path.join(tmp, name), os.path.join(LAYOUTS, name)
            if not os.path.lexists(new) or not os.path.lexists(old):
                yield name + ": only one side has it"
            elif os.path.islink(new):
                if not is_link(name, os.readlink(new)):
                    yield "%s: not a link to %s" % (name, os.readlink(new))
            elif os.path.islink(old) or raw(new) != raw(old):
                yield name + ": differs from what make.py gives"


def links():
    for name, target in LINKS.items():
        if not is_link(name, target):
            yield "%s: not a link to %s" % (name, target)
        if "/" in target or target in LINKS or not os.path.isfile(os.path.join(LAYOUTS, target)):
            yield "%s: %s is no file beside it" % (name, target)


def headers():
    for name, doc in files():
        head = doc["header"]
        if list(head) != HEADER:
            yield name + ": header members " + ", ".join(head)
        if name != "%s-%s.json" % (head["Name"], head["Layout"]):
            yield name + ": the header says %s-%s" % (head["Name"], head["Layout"])
        if head["Variant"] not in VARIANTS.get(head["Name"], ()) + ("",):
            yield name + ": unknown variant " + head["Variant"]
        if not re.fullmatch(r"0\.\d+(\.\d+)*[abc]?", head["KLL"]):
            yield name + ": the KLL compiler refuses version " + head["KLL"]
        base = "%s-%s.json" % (head["Name"], head["Base"])
        if not os.path.isfile(os.path.join(LAYOUTS, base)):
            yield name + ": no base " + base


def bases():
    for name, doc in files():
        head = doc["header"]
        base = json.loads(raw(os.path.join(LAYOUTS, "%s-%s.json" % (head["Name"], head["Base"]))))
        if [k["code"] for k in doc["matrix"]] != [k["code"] for k in base["matrix"]]:
            yield name + ": codes differ from those of its base"
        for i, key in enumerate(doc["matrix"]):
            if "0" not in key["layers"]:
                yield "%s: matrix[%d] has no layer 0" % (name, i)
            for layer in key["layers"].values():
                if not layer["key"] or not layer["label"] or layer["key"] == "#:":
                    yield "%s: matrix[%d] has an empty key or label" % (name, i)


def lts_bases():
    for name in names(LAYOUTS):
        if re.fullmatch(r"WhiteFox-.*Base\.json", name):
            if not os.path.exists(os.path.join(LAYOUTS, name[:-5] + ".lts.json")):
                yield name + ": no .lts.json beside it"


def references():
    """Raw keys and custom KLL name only animations and rotations of their own file."""
    for name, doc in files():
        texts = [v["key"][2:] for k in doc["matrix"] for v in k["layers"].values()
                 if v["key"].startswith("#:")] + list(doc.get("custom", {}).values())
        text = "\n".join(texts)
        for animation in set(re.findall(r"A\[(\w+)", text)) - set(doc.get("animations", ())):
            yield "%s: no animation %s" % (name, animation)
        for turn in set(re.findall(r"rotate\((\d+)", text)) - set(re.findall(r"T\[21,(\d+)", text)):
            yield "%s: nothing turns with rotation %s" % (name, turn)
        for function in set(re.findall(r"\b([A-Za-z]\w*)\(", text)) - CAPABILITIES:
            yield "%s: no capability %s" % (name, function)
        for at, frames in re.findall(r"A\[(\w+)\]\(single, pos:(\d+)\)", text):
            if int(frames) >= len(doc["animations"][at]["frames"]):
                yield "%s: %s has no frame %s" % (name, at, frames)


def lights():
    for name, doc in files():
        ids = [led["id"] for led in doc.get("leds", ())]
        codes = {k["code"].lower() for k in doc["matrix"]}
        if ids != sorted(set(ids)):
            yield name + ": LED ids are not rising"
        if (doc["header"]["Name"] in ("KType", "Kira", "GeminiDuskDawn")) != bool(ids):
            yield name + ": LED positions"
        for led in doc.get("leds", ()):
            if led.get("scanCode", "").lower() not in codes | {""}:
                yield "%s: LED %d lies under no key" % (name, led["id"])


def keys(doc):
    places = ("code", "board", "x", "y", "w", "h")
    return [[k.get(p) for p in places] + [(n, v["key"]) for n, v in sorted(k["layers"].items())]
            for k in doc["matrix"]]


def their_leds(doc):
    board = doc["header"]["Name"]
    for led in doc.get("leds", []):
        right = SLIPS.get((board, led["id"], led.get("scanCode")))
        yield dict(led, scanCode=right) if right else led


def reference(name):
    """The reference's file, or the name that it links to (checkouts may hold links as text)."""
    path = os.path.join(SHARED, name)
    if os.path.islink(path):
        return os.readlink(path)
    text = raw(path)
    return json.loads(text) if text.startswith("{") else text.strip()


def facts():
    for name in names(SHARED):
        if name.startswith("Azio-"):
            continue
        path = os.path.join(LAYOUTS, name)
        theirs = reference(name)
        if not os.path.lexists(path):
            yield name + ": missing"
        elif isinstance(theirs, str):
            if not is_link(name, theirs):
                yield "%s: not a link to %s" % (name, theirs)
        else:
            ours = json.loads(raw(path))
            for i, (a, b) in enumerate(zip(keys(ours), keys(theirs))):
                if a != b:
                    yield "%s: matrix[%d] %s, not %s" % (name, i, a, b)
            if len(ours["matrix"]) != len(theirs["matrix"]):
                yield name + ": number of keys"
            if ours.get("leds", []) != list(their_leds(theirs)):
                yield name + ": LED positions"
            for field in set(HEADER) - {"Author", "Generator"}:
                if ours["header"][field] != theirs["header"].get(field, ""):
                    yield "%s: header.%s" % (name, field)
    for name in set(names(LAYOUTS)) - set(names(SHARED)):
        yield name + ": the reference has no such file"


LINKS = link_table()
print("1..9")
say("make.py gives the committed files and links", list(made_again()))
say("links lead to a file beside them", list(links()))
say("headers are whole and agree with the file's name", list(headers()))
say("every key has layer 0 and the code that its base has there", list(bases()))
say("every WhiteFox base has its lts base", list(lts_bases()))
say("raw keys and custom KLL refer to what exists", list(references()))
say("LED positions where the board has LEDs", list(lights()))
say("all names that clients fetch are there", [
    n for n in CLIENT if not os.path.isfile(os.path.join(LAYOUTS, n + ".json"))])
if os.path.isdir(SHARED):
    say("keys, places, LEDs, headers and links are the reference's", list(facts()))
else:
    say("keys, places, LEDs, headers and links are the reference's", [], "no shared data")
sys.exit(bool(failed))
