#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Check KLL as the real compiler does and turn it into the tables of the stand-in's firmware.

compile.py --board NAME --layout NAME --release N --search DIR... --out DIR LAYER...

A LAYER is the names of its maps with spaces between; they are looked up in the --search folders.
Refused, with file and line: a missing map, a missing `;`, unknown keys, functions, animations,
wrong numbers of arguments (so v0.5.0's ledControl, which takes two, refuses the reference's three).
Ignored, as the real one ignores it: plain text between statements.
"""
import argparse
import json
import os
import re
import sys
import zlib

import hid

# The controller's functions and how many arguments each takes.
FUNCTIONS = {
    "flashMode": 0, "toggleKbdProtocol": 0, "kbdProtocolBoot": 0, "kbdProtocolNKRO": 0,
    "layerShift": 1, "layerLatch": 1, "layerLock": 1, "animation_control": 1, "gamma": 1,
    "storage_control": 1, "fade_layer_highlight": 1, "ledControl": 2, "ledTest": 2, "rotate": 2,
    "fade_control": 3, "fade_set": 3,
}
HEADER = {"Name", "Variant", "Layout", "Base", "Version", "Author", "KLL", "Date", "Generator"}
LIST = re.compile(r"""(?:"[^"]*"|\([^()]*\)|\[[^][]*\]|[^"()\[\],+])+""")
KEY = re.compile(r'^(U|CONS|SYS)"([^"]*)"(\(.*\))?$', re.S)
SCAN = re.compile(r'^S(0x[0-9A-Fa-f]+|\d+|\[[^]]+\])(\(.*\))?$')
CALL = re.compile(r"^([A-Za-z_]\w*)\s*\(([^()]*)\)$", re.S)
ANIMATION = re.compile(r"^A\[(\w+)\]\(([^()]*)\)$", re.S)
FRAME = re.compile(r"^[PS]\s*(?:\[[^]]+\]|\d+|0x[0-9A-Fa-f]+)\s*\(\s*\w+(\s*,\s*\w+)*\s*\)$")
SETTING = re.compile(r"^[a-z]+(:\w+)?$")


class Bad(Exception):
    """What the log says of a mistake, in one line."""

    def __init__(self, text):
        super().__init__(" ".join(text.split()))


def statements(text):
    """(line, statement) of a file; comments and text that is no statement are left out."""
    line, start, out, quoted, comment = 1, 1, "", False, False
    for char in text:
        if char == "\n":
            if quoted:
                raise Bad("%d: a string runs over the end of its line" % line)
            line, comment = line + 1, False
        if comment:
            continue
        if char == "#" and not quoted:
            comment = True
            continue
        if char == '"':
            quoted = not quoted
        if char == ";" and not quoted:
            yield start, without_chatter(out)
            out = ""
            continue
        if not out.strip():
            start = line
        out += char
    if re.search(r'["=:]', out):
        raise Bad("%d: missing ; after %s" % (start, out.strip()[:60]))


def without_chatter(text):
    lines = text.strip().split("\n")
    while len(lines) > 1 and not re.search(r'["=:\[(,]', lines[0]):
        lines.pop(0)
    return "\n".join(lines).strip()


def operator(text):
    """Split at the operator that lies outside strings, brackets and calls."""
    depth, quoted = 0, False
    for i, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif not quoted and char in "([":
            depth += 1
        elif not quoted and char in ")]":
            depth -= 1
        elif not quoted and depth == 0:
            found = re.match(r"<=|=>|=|i?::|i?:[+-]?", text[i:])
            if found:
                return text[:i].strip(), found.group(), text[i + found.end():].strip()
    raise Bad("no statement: %s" % text[:60])


def split(text):
    """The parts between the commas and pluses that lie outside strings, brackets and calls."""
    parts = [part.strip() for part in LIST.findall(text)]
    if not parts or not all(parts) or len(LIST.sub("", text)) != len(parts) - 1:
        raise Bad("syntax error in %s" % (text[:60] or "an empty side"))
    return parts


class Compiler:
    def __init__(self):
        self.functions = dict(FUNCTIONS)
        self.defines = {}
        self.animations = {}
        self.used = []
        self.maps = []
        self.calls = {}

    def key(self, page, name):
        code = hid.usage(page, name)
        if code is None:
            raise Bad('unknown key %s"%s"' % (page, name))
        return code

    def trigger(self, text):
        key = KEY.match(text)
        if key:
            page, code = self.key(key.group(1), key.group(2))
            return page << 16 | code
        if SCAN.match(text) or re.match(r"^(T\[[\d,]+\]|Layer\w*\[\d+\]|I\"\w+\")(\(\w*\))?$", text):
            return 0x80000000 | zlib.crc32(text.encode()) >> 1
        raise Bad("no trigger: %s" % text[:60])

    def result(self, text):
        key = KEY.match(text)
        if key:
            page, code = self.key(key.group(1), key.group(2))
            return page << 16 | code
        animation = ANIMATION.match(text)
        if animation:
            self.used.append(animation.group(1))
            return self.call("A", text)
        if re.match(r"^Layer\w*\[\d+\]$", text):
            return self.call("Layer", text)
        function = CALL.match(text)
        if not function:
            raise Bad("no result: %s" % text[:60])
        name, arguments = function.groups()
        count = len(arguments.split(",")) if arguments.strip() else 0
        if name not in self.functions:
            raise Bad("unknown function %s" % name)
        if count != self.functions[name]:
            raise Bad("%s takes %d arguments, not %d" % (name, self.functions[name], count))
        return self.call(name, text)

    def call(self, name, text):
        return 0xFF0000 | self.calls.setdefault((name, " ".join(text.split())), len(self.calls))

    def items(self, text, what):
        return [what(part) for part in split(text)]

    def assign(self, left, value):
        if not re.match(r"^[A-Za-z_]\w*(\[\d+\])?$", left):
            raise Bad("no name: %s" % left[:60])
        if not re.match(r'^("[^"]*"|-?\w+)$', value):
            raise Bad("no value: %s" % value[:60])
        if left not in HEADER:
            self.defines[left] = value

    def define(self, left, value):
        function = CALL.match(value)
        if not re.match(r"^\w+$", left) or not (function or re.match(r"^\w+$", value)):
            raise Bad("syntax error in %s" % left[:60])
        if function:
            arguments = function.group(2)
            self.functions[left] = len(arguments.split(",")) if arguments.strip() else 0

    def animate(self, left, value):
        name = re.match(r"^A\[(\w+)\s*(?:,\s*([\d\s,-]+))?\]$", left)
        if not name:
            raise Bad("no animation: %s" % left[:60])
        frames = self.animations.setdefault(name.group(1), {})
        for part in split(value):
            if not (FRAME if name.group(2) else SETTING).match(part):
                raise Bad("animation %s: %s" % (name.group(1), part.strip()[:60]))
        frames[name.group(2) or "settings"] = " ".join(value.split())

    def statement(self, layer, text):
        if text.count("(") != text.count(")"):
            # The reference's own Kira layout has such a line.
            print("ignored, a bracket is missing: %s" % " ".join(text.split())[:80])
            return
        left, sign, right = operator(text)
        if sign == "=":
            self.assign(left, right)
        elif sign == "=>":
            self.define(left, right)
        elif sign == "<=":
            self.animate(left, right)
        else:
            self.maps.append((layer, self.items(left, self.trigger),
                              self.items(right, self.result)))

    def file(self, layer, path):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        try:
            for line, statement in statements(text):
                try:
                    if statement:
                        self.statement(layer, statement)
                except Bad as bad:
                    raise Bad("%d: %s" % (line, bad)) from bad
        except Bad as bad:
            raise Bad("%s:%s" % (os.path.basename(path), bad)) from bad


def find(name, folders):
    for folder in folders:
        path = os.path.join(folder, name + ".kll")
        if os.path.isfile(path):
            return path
    raise Bad("no map %s" % name)


def array(kind, name, values):
    return "static const %s %s[] = {\n%s};\n" % (
        kind, name, "".join("\t%s,\n" % v for v in values) or "\t0\n")


def tables(made):
    """The generated C: every map as a line of its layer, triggers first, a zero after each side."""
    words = []
    for layer, triggers, results in made.maps:
        words += ["%#x" % w for w in [layer + 1] + triggers + [0] + results + [0]]
    names = ['"%s"' % text.replace("\\", "\\\\").replace('"', '\\"') for _, text in made.calls]
    frames = ['"%s"' % frame.replace("\\", "\\\\").replace('"', '\\"')
              for animation in made.animations.values() for frame in animation.values()]
    return ("/* made from the keymap */\n" + array("uint32_t", "keymap", words)
            + array("char *const", "calls", names) + array("char *const", "frames", frames))


def write(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        f.write(text)


def main():
    parser = argparse.ArgumentParser()
    for option in ("board", "layout", "release", "out"):
        parser.add_argument("--" + option, required=True)
    parser.add_argument("--search", action="append", required=True)
    parser.add_argument("layers", nargs="+")
    args = parser.parse_args()
    made = Compiler()
    try:
        for layer, names in enumerate(args.layers):
            for name in names.split():
                path = find(name, args.search)
                print("layer %d: %s" % (layer, os.path.basename(path)))
                made.file(layer, path)
        for name in made.used:
            if name not in made.animations:
                raise Bad("unknown animation %s" % name)
    except Bad as bad:
        print("error: %s" % bad)
        return 1
    defines = "".join("#define %s %s\n" % (re.sub(r"\[(\d+)\]", r"_\1", name), value)
                      for name, value in made.defines.items())
    write(args.out, "generatedKeymap.h", tables(made))
    write(args.out, "kll_defs.h", "#define Layers_KLL %d\n%s" % (len(args.layers), defines))
    write(args.out, "usb_hid.h", "".join(
        "#define HID_%s_%s %#x\n" % (page, re.sub(r"\W", lambda m: "x%X" % ord(m.group()), name),
                                     code)
        for page, (_, names) in hid.PAGES.items() for name, code in sorted(names.items())))
    write(args.out, "buildvars.h", '#define BOARD "%s"\n#define LAYOUT "%s"\n#define RELEASE "%s"\n'
          % (args.board, args.layout, args.release))
    write(args.out, "kll.json", json.dumps(
        {"Layers": len(args.layers), "Maps": len(made.maps), "Defines": made.defines,
         "Animations": made.animations}, indent=1, sort_keys=True) + "\n")
    print("%d maps, %d animations, 0 ERRORs" % (len(made.maps), len(made.animations)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
