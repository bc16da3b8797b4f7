"""Kernels that start at once: forked from a process that has imported already.

Each notebook has a process of its own, as always, but torch, open_clip and the drawing libraries
take eight to ten seconds of a processor to import, for every one of a dozen notebooks. On Linux
papermill and nbval find the kernel specification in `jupyter/` first, whose provisioner forks;
elsewhere, and in JupyterLab, kernels start as they always do.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from importlib.metadata import entry_points
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

_SPECIFICATIONS = Path(__file__).with_name("jupyter")
_PROVISIONER = "erasekit-forked"


def forking() -> BaseContext:
    """How to start a process that has everything imported: by a fork, where that is safe."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["erasekit.tutorial.preload"])
    return context


def kernel_environment() -> dict[str, str]:
    """Environment variables by which papermill and nbval take forked kernels.

    Returns:
        none of them where kernels are not forked, or the installation does not know of them yet.
    """
    known = entry_points(group="jupyter_client.kernel_provisioners", name=_PROVISIONER)
    if sys.platform != "linux" or not known:
        return {}
    before = [part for part in os.environ.get("JUPYTER_PATH", "").split(os.pathsep) if part]
    paths = [str(_SPECIFICATIONS), *(part for part in before if part != str(_SPECIFICATIONS))]
    return {"JUPYTER_PATH": os.pathsep.join(paths)}


class ForkedProvisioner(LocalProvisioner):
    """Jupyter's own way with a local kernel, but for the one step that makes the process."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        arguments = cmd[cmd.index("ipykernel_launcher") + 1 :]
        process = forking().Process(  # type: ignore[attr-defined]
            target=_be_a_kernel,
            args=(arguments, str(kwargs.get("cwd") or Path.cwd()), dict(kwargs["env"])),
        )
        process.start()
        self.process = _Popen(process)  # type: ignore[assignment]
        self.pid = process.pid
        return self.connection_info


class _Popen:
    """A process of `multiprocessing` with the few methods of `subprocess.Popen` asked for."""

    stdin = stdout = stderr = None

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        self.pid = process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode

    def send_signal(self, signum: int) -> None:
        if self.pid is not None and self._process.is_alive():
            os.kill(self.pid, signum)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def _be_a_kernel(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """In the forked process: become the kernel that the arguments describe."""
    # A Ctrl-C on the terminal is for the one who runs the notebook, who then ends the kernel.
    os.setsid()
    threading.Thread(
        target=_end_with, args=(multiprocessing.parent_process(),), daemon=True
    ).start()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance(argv=arguments)


def _end_with(runner: Any) -> None:
    """Without who runs the notebook there is nobody to talk to."""
    runner.join()
    os._exit(1)
