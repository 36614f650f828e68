# SPDX-License-Identifier: MIT
import os
import pathlib
import random
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))

ENGINES = [name for name in ("docker", "podman") if os.environ.get(f"KIISRV_TEST_{name.upper()}")]
# The short run does the same each time, the long ones draw.
SEED = os.environ.get("KIISRV_TORTURE_SEED") or (
    str(random.SystemRandom().randrange(1 << 32)) if os.environ.get("KIISRV_TEST_LONG") else "1")


def pytest_sessionstart(session):
    if not ENGINES:
        pytest.exit("set KIISRV_TEST_DOCKER or KIISRV_TEST_PODMAN: which engines are started", 2)
    if os.geteuid() != 0:
        pytest.exit("these tests need root: they start servers as several users", 2)


def pytest_collection_finish(session):
    session.config.get_terminal_writer().line(f"KIISRV_TORTURE_SEED={SEED}")


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"again: KIISRV_TORTURE_SEED={SEED}")


@pytest.fixture(scope="session")
def seed():
    return SEED


@pytest.fixture(scope="session", params=ENGINES)
def engine(request):
    """Its name: each test starts one of its own."""
    return request.param


@pytest.fixture
def deadline():
    """deadline(seconds): whatever hangs after that is torn out of it, and cleans up."""
    def too_late(number, frame):
        raise AssertionError("the deadline of the whole test has passed")

    def begin(seconds):
        signal.setitimer(signal.ITIMER_REAL, seconds)
    old = signal.signal(signal.SIGALRM, too_late)
    yield begin
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, old)
