#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""kiisrvctl kll, as TAP: the shared golden files, and every layout against a second reading of the
rules that shares nothing with the C one."""
import json
import os
import subprocess
import sys
import tempfile

SRC = os.path.abspath(os.environ.get("KII_SRCDIR", os.path.join(os.path.dirname(__file__), "../..")))
CTL = os.path.join(os.environ.get("KII_BUILDDIR", SRC), "kiisrvctl")
SHARED = os.path.join(SRC, os.environ.get("KIISRV_SHARED", "../shared"), "data")
OURS = os.path.join(SRC, "layouts")
UPSTREAM = os.path.join(SHARED, "layouts")
GOLDEN = os.path.join(SHARED, "golden/latest")
FIELDS = "Name Variant Layout Base Version Author KLL Date Generator".split()
SCRIPTS = {
    "md1": "infinity", "md1.1": "infinity_led", "mdergo1": "ergodox", "whitefox": "whitefox",
    "ktype": "k-type", "k-type": "k-type", "kira": "kira", "geminiduskdawn": "geminiduskdawn",
    "geminidusk": "geminiduskdawn", "geminidawn": "geminiduskdawn",
}
count = 0
failed = 0


def say(name, findings, skip=""):
    global count, failed
    count += 1
    failed += bool(findings)
    print("%sok %d - %s%s" % ("not " * bool(findings), count, name, skip and " # SKIP " + skip))
    for finding in findings[:20]:
        print("# " + finding)


def read(folder, name):
    """A layout's text; a plain file that holds another's name is a link."""
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        text = file.read()
    return text if text.lstrip().startswith("{") else read(folder, text.strip())


def run(*args):
    """Exit status, lines of stdout, stderr, and the files that were written."""
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run([CTL, "kll", "--out", out] + list(args), capture_output=True)
        files = {}
        for name in sorted(os.listdir(out)):
            with open(os.path.join(out, name), "rb") as file:
                files[name] = file.read()
    return done.returncode, done.stdout.decode().splitlines(), done.stderr.decode(), files


def differences(want, got):
    found = ["only expected: " + n for n in want if n not in got]
    found += ["not expected: " + n for n in got if n not in want]
    for name in sorted(set(want) & set(got)):
        if want[name] != got[name]:
            at = next((i for i, (a, b) in enumerate(zip(want[name], got[name])) if a != b),
                      min(len(want[name]), len(got[name])))
            found.append("%s differs at byte %d: expected %r, is %r" % (
                name, at, want[name][at:at + 40], got[name][at:at + 40]))
    return found


# --- the second reading ---

def token(text):
    for prefix in ("CONS", "SYS"):
        if text.startswith(prefix + ":"):
            return '%s"%s"' % (prefix, text[len(prefix) + 1:])
    return 'U"%s"' % text


def line(trigger, value, lts, reference):
    if not value.startswith("#:"):
        return "%s : %s;" % (token(trigger), token(value))
    packed = value.replace(" ", "")
    disabled = "#%s : %s;" % (token(trigger), value)
    if lts and "ledControl" in value:
        if reference:
            for part, result in (("(0,15)", "( 3, 15, 0 )"), ("(1,15)", "( 4, 15, 0 )"),
                                 ("(3,0)", "( 5, 0, 0)")):
                if "ledControl" + part in packed:
                    return "%s : ledControl%s;" % (token(trigger), result)
            return disabled
    elif lts and "animation_control" in value:
        return disabled
    return "%s : %s;" % (token(trigger), value[2:])


def animation(name, data):
    frames = []
    number = 0
    for frame in data["frames"]:
        if not frame.startswith("#"):
            number += 1
            frame = "A[%s, %d] <= %s;" % (name, number, frame)
        frames.append(frame + "\n")
    if not number:
        return "### %s is empty, skipping" % name
    return "A[%s] <= %s;\n%s" % (name, data["settings"], "".join(frames))


def maps(config, base, by_code, lts, reference):
    layers = {}
    for i, key in enumerate(config["matrix"]):
        if by_code:
            same = [b for b in base if b["code"] == key["code"]]
            if not same:
                continue
            trigger = same[0]["layers"]["0"]["key"]
        else:
            trigger = base[i]["layers"]["0"]["key"]
        for layer, entry in key["layers"].items():
            layers.setdefault(int(layer), []).append(line(trigger, entry["key"], lts, reference))
    return layers


def expected(config, folder, lts, reference):
    """Files and lines of stdout, or None where the request has no base."""
    head = config["header"]
    name = head["Name"].replace(" ", "_")
    variant = (head.get("Variant") or "").replace(" ", "_")
    layout = head["Layout"].replace(" ", "_")
    by_code = name.lower() == "whitefox"
    base = "%s-%s%s.json" % (name, head["Base"], ".lts" if by_code and lts else "")
    if name.lower() not in SCRIPTS or not os.path.exists(os.path.join(folder, base)):
        return None
    layers = maps(config, json.loads(read(folder, base))["matrix"], by_code, lts, reference)
    custom = {int(n): text for n, text in (config.get("custom") or {}).items()}
    header = "\n".join('%s = "%s";' % (f, variant if f == "Variant" else head[f]) for f in FIELDS)
    files = {}
    for n in range(max(list(layers) + list(custom)) + 1):
        parts = [header, "\n".join(layers.get(n, []))]
        parts.append("\n\n" + custom[n] if n in custom else "")
        if n == 0:
            parts.insert(1, "\n".join('%s = "%s";' % (d["name"], d["value"])
                                      for d in config.get("defines") or []))
            parts.append("" if lts else "\n".join(
                animation(a, d) for a, d in (config.get("animations") or {}).items()))
        files["%s-%s-%d.kll" % (name, layout, n)] = "".join(p + "\n\n" for p in parts).encode()
    return files, list(files) + parameters(name, variant, list(files), reference)


def parameters(name, variant, files, reference):
    split = name.lower() == "mdergo1"
    extra = "infinity_ergodox/lcdFuncMap" if split else "stdFuncMap"

    def cut(file, times):
        for _ in range(times if reference else 1):
            file = os.path.splitext(file)[0]
        return file
    others = [("" if reference else extra + " ") + cut(f, 2) for f in files[1:]]
    return ["DefaultMapOverride=%s %s" % (extra, cut(files[0], 3)),
            "PartialMapsExpandedOverride=" + ";".join(others), "Layout=" + variant,
            ] + ["SPLIT_KEYBOARD=1"] * split + ["script=%s.bash" % SCRIPTS[name.lower()]]


# --- tests ---

def golden(bases, whose):
    for name in sorted(os.listdir(GOLDEN)):
        want = {}
        for file in os.listdir(os.path.join(GOLDEN, name)):
            with open(os.path.join(GOLDEN, name, file), "rb") as opened:
                want[file] = opened.read()
        layout = name.replace("KType-", "K-Type-", 1)
        status, _, err, got = run("--reference", "--layouts", bases,
                                  os.path.join(UPSTREAM, layout + ".json"))
        say("golden %s with %s bases" % (name, whose),
            differences(want, got) + ([err] if status else []))


def unlike(layouts):
    """The names of layouts, one of those that are the same through links."""
    texts = {}
    for file in sorted(os.listdir(layouts), reverse=True):
        if file.endswith(".json"):
            texts[read(layouts, file)] = file
    return sorted(texts.values())


def second_reading(layouts, bases, whose, forms=(False, True)):
    """Every layout that can be built, in each dialect."""
    names = unlike(layouts)
    for env in ("latest", "lts"):
        for reference in forms:
            findings = []
            built = 0
            for file in names:
                config = json.loads(read(layouts, file))
                want = expected(config, layouts, env == "lts", reference)
                status, lines, err, got = run(
                    *["--reference"] * reference, "--env", env, "--layouts", bases,
                    os.path.join(layouts, file))
                if not want:
                    field = json.loads(err).get("field") if status == 2 else ""
                    findings += [file + " was taken"] * (
                        field not in ("config.header.Base", "config.header.Name") or bool(got))
                    continue
                built += 1
                findings += [file + ": " + f for f in differences(want[0], got)]
                findings += ["%s: lines %s, not %s" % (file, lines, want[1])] * (lines != want[1])
                findings += [file + ": " + err] * (status != 0)
            say("%s layouts as %s%s" % (whose, env, " of the reference" * reference),
                findings or ["only %d were built" % built] * (built < 20))


def request_file(folder, name, document):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(document if isinstance(document, str) else json.dumps(document))
    return path


def command_line():
    config = json.loads(read(OURS, "WhiteFox-TheTrueFox.json"))
    config["matrix"][0]["layers"]["0"]["key"] = "#:animation_control(1)"
    off, on = b'\n#U"ESC" : #:animation', b'\nU"ESC" : animation'

    def has(part, *args):
        status, _, err, files = run("--layouts", OURS, *args)
        first = files.get("WhiteFox-TrueFoxBlank-0.kll", b"")
        return [] if status == 0 and part in first else ["%d %s %r" % (status, err, first[-200:])]
    with tempfile.TemporaryDirectory() as tmp:
        bare = request_file(tmp, "bare.json", config)
        lts = request_file(tmp, "lts.json", {"env": "lts", "config": config})
        say("a bare configuration is latest", has(on, bare))
        say("the file's env counts", has(off, lts))
        say("--env beats the file's env",
            has(on, "--env", "latest", lts) + has(off, "--env=lts", bare))
        say("v0.5.0 is LTS, but not for the reference",
            has(off, "--env", "v0.5.0", bare) + has(on, "--reference", "--env", "v0.5.0", bare))
        os.symlink("bare.json", os.path.join(tmp, "link.json"))
        plain = request_file(tmp, "plain.json", "link.json")
        say("a file that names another is a link", has(on, plain))
        for name, base in (("K-Type", "Standard"), ("K-Type", "NoAnimations"),
                           ("GeminiDusk", "Standard"), ("GeminiDawn", "Standard")):
            other = json.loads(read(OURS, "%s-%s.json" % (name, base)))
            other["header"].update(Name=name, Base=base)
            want = expected(other, OURS, False, False)
            _, lines, _, got = run("--layouts", OURS, request_file(tmp, "other.json", other))
            say("%s with base %s, by a link" % (name, base),
                differences(want[0], got) + [str(lines)] * (lines != want[1]))
        errors(tmp, config)


def errors(tmp, config):
    def fails(name, document, field, *args):
        path = request_file(tmp, "bad.json", document)
        status, out, err, files = run("--layouts", OURS, *args, path)
        say(name, [] if status == 2 and json.loads(err).get("field") == field and
            not out and not files and (field or "") in json.loads(err)["error"]
            else ["%d %s %s" % (status, err, out)])
    fails("no JSON is the body's fault", "{", "body")
    fails("an array is the body's fault", "[]", "body")
    fails("a member twice is the body's fault", '{"env":"a","env":"b"}', "body")
    fails("a request without env", {"config": config}, "env")
    fails("a request without config", {"env": "lts"}, "config")
    fails("a configuration without matrix", {"header": config["header"]}, "config.matrix")
    fails("a header that is none", {"header": [], "matrix": []}, "config.header")
    config["matrix"][3]["layers"]["0"]["key"] = '"'
    fails("a quote in a key", config, "config.matrix[3].layers.0.key")
    fails("a folder without layouts", config, "config.header.Name", "--layouts", tmp + "/no")
    status, _, err, _ = run("--layouts", OURS, tmp + "/missing.json")
    say("a missing file is told as JSON", [] if status == 1 and json.loads(err)["error"] else [err])
    status = subprocess.run([CTL, "kll", "--out", tmp], capture_output=True).returncode
    status2 = subprocess.run([CTL, "kll", "--nonsense", "x"], capture_output=True).returncode
    say("a bad command line is a usage error", ["%d %d" % (status, status2)] *
        ((status, status2) != (64, 64)))
    good = os.path.join(OURS, "MD1-Standard.json")
    os.mkdir(tmp + "/out")
    with open(tmp + "/out/file", "w", encoding="utf-8"):
        pass
    done = subprocess.run([CTL, "kll", "--layouts", OURS, "--out", tmp + "/out/file", good],
                          capture_output=True)
    say("an output folder that is none is told as JSON",
        [] if done.returncode == 1 and json.loads(done.stderr)["error"] else [str(done)])
    done = subprocess.run([CTL, "--json", "kll", "--layouts", OURS, "--out", tmp + "/a/b", good],
                          capture_output=True)
    result = json.loads(done.stdout or "{}")
    say("--json gives one document", [] if result.get("files") == sorted(os.listdir(tmp + "/a/b"))
        and result["script"] == "infinity.bash" and result["Layout"] == "standard" else [str(done)])


def configured_layouts():
    """Without --layouts, the folders of the configuration."""
    with tempfile.TemporaryDirectory() as tmp:
        conf = request_file(tmp, "kiisrv.toml", '[paths]\nlayouts = ["%s/none", "%s"]\n' % (tmp, OURS))
        good = os.path.join(OURS, "MD1-Standard.json")
        done = subprocess.run([CTL, "-c", conf, "kll", "--out", tmp, good], capture_output=True)
        say("layouts come from the configuration",
            [str(done)] * (done.returncode != 0 or b"MD1-Standard-0.kll" not in done.stdout))
        done = subprocess.run([CTL, "-c", tmp + "/no.toml", "kll", "--out", tmp, good],
                              capture_output=True)
        say("a missing configuration is told as JSON",
            [] if done.returncode == 1 and json.loads(done.stderr)["error"] else [str(done)])


if os.path.isdir(GOLDEN):
    golden(UPSTREAM, "upstream")
    golden(OURS, "our")
    second_reading(UPSTREAM, UPSTREAM, "upstream")
    second_reading(UPSTREAM, OURS, "upstream, with our bases:", (True,))
else:
    say("golden files", [], "shared data absent")
    say("upstream layouts", [], "shared data absent")
second_reading(OURS, OURS, "our", (False,) if os.path.isdir(GOLDEN) else (False, True))
command_line()
configured_layouts()
print("1..%d" % count)
sys.exit(failed > 0)
