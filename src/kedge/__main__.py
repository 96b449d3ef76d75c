"""``python -m kedge``: installs into the Python that runs it."""

import sys

from kedge.cli.main import program

if __name__ == "__main__":
    sys.exit(program(launched_as_module=True))
