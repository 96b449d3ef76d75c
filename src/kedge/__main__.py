"""``python -m kedge``: installs into the Python that runs it."""

from kedge.cli.main import leave, program

if __name__ == "__main__":
    leave(program(launched_as_module=True))
