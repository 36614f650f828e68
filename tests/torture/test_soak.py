# SPDX-License-Identifier: MIT
"""Ten thousand requests leave memory and descriptors as the first thousand did."""

import os

from engines import OwnEngine
from soak import Soak

LONG = bool(os.environ.get("KIISRV_TEST_LONG"))


def test_ten_thousand_requests(engine, deadline):
    deadline(900 if LONG else 120)
    own = OwnEngine(engine).start().load()
    try:
        soak = Soak(own)
        try:
            found = soak.run(10000 if LONG else 4000)
        finally:
            soak.close()
    finally:
        own.stop()
    assert not found, "\n".join(found)
