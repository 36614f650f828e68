# SPDX-License-Identifier: MIT
import os

import pytest

from stack import Engine, Stack

ENGINES = [name for name in ("docker", "podman") if os.environ.get(f"KIISRV_TEST_{name.upper()}")]


def pytest_sessionstart(session):
    if not ENGINES:
        pytest.exit("set KIISRV_TEST_DOCKER or KIISRV_TEST_PODMAN: ./dev/test api does", 2)
    if os.geteuid() != 0:
        pytest.exit("these tests need root: they start servers as several users", 2)


@pytest.fixture(scope="session", params=ENGINES)
def engine(request):
    return Engine(request.param, os.environ[f"KIISRV_TEST_{request.param.upper()}"])


@pytest.fixture(scope="session")
def stack(engine):
    """One for all tests that leave it as it was."""
    shared = Stack(engine)
    try:
        shared.start().start_operators()
        yield shared
    finally:
        shared.stop()


@pytest.fixture
def new_stack(engine):
    """new_stack(conf=..., layouts=...): one that a test may do anything to."""
    made = []

    def make(start=True, **more):
        made.append(Stack(engine, **more))
        return made[-1].start() if start else made[-1]
    yield make
    failures = []
    for each in made:
        try:
            each.stop()
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)
