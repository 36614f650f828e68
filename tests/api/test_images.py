# SPDX-License-Identifier: MIT
"""kiisrvctl images on real engines, and the recipe of images/controller as a whole: from local
repositories, on a base in which Debian's packages are names only, for nothing here has a network;
it builds firmware in the end."""

import json
import pathlib
import shutil
import subprocess
import tarfile
import zipfile

import pip
import pytest

from stack import PREFIX, TOP, Stack, wait_until
from test_ctl import command, ctl, ctl_json, environment

PREFIXED = "kiirecipe-"
BASE = """
FROM kiisrv-fetch:latest
USER 0
ADD up.tar /srv/
COPY wheels /wheels
COPY pip.zip /opt/
COPY modules /usr/local/lib/python3.11/dist-packages
ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENV PYTHONPATH=/opt/pip.zip PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels
RUN for name in apt-get cmake dfu-suffix hexdump lsb_release ninja; do \\
	ln -s /bin/true /usr/local/bin/$name; done; \\
	touch "$(dirname "$(arm-none-eabi-gcc -print-libgcc-file-name)")/include/string.h"
ENTRYPOINT []
"""


def git(folder, *args):
    subprocess.run(["git", "-C", folder, "-c", "user.name=t", "-c", "user.email=t@example.org",
                    *args], check=True, capture_output=True)


def wheel(folder, name, version):
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for file, text in {
                f"{name}/__init__.py": f"__version__ = '{version}'\n", f"{name}/version.py": "",
                f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
                f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\n"
                                 "Tag: py3-none-any\n", f"{info}/RECORD": ""}.items():
            archive.writestr(file, text)


def make_base(folder):
    """The folder that a base is built from: what would come from elsewhere lies in it."""
    up, tree, layouts = (folder.parent / name for name in ("up", "tree", "layouts"))
    up.mkdir()
    folder.mkdir()
    shutil.copytree(TOP / "tests/images/controller", tree)
    git(tree, "init", "-q", "-b", "master")
    for tag in ("v0.5.6", "v0.5.7", "v0.5.8"):
        (tree / "release").write_text(tag)
        git(tree, "add", "-A")
        git(tree, "commit", "-qm", tag)
        git(tree, "tag", tag)
    (layouts / "layouts").mkdir(parents=True)
    (layouts / "layouts/us.json").write_text('{"name": ["us"]}')
    git(layouts, "init", "-q", "-b", "master")
    git(layouts, "add", "-A")
    git(layouts, "commit", "-qm", "one")
    for name, where in (("controller", tree), ("layouts", layouts)):
        subprocess.run(["git", "clone", "-q", "--bare", where, up / f"{name}.git"], check=True)
    # A repository has empty folders, which a recipe does not keep.
    with tarfile.open(folder / "up.tar", "w") as archive:
        archive.add(up, "up")
    (folder / "wheels").mkdir()
    for name, version in (("kll", "0.5.7.16"), ("layouts", "0.4.10"), ("packaging", "21.3")):
        wheel(folder / "wheels", name, version)
    (folder / "modules").mkdir()
    for name in ("git", "github", "requests"):
        (folder / f"modules/{name}.py").write_text("")
    own = pathlib.Path(pip.__file__).parent
    with zipfile.ZipFile(folder / "pip.zip", "w") as archive:
        for file in own.rglob("*"):
            if file.suffix in (".py", ".pem", ".txt"):
                archive.write(file, file.relative_to(own.parent))
    (folder / "Dockerfile").write_text(BASE)


@pytest.fixture(scope="module")
def own(engine, tmp_path_factory):
    """A kiisrv of another prefix, and the base under the name of its fetch image."""
    mine = Stack(engine, conf={"firmware": {"image_prefix": PREFIXED}})
    names = [f"{PREFIXED}{name}:latest" for name in ("fetch", "controller-057", "controller-054")]
    try:
        mine.start()
        folder = tmp_path_factory.mktemp("images") / "base"
        make_base(folder)
        ctl(mine, "images", "build", "--recipe", folder, "fetch", timeout=300)
        yield mine
    finally:
        mine.stop()
        for name in names:
            engine.ask("DELETE", f"/images/{name}", force=1)


