# SPDX-License-Identifier: MIT
import os
import pathlib

import pytest

from machine import TMP, Machine, engine_of, repacked

LONG = bool(os.environ.get("KIISRV_TEST_LONG"))


def pytest_sessionstart(session):
    for name in ("KIISRV_TEST_DOCKER", "KIISRV_TEST_DEB"):
        if not os.environ.get(name):
            pytest.exit(f"set {name}: ./dev/test package does", 2)


@pytest.fixture(scope="session")
def url():
    return os.environ["KIISRV_TEST_DOCKER"]


@pytest.fixture(scope="session")
def engine(url):
    return engine_of(url)


@pytest.fixture(scope="session")
def debs():
    """{"new", "old"}: the package as it is built, and one of before."""
    new = pathlib.Path(os.environ["KIISRV_TEST_DEB"])
    TMP.mkdir(parents=True, exist_ok=True)
    folder = new.parent
    old = os.environ.get("KIISRV_TEST_OLD_DEB")
    return {"new": new, "old": pathlib.Path(old) if old else repacked(new, "0.0.1", folder)}


@pytest.fixture(scope="module")
def new_machine(url, debs, engine):
    made = []

    def make(engine_dir=None):
        folder = engine_dir or os.path.dirname(engine.socket)
        made.append(Machine(url, debs["new"].parent, folder))
        return made[-1]
    yield make
    for machine in made:
        machine.remove()
