"""Workers of a local cluster leave Ctrl-C to the process that started them."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from erasekit.local_cluster import local_cluster

distributed = pytest.importorskip("distributed")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")
def test_ctrl_c_leaves_a_worker_at_its_unit():
    """Also one that Dask started anew, when Ctrl-C was no longer ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with local_cluster(1, "") as local, distributed.Client(local, set_as_default=False) as one:
            one.restart()
            (process,) = one.run(os.getpid).values()
            unit = one.submit(time.sleep, 0.5)
            os.kill(process, signal.SIGINT)
            unit.result(timeout=20)
            assert list(one.run(os.getpid).values()) == [process]
    finally:
        signal.signal(signal.SIGINT, before)