def test_the_recipe_builds_an_image_that_builds_firmware(own):
    before = {row["image"]: row["present"] for row in ctl_json(own, "images", "list")}
    assert before[f"{PREFIXED}controller-057:latest"] is False
    out, err = ctl(own, "images", "build", "--base", f"{PREFIXED}fetch:latest", "--url",
                   "file:///srv/up/controller.git", "--layouts", "file:///srv/up/layouts.git",
                   "v0.5.7", timeout=300)
    assert out.startswith(f"{PREFIXED}controller-057:latest  "), (out, err)
    assert "controller v0.5.7: 2 commits" in err and "kll 0.5.7.16" in err, err

    # The worker sees it by itself.
    listed = wait_until(lambda: [row for row in ctl_json(own, "images", "list") if row["present"]
                                 and row["container"] == "controller-057"], 30)[0]
    assert listed["versions"] == ["latest", "nightly", "v0.5.7"] and listed["git_tag"] == "v0.5.7"
    assert listed["size"] > 1 << 20
    text, _ = ctl(own, "images", "list")
    assert listed["id"].split(":")[1][:12] in text and "missing" in text

    first, told = own.built(own.layout("MD1-Standard"))
    assert first and told.body[:2] == b"PK"
    (own.root / "zip").write_bytes(told.body)
    with zipfile.ZipFile(own.root / "zip") as archive:
        assert archive.getinfo("kiibohd.dfu.bin").file_size > 100


def test_the_compiler_of_a_release_is_not_another_ones(own):
    _, err = ctl(own, "images", "build", "--base", f"{PREFIXED}fetch:latest", "--url",
                 "file:///srv/up/controller.git", "--layouts", "file:///srv/up/layouts.git",
                 "controller-056", status=1, timeout=300)
    assert "kll==0.5.7.12" in err, err
    assert err.rstrip().rsplit("\n", 1)[-1].startswith("kiisrvctl: "), err


@pytest.mark.parametrize("args, words", [
    (["--base", f"{PREFIXED}nothing:latest"], "kiisrvctl: "),
    (["--base", f"{PREFIXED}fetch:latest", "--url", "file:///srv/up/nothing.git"],
     "does not appear to be a git repository"),
])
def test_a_build_that_fails_makes_no_image(own, args, words):
    _, err = ctl(own, "images", "build", *args, "v0.5.4", status=1, timeout=300)
    assert words in err, err
    code = own.engine.ask("GET", f"/images/{PREFIXED}controller-054:latest/json").status
    assert code == 404


def test_what_a_step_prints_steers_no_terminal(own, tmp_path):
    (tmp_path / "Dockerfile").write_text(
        f"FROM {PREFIXED}fetch:latest\nRUN printf '\\033]0;evil\\007\\033[2J'; echo done\n")
    out, err = ctl(own, "images", "build", "--recipe", tmp_path, "--no-cache", "v0.5.4",
                   timeout=300)
    assert "\x1b" not in out + err and "\x07" not in out + err and "evil" in err
    told = ctl_json(own, "images", "build", "--recipe", tmp_path, "v0.5.4", timeout=300)
    assert told["image"] == f"{PREFIXED}controller-054:latest" and told["git_tag"] == "v0.5.4"


def test_who_may_not_use_the_engine_builds_nothing(own):
    done = subprocess.run(
        ["setpriv", "--reuid", "kiisrv", "--regid", "kiisrv", "--clear-groups",
         *command(own, "--json", "images", "build", "fetch")], env=environment(own), cwd="/",
        capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1 and json.loads(done.stderr)["code"], done
    assert (PREFIX / "share/kiisrv/images/fetch/Dockerfile").exists()
