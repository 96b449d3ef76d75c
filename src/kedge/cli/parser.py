"""Help, made from the tables by argparse; the words themselves are read by ``read_words``.

argparse loses what stands before a command's name, and the first half of a repeated option, so
it only formats here. It is imported when help is asked for, and not before.
"""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

from kedge.settings.commands import COMMANDS, Command, find_command
from kedge.settings.option import Kind, Option, Treatment
from kedge.settings.options import GENERAL, GROUPS, HELP, options_of
from kedge.settings.words import Words, read_words, usage_hint

if TYPE_CHECKING:
    import argparse

__all__ = ["Words", "build_parser", "format_help", "read_words", "usage_hint"]

DESCRIPTION = "A pip-style installer that knows which certificates it trusts, and why."


def format_help(command: str | None = None, *, width: int = 100) -> str:
    """The help of a command, or of kedge itself; ends with a newline.

    ``width`` is the terminal's, in columns.
    """
    found = find_command(command)
    rows = _action_rows(found) if found else _command_rows()
    text = build_parser(command, width=width).format_help()
    head, separator, options = text.partition("\n\n" + _first_group(command) + ":")
    parts = [head, _section("Actions" if found else "Commands", rows, width)]
    shown = "\n\n".join(part.strip("\n") for part in parts if part)
    idle = _idle_note(command, width) if found else ""
    return shown + separator + options.rstrip("\n") + "\n" + idle


def build_parser(command: str | None = None, *, width: int = 100) -> argparse.ArgumentParser:
    """An argparse parser with the options of a command, grouped as the table groups them.

    For what works from such a parser: the help here, and completions.
    """
    import argparse

    def formatter(prog: str) -> argparse.HelpFormatter:
        return argparse.HelpFormatter(prog, max_help_position=30, width=max(width - 2, 40))

    found = find_command(command)
    words = found.words if found else "<command> ..."
    if found and found.actions:
        words = "<action> ..."
    parser = argparse.ArgumentParser(
        prog=" ".join(filter(None, ("kedge", command))),
        usage=_escape(" ".join(filter(None, ("%(prog)s [options]", words))), but="%(prog)s"),
        description=_escape(found.summary if found else DESCRIPTION),
        formatter_class=formatter,
        add_help=False,
        allow_abbrev=True,
    )
    for group in GROUPS:
        options = [option for option in _shown(command) if option.group == group]
        if options:
            section = parser.add_argument_group(group)
            for option in options:
                _add(section, option)
    return parser


# --------------------------------------------------------------------------------------------
# Rows


def _shown(command: str | None) -> list[Option[Any]]:
    return [one for one in options_of(command) if one.treatment is Treatment.OBEYED]


def _first_group(command: str | None) -> str:
    groups = {option.group for option in _shown(command)}
    return next((group for group in GROUPS if group in groups), GENERAL)


def _add(section: argparse._ArgumentGroup, option: Option[Any]) -> None:
    if option is HELP:
        section.add_argument(*option.flags, action="help", help=option.help)
        return
    choices = f" One of {', '.join(option.choices)}." if _lists_choices(option) else ""
    text = _escape(f"{option.help}{choices}{_default(option)}")
    for flags, action in ((option.flags, "store_true"), (option.off_flags, "store_false")):
        if not flags:
            continue
        shown = text if option.flags == flags or not option.flags else f"Not {option.flag}."
        dest = option.name.replace("-", "_")
        if not option.kind.takes_value:
            verb = "count" if option.kind is Kind.COUNT else action
            section.add_argument(*flags, action=verb, dest=dest, help=shown)
        else:
            verb = "store" if option.kind is Kind.VALUE else "append"
            metavar = option.metavar
            section.add_argument(*flags, action=verb, dest=dest, help=shown, metavar=metavar)


def _lists_choices(option: Option[Any]) -> bool:
    """A list of features would name those that only pip knows."""
    return bool(option.choices) and option.kind is Kind.VALUE


def _default(option: Option[Any]) -> str:
    if option.default_help:
        return f" (default: {option.default_help})"
    plain = isinstance(option.default, str | int | float) and not isinstance(option.default, bool)
    if not plain or option.kind is Kind.COUNT:
        return ""
    shown = f"{option.default:g}" if isinstance(option.default, float) else option.default
    return f" (default: {shown})"


def _command_rows() -> list[tuple[str, str]]:
    return [(command.name, command.summary) for command in COMMANDS]


def _action_rows(command: Command) -> list[tuple[str, str]]:
    return [
        (" ".join(filter(None, (action.name, action.words))), action.summary)
        for action in command.actions
    ]


def _section(title: str, rows: list[tuple[str, str]], width: int) -> str:
    if not rows:
        return ""
    column = max(len(name) for name, _ in rows) + 4
    lines = [
        fill(
            summary,
            width=max(width - 2, 40),
            initial_indent=f"  {name}".ljust(column),
            subsequent_indent=" " * column,
        )
        for name, summary in rows
    ]
    return "\n".join([f"{title}:", *lines])


def _idle_note(command: str | None, width: int) -> str:
    """Which of pip's options are accepted without effect, in one paragraph."""
    idle = [one.flag for one in options_of(command) if one.treatment is Treatment.IDLE]
    if not idle:
        return ""
    note = f"Accepted because pip has them, and without effect: {', '.join(idle)}."
    return "\n" + fill(note, width=max(width - 2, 40), break_on_hyphens=False) + "\n"


def _escape(text: str, *, but: str = "") -> str:
    """argparse formats help with ``%``."""
    escaped = text.replace("%", "%%")
    return escaped.replace(but.replace("%", "%%"), but) if but else escaped
