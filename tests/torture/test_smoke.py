# SPDX-License-Identifier: MIT
"""A minute of torture, for every run. Images under an engine that is killed: the long ones."""

import os

import pytest

from run import torture

pytestmark = pytest.mark.skipif(bool(os.environ.get("KIISRV_TEST_LONG")),
                                reason="the long ones do more of it")


def test_builds_under_all_trouble(engine, seed, deadline):
    deadline(240)
    torture(engine, seed, seconds=30, builders=5, operators=0, pause=(0.3, 2), least=3)


def test_images_while_all_but_the_engine_dies(engine, seed, deadline):
    deadline(240)
    torture(engine, f"{seed} images", seconds=20, builders=2, operators=2, pause=(0.3, 2),
            without=("engine", "both"), least=2)
