#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The stand-in's KLL compiler, as TAP: what it takes, what it refuses, and with which words."""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SRC = os.path.abspath(os.environ.get("KII_SRCDIR", os.path.join(HERE, "../..")))
KLL = os.path.join(SRC, "tests/images/controller/kll")
GOLDEN = os.path.join(SRC, os.environ.get("KIISRV_SHARED", "../shared"), "data/golden/latest")
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
GOOD = {
    "keys, consumer keys and system keys": 'U"A" : CONS"SCAN NEXT TRACK";\nU"ESC" : SYS"SLEEP";',
    "punctuation and a lone backslash": 'U";" : U"\\";\nU"\\" : U"[";\nU"P+" : U"P.";',
    "functions with as many arguments as they take": 'U"A" : ledControl( 3, 0 );',
    "chords and lists of results": 'U"A" + U"B" : U"C" + U"D", flashMode();',
    "scan codes, ranges, rotations and layers as triggers":
        'S[0x00-0x70] :+ A[a](start);\nT[21,0](3) : A[a](single, pos:1);\nLayer[1] : gamma(2);\n'
        'A[a] <= start, framedelay:3;\nA[a, 1] <= P[c:-24%](0,0,255),\nP[1-3,5] (1, 0xC1, 2);',
    "defines and functions of one's own":
        'Name = "x y";\nspeed = 3;\nFade[1] = "{ .end = 4 }";\nmine => Mine_cap(a : 1);\n'
        'U"A" : mine( 1 );',
    "comments and plain text between statements": '# U"A"\nhello there\nU"A" : U"B"; # ;\nbye\n',
}
BAD = {
    "a missing ;": ('U"A" : U"B"\nU"C" : U"D";', "map.kll:1: no result"),
    "a missing ; at the end": ('U"A" : U"B";\nU"C" : U"D"', "map.kll:2: missing ;"),
    "an unknown key as result": ('\n\nU"A" : U"BOGUS";', 'map.kll:3: unknown key U"BOGUS"'),
    "an unknown key as trigger": ('U"BOGUS" : U"A";', 'unknown key U"BOGUS"'),
    "an empty key": ('U"" : U"A";', 'unknown key U""'),
    "an unknown function": ('U"A" : bogus( 1 );', "unknown function bogus"),
    "three arguments for ledControl":
        ('U"A" : ledControl( 3, 15, 0 );', "ledControl takes 2 arguments, not 3"),
    "an unknown animation": ('U"A" : A[bogus](start);', "unknown animation bogus"),
    "no result": ('U"A" : ;', "syntax error"),
    "no trigger": (': U"A";', "syntax error"),
    "a string without end": ('U"A : U"B";\n', "runs over the end"),
    "a define without a name": (' = "";', "no name"),
    "a frame that is none": ('A[a, 1] <= bogus;', "animation a: bogus"),
    "a setting that is none": ('A[a] <= P[1](2);', "animation a: P[1](2)"),
}
count = 0
failed = 0


def compiled(folder, layers):
    with tempfile.TemporaryDirectory() as out:
        run = subprocess.run(
            [sys.executable, os.path.join(KLL, "compile.py"), "--board", "b", "--layout", "l",
             "--release", "r", "--search", folder, "--search", os.path.join(KLL, "layouts"),
             "--out", out] + layers, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False)
        made = {}
        for name in sorted(os.listdir(out)):
            with open(os.path.join(out, name), encoding="utf-8") as f:
                made[name] = f.read()
    return run.returncode, run.stdout, made


def of_text(text):
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "map.kll"), "w", encoding="utf-8") as f:
            f.write(text)
        return compiled(folder, ["stdFuncMap map"])


def say(name, good, output=""):
    global count, failed
    count += 1
    failed += not good
    print("%sok %d - %s" % ("" if good else "not ", count, name))
    if not good:
        print("".join("# %s\n" % line for line in output.splitlines()), end="")


golden = sorted(os.listdir(GOLDEN)) if os.path.isdir(GOLDEN) else []
print("1..%d" % (len(GOOD) + len(BAD) + 4))
for name, text in GOOD.items():
    status, output, made = of_text(text)
    say("takes " + name, status == 0 and len(made) == 5, output)
for name, (text, words) in BAD.items():
    status, output, made = of_text(text)
    say("refuses " + name, status == 1 and words in output and not made, output)
status, output, made = compiled(KLL, ["stdFuncMap nowhere"])
say("refuses a missing map", status == 1 and "no map nowhere" in output, output)
say("gives the same for the same", of_text('U"A" : U"B";') == of_text('U"A" : U"B";'))
say("gives something else for something else",
    of_text('U"A" : U"B";')[2] != of_text('U"A" : U"C";')[2])
wrong = []
for name in golden:
    maps = sorted(n[:-4] for n in os.listdir(os.path.join(GOLDEN, name)))
    status, output, _ = compiled(os.path.join(GOLDEN, name), ["stdFuncMap " + m for m in maps])
    if status != 0:
        wrong.append(name + ": " + output)
if golden:
    say("takes every golden set", not wrong, "\n".join(wrong))
else:
    print("ok %d - takes every golden set # SKIP no shared data" % (count + 1))
sys.exit(bool(failed))
