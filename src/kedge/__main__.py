"""``python -m kedge``: installs into the Python that runs it."""

import os
import sys

from kedge.cli.main import end_tidily_on_signals, main

if __name__ == "__main__":
    end_tidily_on_signals()
    sys.exit(main(sys.argv[1:], environ=os.environ, launched_as_module=True))
