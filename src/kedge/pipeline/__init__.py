"""The whole of each command, joined from the layers below and read top to bottom.

``install`` is the one to begin with. Nothing here parses words or prints any: settings come in,
values go out, and what happens meanwhile is told to a reporter.
"""
