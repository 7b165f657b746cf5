"""A pytest plugin: the kernels of the checks talk through sockets in the file system.

Jupyter looks for five free ports and lets them go again until the kernel takes them; meanwhile anything else that the
checks run side by side may get one, and the kernel dies with "Address already in use".
"""

from __future__ import annotations

import functools
import itertools
import sys
import tempfile
from typing import Any

from jupyter_client.manager import KernelManager

_folder = tempfile.TemporaryDirectory(prefix="kernels-", ignore_cleanup_errors=True)
_numbers = itertools.count()


def _with_sockets(start: Any) -> Any:
    @functools.wraps(start)
    def started(manager: KernelManager, *arguments: Any, **options: Any) -> None:
        own = {"transport": "ipc", "ip": f"{_folder.name}/{next(_numbers)}"}
        start(manager, *arguments, **own | options)

    return started


if sys.platform != "win32":  # where ZMQ has no such sockets
    KernelManager.__init__ = _with_sockets(KernelManager.__init__)  # type: ignore[method-assign]
