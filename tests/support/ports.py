"""Ports on loopback, each a test's own while others ask for theirs.

Tests run in several processes side by side, and each asks for free ports all the time. So one that
was chosen for a program is *held* until the program listens on it: bound by a socket that never
listens. Connections to it are refused, it is given to nobody who asks for any port, and whoever
names it may listen on it, as servers do that set ``SO_REUSEADDR``.

``localhost`` may be two addresses, and a client that tries ``::1`` first must not find the server
of another test there: what is for ``127.0.0.1`` is held on ``::1``, too.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections import deque

_LOOPBACK, _LOOPBACK_6 = "127.0.0.1", "::1"

#: What is held for programs, as descriptors; they listen long before so many more have followed.
_held: deque[list[int]] = deque()
_MOST = 32


def free_port() -> int:
    """A port on which nobody listens, and which nobody else is given meanwhile."""
    while True:
        sockets = [_bound(_LOOPBACK, 0)]
        port = int(sockets[0].getsockname()[1])
        twin = held_twin(port)
        if twin is not None:
            break
        sockets[0].close()
    if sys.platform != "linux":  # elsewhere nobody could listen on what is held
        for each in (*sockets, *twin):
            each.close()
        return port
    _held.append([each.detach() for each in (*sockets, *twin)])
    while len(_held) > _MOST:
        for descriptor in _held.popleft():
            os.close(descriptor)
    return port


def listen(address: str) -> tuple[socket.socket, list[socket.socket]]:
    """A socket that listens on a port of its own, and what to close with it."""
    while True:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.create_server((address, 0), family=family, backlog=64)
        twin = held_twin(listener.getsockname()[1]) if address == _LOOPBACK else []
        if twin is not None:
            return listener, twin
        listener.close()


def held_twin(port: int) -> list[socket.socket] | None:
    """The same port of ``::1``, held; nothing without IPv6, ``None`` where somebody has it."""
    if not socket.has_ipv6:
        return []
    try:
        return [_bound(_LOOPBACK_6, port)]
    except OSError as error:
        return None if error.errno == errno.EADDRINUSE else []


def _bound(address: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        if os.name == "posix":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
    except OSError:
        made.close()
        raise
    return made
