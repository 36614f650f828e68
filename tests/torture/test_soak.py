# SPDX-License-Identifier: MIT
"""Ten thousand requests leave memory and descriptors as the first thousand did."""

import os
import pathlib

import stack
from engines import OwnEngine
from soak import Soak

LONG = bool(os.environ.get("KIISRV_TEST_LONG"))
# Where a build without sanitizers is installed: theirs is another memory.
PLAIN = os.environ.get("KIISRV_TEST_PLAIN")


def test_ten_thousand_requests(engine, deadline, monkeypatch):
    deadline(600 if LONG else 150)
    if PLAIN:
        monkeypatch.setattr(stack, "PREFIX", pathlib.Path(PLAIN))
    own = OwnEngine(engine).start().load()
    try:
        soak = Soak(own)
        try:
            found = soak.run(10000 if LONG else 4000, each=bool(PLAIN))
        finally:
            soak.close()
    finally:
        own.stop()
    assert not found, "\n".join(found)
