"""Who is at the other end of a connection to a proxy on this machine, and its sudden end."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


def kill_caller(port: int, proxy: int) -> int:
    """Send SIGKILL to the process whose connection goes from loopback `port` to port `proxy`; gives its id.

    Raises LookupError when there is none, and when it is this very process.
    """
    pid = caller_of(port, proxy)
    if pid in (None, os.getpid()):
        raise LookupError(f"port {port} belongs to process {pid}")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


def caller_of(port: int, proxy: int) -> int | None:
    """The process whose connection goes from loopback `port` to port `proxy`, as the kernel tells it (proc(5))."""
    ends = (f"0100007F:{port:04X}", f"0100007F:{proxy:04X}")
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{row[9]}]" for row in rows if (row[1], row[2]) == ends and row[9] != "0"}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                if any(os.readlink(link) in sockets for link in (folder / "fd").iterdir()):
                    return int(folder.name)
    return None
