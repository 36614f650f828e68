#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Make the layout files from the tables: make.py [FOLDER] (default: where this script lies).

tables/layouts.tsv   one layout a line: its header, its table, which of the table's columns are
                     layers 0, 1, ..., its LED table, animations ("start NAME" runs at power-up)
                     and parts of custom KLL
tables/TABLE.tsv     one key a line, in the order of the matrix: scan code, place and size in
                     quarters of a key, then what the key gives, a column for each set of keys
tables/TABLE.leds.tsv, tables/labels.tsv, tables/links.tsv
The order and the scan codes of a matrix never change: saved keymaps name keys by position.
"""
import colorsys
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PLACES = ("board", "x", "y", "w", "h")
COLORS = ((255, 255, 255), (255, 0, 0), (255, 96, 0), (255, 224, 0),
          (0, 255, 0), (0, 160, 255), (160, 0, 255))
WAVE_FRAMES = 32
FADE_PROFILES = {2: 0, 3: 1, 4: 2, 5: 3}  # rotation -> keys, edge, lock lights, active layer
FADE_PERIODS = ((0, 0, 0, 0), (4, 2, 4, 0), (7, 5, 7, 0))


def table(name):
    """The rows of a table as dictionaries; short rows end in empty fields."""
    with open(os.path.join(HERE, "tables", name + ".tsv"), encoding="utf-8") as f:
        head, *rows = [line.rstrip("\n").split("\t") for line in f]
    return [dict(zip(head, row + [""] * (len(head) - len(row)))) for row in rows]


def number(text):
    return float(text) if "." in text else int(text)


def matrix(rows, columns, labels):
    keys = []
    for row in rows:
        key = {"code": row["code"]}
        key.update((p, int(row[p])) for p in PLACES if p in row)
        key["layers"] = {
            str(n): {"key": row[c], "label": labels.get(row[c], row[c])}
            for n, c in enumerate(columns) if row[c]}
        keys.append(key)
    return keys


def leds(rows):
    out = []
    for row in rows:
        led = {"id": int(row["id"]), "x": number(row["x"]), "y": number(row["y"])}
        if row["scanCode"]:
            led["scanCode"] = row["scanCode"]
        out.append(led)
    return out


def pixels(lights, under_keys):
    """The KLL list of the LEDs under keys, or of those along the edge: P[1-17,19]."""
    ids = sorted(led["id"] for led in lights if ("scanCode" in led) == under_keys)
    runs = []
    for i in ids:
        if runs and runs[-1][1] == i - 1:
            runs[-1][1] = i
        else:
            runs.append([i, i])
    return "P[%s]" % ",".join(str(a) if a == b else "%d-%d" % (a, b) for a, b in runs)


def color(rgb):
    return "(%d,%d,%d)" % tuple(rgb)


def wide(text):
    """One colour over the whole board: two columns, and what lies between is interpolated."""
    return "P[c:0%%]%s, P[c:100%%]%s" % (text, text)


def wave_frame(n):
    """Frame n of a rainbow that goes once around the colours in WAVE_FRAMES frames."""
    points = []
    for at in range(0, 101, 20):
        rgb = colorsys.hsv_to_rgb((at / 100 - n / WAVE_FRAMES) % 1, 1, 1)
        points.append("P[c:%d%%]%s" % (at, color(round(255 * c) for c in rgb)))
    return ", ".join(points)


def animation(name, lights):
    """(settings, frames) of an animation of ours."""
    if name == "all_on":        # boards with one colour
        return "pfunc:interp", [wide("(255)")]
    if name == "all_white":
        return "replace:clear, pfunc:interp", [wide(color(COLORS[0]))]
    if name == "rainbow_wave":
        return ("framedelay:3, framestretch, loop, replace:clear, pfunc:interp",
                [wave_frame(n) for n in range(WAVE_FRAMES)])
    if name == "test_animation":
        return ("framedelay:255, loop, replace:clear, pfunc:interp",
                [wide(color(c)) for c in ((255, 0, 0), (0, 255, 0), (0, 0, 255))])
    spot = pixels(lights, name.startswith("keys"))
    if name.endswith("_color_cycle"):
        return "framedelay:255, replace:clearactive, single", [spot + color(c) for c in COLORS]
    if name.endswith("_only"):
        return "framedelay:255, replace:clearactive", [spot + color(COLORS[0])]
    raise KeyError(name)


def animations(names, lights):
    out = {}
    for name in names:
        start, _, name = name.rpartition(" ")
        settings, frames = animation(name, lights)
        out[name] = {"settings": ", ".join(filter(None, (start, settings))), "frames": frames}
    return out


def rotations():
    """What the rotate() keys of layer 2 turn through: T[21,<rotation>](<position>)."""
    lines = []
    for which, name in enumerate(("keys_color_cycle", "under_color_cycle")):
        lines += ["T[21,%d](%d) : A[%s](single, pos:%d);" % (which, n, name, n)
                  for n in range(len(COLORS))]
    for which, profile in FADE_PROFILES.items():
        for n, periods in enumerate(FADE_PERIODS):
            steps = ["fade_set(%d, %d, %d)" % (profile, i, p) for i, p in enumerate(periods)]
            lines.append("T[21,%d](%d) : %s;" % (which, n, " + ".join(steps)))
    for n, name in enumerate(("rainbow_wave", "test_animation", "keys_only", "under_only")):
        lines.append("T[21,6](%d) : A[%s](start, replace:clear);" % (n, name))
    return "\n".join(lines) + "\n"


def chords():
    """Kira has no function key: two chords reach its layers."""
    return ('U"RCTRL" + U"RSHIFT" : layerShift( 1 );\n'
            'U"RCTRL" + U"RALT" : layerShift( 2 );\n')


CUSTOM = {"chords": ("0", chords), "rotations": ("2", rotations)}


def layout(row, labels):
    header = {k: row[k] for k in ("Name", "Variant", "Layout", "Base", "Version")}
    header.update(Author="kiisrv", KLL=row["KLL"], Date=row["Date"], Generator="kiisrv layouts")
    doc = {"header": header,
           "matrix": matrix(table(row["table"]), row["layers"].split(","), labels)}
    lights = leds(table(row["leds"] + ".leds")) if row["leds"] else []
    if lights:
        doc["leds"] = lights
        doc["custom"] = {}
    for part in sorted(filter(None, row["custom"].split(","))):
        layer, make = CUSTOM[part]
        doc["custom"][layer] = make()
    if lights or row["animations"]:
        doc["animations"] = animations(filter(None, row["animations"].split(",")), lights)
    return doc


def dump(value):
    return json.dumps(value, ensure_ascii=False)


def text(doc):
    """JSON with one key, LED or animation a line, so that a change shows as such."""
    parts = []
    for name, value in doc.items():
        if not value:
            parts.append("%s: %s" % (dump(name), dump(value)))
            continue
        if isinstance(value, list):
            items, edge = [dump(v) for v in value], "[]"
        else:
            items, edge = ["%s: %s" % (dump(k), dump(v)) for k, v in value.items()], "{}"
        parts.append("%s: %s\n%s\n%s" % (dump(name), edge[0], ",\n".join(items), edge[1]))
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main(folder):
    labels = {row["key"]: row["label"] for row in table("labels")}
    for row in table("layouts"):
        path = os.path.join(folder, row["file"] + ".json")
        with open(path, "w", encoding="utf-8", newline="\n") as f:
            f.write(text(layout(row, labels)))
    for row in table("links"):
        path = os.path.join(folder, row["link"])
        if os.path.lexists(path):
            os.unlink(path)
        os.symlink(row["target"], path)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else HERE)
