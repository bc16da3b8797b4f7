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
    with local_cluster(1, "") as local, distributed.Client(local, set_as_default=False) as client:
        (process,) = client.run(os.getpid).values()
        unit = client.submit(time.sleep, 0.5)
        os.kill(process, signal.SIGINT)
        unit.result(timeout=60)
        assert list(client.run(os.getpid).values()) == [process]
