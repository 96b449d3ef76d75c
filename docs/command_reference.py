"""Writes ``reference/commands.md`` from the option table, before each build.

The table is the one source of flags, variables and configuration keys; so this page cannot fall
behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedge.settings.commands import COMMANDS
from kedge.settings.option import Option, Treatment
from kedge.settings.options import GROUPS, OPTIONS

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_HEAD = """# Commands and options

Every option can also be set by a variable and in pip's configuration files. The variable is `PIP_`
and the long flag in capitals, with `_` for `-`; the key in a file is the long flag without its
dashes, under `[global]` or under the command's name. The command line is stronger than a variable,
and a variable than a file.
"""


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's hook."""
    page = Path(app.srcdir) / "reference" / "commands.md"
    page.parent.mkdir(exist_ok=True)
    page.write_text("\n".join(lines()), encoding="utf-8")
    return {"parallel_read_safe": True}


def lines() -> Iterator[str]:
    """The page."""
    yield _HEAD
    for command in COMMANDS:
        yield f"## kedge {command.name}\n"
        yield f"{command.summary}\n"
        if command.words:
            yield f"```text\nkedge {command.name} [options] {command.words}\n```\n"
        for action in command.actions:
            words = f" {action.words}" if action.words else ""
            yield f"- `kedge {command.name} {action.name}{words}`: {action.summary}"
        yield ""
        own = [option for option in OPTIONS if option.commands and command.name in option.commands]
        yield from _table(own)
    yield "## Options of every command\n"
    yield from _table([option for option in OPTIONS if option.commands is None])
    yield "## pip's options that mean nothing here\n"
    yield "Accepted, and without effect:\n"
    for option in OPTIONS:
        if option.treatment is Treatment.IDLE:
            yield f"- `{option.flag}`: {option.reason}."
    yield "\nRefused, because passing them over would change what is installed or shown:\n"
    for option in OPTIONS:
        if option.treatment is Treatment.REFUSED:
            yield f"- `{option.flag}`: {option.reason}."
    yield ""


def _table(options: list[Option[Any]]) -> Iterator[str]:
    shown = [option for option in options if option.treatment is Treatment.OBEYED]
    for group in GROUPS:
        members = [option for option in shown if option.group == group]
        if not members:
            continue
        yield f"**{group}**\n"
        yield "| option | meaning |"
        yield "|---|---|"
        for option in members:
            flags = ", ".join(f"`{flag}`" for flag in option.all_flags)
            metavar = f" `{option.metavar}`" if option.metavar else ""
            choices = f" One of {', '.join(option.choices)}." if _few(option) else ""
            own = " *(kedge's own)*" if option.own else ""
            text = option.help.replace("|", "\\|").replace("<", "&lt;")
            yield f"| {flags}{metavar} | {text}{choices}{own} |"
        yield ""


def _few(option: Option[Any]) -> bool:
    return 0 < len(option.choices) <= 5
