# SPDX-License-Identifier: MIT
"""A minute of torture, for every run."""

import os

import pytest

from run import torture

LONG = bool(os.environ.get("KIISRV_TEST_LONG"))


def test_a_minute_of_torture(engine, seed, deadline):
    if LONG:
        pytest.skip("the long one does more of it")
    deadline(240)
    _, clients = torture(engine, seed, seconds=45, builders=5, operators=2, pause=(0.3, 2))
    assert sum(c.asked for c in clients) >= 30, "the clients came to nothing"
