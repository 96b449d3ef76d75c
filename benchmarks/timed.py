"""``python timed.py RESULT COMMAND...`` runs a command and writes what it took into RESULT.

A process of its own because the kernel counts a child's memory from that of its parent on, and the
benchmark itself is large.
"""

import json
import os
import sys
import time

if __name__ == "__main__":
    result, *command = sys.argv[1:]
    began = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - began
    with open(result, "w") as file:  # noqa: PTH123 - pathlib would be half of what this imports
        json.dump(
            {
                "wall": wall,
                "cpu": usage.ru_utime + usage.ru_stime,
                "memory": usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10),
                "code": os.waitstatus_to_exitcode(status),
            },
            file,
        )
