# SPDX-License-Identifier: MIT
"""Minutes of torture over hundreds of jobs, on both engines."""

import os

import pytest

from run import torture

pytestmark = pytest.mark.skipif(not os.environ.get("KIISRV_TEST_LONG"),
                                reason="a long one: KIISRV_TEST_LONG")


def test_hundreds_of_jobs(engine, seed, deadline):
    deadline(1200)
    torture(engine, f"{seed} all", seconds=360, builders=6, operators=2, pause=(0.3, 3), least=25)


@pytest.mark.parametrize("only", ["worker", "engine", "disk", "lock", "clock"])
def test_one_trouble_again_and_again(engine, seed, deadline, only):
    """Where many troubles meet, each hides others'."""
    deadline(480)
    without = {"worker", "child", "keeper", "nginx", "engine", "reload", "disk", "lock", "clock",
               "both"} - {only}
    torture(engine, f"{seed} {only}", seconds=60, builders=4, operators=2, pause=(0.5, 3),
            without=without)


def test_a_clock_that_jumps_far(engine, seed, deadline):
    """By hours; without images, whose engine would have another clock."""
    deadline(480)
    torture(engine, f"{seed} far", seconds=60, builders=6, operators=0, pause=(0.5, 3),
            without=("engine", "both"), far=6 * 3600)
