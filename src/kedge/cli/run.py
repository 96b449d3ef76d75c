"""One command line: words in, an exit code out.

The one place where an error becomes text. Which command does what is in the module of that
command, imported when it runs.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kedge.classes import frozen, replace
from kedge.cli.console import Console, columns_of, wants_color
from kedge.cli.main import discard_stdout, version_line
from kedge.errors import KedgeError
from kedge.model import Sourced
from kedge.settings import commands
from kedge.settings import options as table

if TYPE_CHECKING:
    from kedge.environment import Choice, Interpreter
    from kedge.settings.values import Settings
    from kedge.settings.words import Words

#: Where each command's ``run(job)`` is.
_MODULES = {
    commands.INSTALL: "kedge.cli.install",
    commands.DOWNLOAD: "kedge.cli.download",
    commands.UNINSTALL: "kedge.cli.uninstall",
    commands.LIST: "kedge.cli.listing",
    commands.FREEZE: "kedge.cli.listing",
    commands.TRUST: "kedge.cli.trust",
    commands.DOCTOR: "kedge.cli.doctor",
    commands.CONFIG: "kedge.cli.config",
    commands.CACHE: "kedge.cli.cache",
}

OK, FAILED = 0, 1


@frozen(kw_only=True)
class Job:
    """What a command works with: its settings, its environment, and where its words go.

    ``argv`` are the words as they were typed, for a report that tells what to type instead.
    """

    settings: Settings
    choice: Choice
    interpreter: Interpreter
    console: Console
    launched_as_module: bool = False
    argv: tuple[str, ...] = ()

    @property
    def environ(self) -> Mapping[str, str]:
        return self.settings.snapshot.environ


def run(
    argv: Sequence[str], *, environ: Mapping[str, str], launched_as_module: bool = False
) -> int:
    """Run it; the exit code (0 done, 1 failed, 2 usage, 3 bad setting).

    ``environ`` is copied at once: nothing below reads the process environment.
    """
    environ = dict(environ)
    console = Console(
        color=wants_color(sys.stderr, environ, no_color="--no-color" in argv),
        width=columns_of(sys.stderr, environ),
    )
    try:
        return _run(argv, environ, console, launched_as_module=launched_as_module)
    except KedgeError as error:
        from kedge.cli.failure import show_error

        show_error(error, console)
        return error.exit_code
    except KeyboardInterrupt:
        console.error("Interrupted.")
        return FAILED
    except BrokenPipeError:
        discard_stdout()
        return FAILED
    except Exception as error:
        from kedge.cli.failure import show_unexpected

        show_unexpected(error, console, traceback="--debug" in argv)
        return FAILED
    finally:
        console.close()


def _run(
    argv: Sequence[str], environ: Mapping[str, str], console: Console, *, launched_as_module: bool
) -> int:
    from kedge.settings.words import read_words

    words = read_words(argv)
    if words.version:
        console.result(version_line())
        return OK
    if words.help or words.command is None:
        from kedge.cli.help import help_on

        console.result(help_on(words.arguments[0] if words.arguments else words.command))
        return OK
    job = replace(
        _prepare(words, environ, console, launched_as_module=launched_as_module), argv=tuple(argv)
    )
    for warning in job.settings.warnings:
        console.warn(warning)
    module = importlib.import_module(_MODULES[words.command or ""])
    try:
        code: int = module.run(job)
    except KedgeError as error:
        from kedge.cli.diagnosis import diagnosis_of
        from kedge.cli.failure import show_error

        show_error(error, console, diagnosis=diagnosis_of(error, job))
        return error.exit_code
    return code


def _prepare(
    words: Words, environ: Mapping[str, str], console: Console, *, launched_as_module: bool
) -> Job:
    """Settings and environment, which need each other: ``--python`` first, its own file after."""
    from kedge.environment import choose, decide
    from kedge.settings.merge import merge, preview
    from kedge.settings.snapshot import add_site_file, take_snapshot

    snapshot = take_snapshot(environ, isolated=words.isolated)
    named = preview(words, snapshot)
    choice = decide(
        launched_as_module=launched_as_module,
        environ=environ,
        own_prefix=sys.prefix,
        python=None if named.value is None else Sourced(named.value, named.origin),
    )
    module = _MODULES[words.command or ""]
    interpreter = choose(choice, environ=environ, meanwhile=lambda: importlib.import_module(module))
    settings = merge(words, add_site_file(snapshot, str(interpreter.prefix)))
    log = settings.value(table.LOG)
    console.configure(
        verbosity=settings.verbosity,
        color=wants_color(sys.stderr, environ, no_color=settings.value(table.NO_COLOR)),
        log=Path(log) if log else None,
    )
    if not settings.value(table.NO_INPUT):
        from kedge.cli.terminal import find_terminal

        console.prompt = find_terminal(console)
    return Job(
        settings=settings,
        choice=choice,
        interpreter=interpreter,
        console=console,
        launched_as_module=launched_as_module,
    )
