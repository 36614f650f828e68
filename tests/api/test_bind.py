# SPDX-License-Identifier: MIT
"""The "bind" transport: folders that worker and engine share, and nothing left in them."""
import io
import shutil
import zipfile

import pytest

from stack import wait_until


@pytest.fixture
def bound(new_stack):
    """bound(env): a stack whose worker works in a folder of its own."""
    def make(env=None):
        stack = new_stack(start=False, conf={"firmware": {"transport": "bind"}})
        stack.folder = stack.root / "work"
        stack.folder.mkdir()
        shutil.chown(stack.folder, "kiisrv-engine")
        start = stack.start_worker
        stack.start_worker = lambda *args, **more: start(env, *args, **more)
        return stack.start()
    return make


def check_empty(folder):
    wait_until(lambda: not any((folder / "tmp_config").iterdir()), 10)
    wait_until(lambda: not any((folder / "tmp_builds").iterdir()), 10)


def test_a_firmware_through_shared_folders(bound):
    stack = bound()
    _, reply = stack.built(stack.layout("MD1-Standard"))
    with zipfile.ZipFile(io.BytesIO(reply.body)) as files:
        assert files.read("kiibohd.dfu.bin") and files.read("log/build.log")
    failed = stack.post(stack.ordered("bind fails", "exit 1"))
    assert failed.json["success"] is False
    check_empty(stack.folder)


def test_the_engine_may_see_the_folders_elsewhere(bound):
    """As from inside a container: the worker's folders have other names on the host."""
    stack = bound()
    elsewhere = stack.root / "elsewhere"
    elsewhere.symlink_to(stack.folder)
    stack.kill_worker()
    stack.start_worker = type(stack).start_worker.__get__(stack)
    stack.start_worker({"HOST_TMP_CONFIG": str(elsewhere / "tmp_config"),
                        "HOST_TMP_BUILDS": str(elsewhere / "tmp_builds")})
    assert stack.post(stack.ordered("bind elsewhere", "say hello")).json["success"] is True
    check_empty(stack.folder)


@pytest.mark.parametrize("kind", ["link", "dir", "none"])
def test_a_hostile_result_is_none(bound, kind):
    stack = bound()
    reply = stack.post(stack.ordered(f"bind {kind}", f"artifact {kind}"))
    assert reply.status == 200 and reply.json["success"] is False
    check_empty(stack.folder)


def test_a_worker_that_dies_leaves_nothing_in_the_folders(bound):
    stack = bound()
    request = stack.ordered("bind killed", "tick 2")
    reply = stack.post(request, path="/api/v1/builds")
    wait_until(lambda: stack.containers(), 20)
    stack.kill_worker()
    stack.start_worker()
    assert stack.wait_job(reply.json["job"], "succeeded")["attempts"] == 1
    check_empty(stack.folder)
