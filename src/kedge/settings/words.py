"""Which words of the command line are options, values, the command, its action, its arguments.

Pure: it looks at the words and the tables, at nothing else. The grammar is optparse's, which is
what pip's users type: ``--opt value`` and ``--opt=value``, ``-rfile`` and ``-r file``, ``-qqU``,
unambiguous beginnings of long options, ``--`` before words that are no options; a value may begin
with a dash. One thing is wider: an option means the same before the command's name, after it, and
between its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from kedge.errors import UsageError
from kedge.settings import options as table
from kedge.settings.commands import (
    COMMANDS,
    HELP,
    PIP_ONLY_COMMANDS,
    Action,
    Command,
    find_command,
)
from kedge.settings.option import Option


class Occurrence(NamedTuple):
    """One option on the command line: the flag it was given with, and its value if it takes one."""

    option: Option[Any]
    flag: str
    text: str | None = None


class Words(NamedTuple):
    """A command line, understood word by word; no value has been judged yet.

    ``command`` is None when none was named. ``action`` is set for commands that have actions
    (their default action included). When ``help`` or ``version`` was asked for, the rest has not
    been checked.
    """

    command: str | None = None
    action: str | None = None
    arguments: tuple[str, ...] = ()
    occurrences: tuple[Occurrence, ...] = ()
    help: bool = False
    version: bool = False

    @property
    def isolated(self) -> bool:
        return any(found.option is table.ISOLATED for found in self.occurrences)


def read_words(argv: Sequence[str]) -> Words:
    """Understand the words after the program's name; raises ``UsageError``.

    >>> words = read_words(["--cert", "a.pem", "install", "-qU", "flask", "--pre"])
    >>> words.command, words.arguments
    ('install', ('flask',))
    >>> [found.flag for found in words.occurrences]
    ['--cert', '-q', '-U', '--pre']
    """
    position = _position_of_command(argv)
    if position is None:
        occurrences, rest = _read(argv, None)
        return _finish(None, occurrences, rest)
    command = find_command(argv[position])
    if command is None:
        raise _unknown_command(argv[position])
    words = [*argv[:position], *argv[position + 1 :]]
    occurrences, rest = _read(words, command.name)
    return _finish(command, occurrences, rest)


# --------------------------------------------------------------------------------------------
# The words, one after another


def _read(words: Sequence[str], command: str | None) -> tuple[list[Occurrence], list[str]]:
    """Occurrences and the other words, in their order; stops after ``--help``."""
    found: list[Occurrence] = []
    rest: list[str] = []
    waiting = iter(words)
    for word in waiting:
        if word == "--":
            rest.extend(waiting)
        elif word.startswith("--"):
            found.append(_read_long(word, waiting, command))
        elif word.startswith("-") and word != "-":
            found.extend(_read_short(word, waiting, command))
        else:
            rest.append(word)
        if found and found[-1].option is table.HELP:
            rest.extend(waiting)
    return found, rest


def _read_long(word: str, waiting: Iterator[str], command: str | None) -> Occurrence:
    written, equals, text = word.partition("=")
    flag, option = _resolve(written, command)
    if not option.kind.takes_value:
        if equals:
            raise _usage(f"{flag} takes no value, and was given {text!r}.", command)
        return Occurrence(option, flag)
    if not equals:
        text = _next_value(flag, waiting, command)
    return Occurrence(option, flag, text)


def _read_short(word: str, waiting: Iterator[str], command: str | None) -> Iterator[Occurrence]:
    for index, letter in enumerate(word[1:], start=2):
        flag, option = _resolve("-" + letter, command)
        if not option.kind.takes_value:
            yield Occurrence(option, flag)
            continue
        yield Occurrence(option, flag, word[index:] or _next_value(flag, waiting, command))
        return


def _next_value(flag: str, waiting: Iterator[str], command: str | None) -> str:
    try:
        return next(waiting)
    except StopIteration:
        raise _usage(f"{flag} needs a value after it.", command) from None


# --------------------------------------------------------------------------------------------
# Where the command is


def _position_of_command(argv: Sequence[str]) -> int | None:
    """The index of the command's name: the first word that is no option and no option's value.

    Which options there are depends on the command, so the question here is only whether a flag is
    followed by a value; where commands differ in that, the flag must come after the command.
    """
    index = 0
    while index < len(argv):
        word = argv[index]
        if word == "--":
            return index + 1 if index + 1 < len(argv) else None
        if not word.startswith("-") or word == "-":
            return index
        index += 2 if _uses_next_word(word) else 1
    return None


def _uses_next_word(word: str) -> bool:
    if word.startswith("--"):
        written, equals, _ = word.partition("=")
        return not equals and _takes_value_everywhere(written)
    for index, letter in enumerate(word[1:], start=2):
        if _takes_value_everywhere("-" + letter):
            return index == len(word)
    return False


def _takes_value_everywhere(written: str) -> bool:
    matches = _matches(written, table.OPTIONS)
    answers = {option.kind.takes_value for _, option in matches}
    if not answers:
        raise _unknown_flag(written, None)
    if len(answers) > 1 and matches[0][0] != written:
        raise _ambiguous(written, matches, None)
    if len(answers) > 1:
        raise UsageError(
            f"{written} means different things to different commands.",
            hint="Write it after the command's name.",
        )
    return answers.pop()


# --------------------------------------------------------------------------------------------
# Which option a flag is


def _resolve(written: str, command: str | None) -> tuple[str, Option[Any]]:
    """The full flag and its option; ``UsageError`` when there is none, or more than one."""
    matches = _matches(written, table.options_of(command))
    if not matches:
        raise _unknown_flag(written, command)
    if len({option for _, option in matches}) > 1:
        raise _ambiguous(written, matches, command)
    return matches[0]


def _matches(written: str, options: Iterable[Option[Any]]) -> list[tuple[str, Option[Any]]]:
    """The flags that ``written`` is, or of which it is the beginning.

    kedge's own options do not make a beginning ambiguous that pip's users are used to.
    """
    flags = [(flag, option) for option in options for flag in option.all_flags]
    exact = [(flag, option) for flag, option in flags if flag == written]
    if exact or not written.startswith("--") or written == "--":
        return exact
    begun = [(flag, option) for flag, option in flags if flag.startswith(written)]
    of_pip = [(flag, option) for flag, option in begun if not option.own]
    return of_pip or begun


# --------------------------------------------------------------------------------------------
# The command, its action and its arguments


def _finish(command: Command | None, found: list[Occurrence], rest: list[str]) -> Words:
    asks_help = any(one.option is table.HELP for one in found)
    asks_version = any(one.option is table.VERSION for one in found)
    name = command.name if command else None
    if name == HELP:
        return _finish_help(rest, found)
    if asks_help or asks_version or command is None:
        return Words(command=name, occurrences=tuple(found), help=asks_help, version=asks_version)
    if not command.actions:
        _check_number(rest, command, command.name)
        return Words(command=name, arguments=tuple(rest), occurrences=tuple(found))
    action = _read_action(command, rest[0] if rest else None)
    _check_number(rest[1:], action, f"{command.name} {action.name}")
    return Words(
        command=name,
        action=action.name,
        arguments=tuple(rest[1:]),
        occurrences=tuple(found),
    )


def _finish_help(rest: list[str], found: list[Occurrence]) -> Words:
    """What there is help on, beside commands, is for whoever prints it to say."""
    topic = rest[0] if rest else None
    command = topic if find_command(topic) is not None else None
    arguments = () if command else tuple(rest[:1])
    return Words(command=command, arguments=arguments, occurrences=tuple(found), help=True)


def _read_action(command: Command, word: str | None) -> Action:
    name = command.default_action if word is None else word
    names = ", ".join(action.name for action in command.actions)
    if name is None:
        raise _usage(f"kedge {command.name} needs to know what to do: {names}.", command.name)
    action = command.action(name)
    if action is None:
        near = _nearest(name, (action.name for action in command.actions))
        hint = f"Did you mean '{near}'?" if near else f"It has {names}."
        raise UsageError(f"kedge {command.name} has no action {name!r}.", hint=hint)
    return action


def _check_number(words: Sequence[str], rule: Command | Action, name: str) -> None:
    if len(words) < rule.least:
        raise UsageError(
            f"kedge {name} needs {rule.words}.", hint=f"kedge {name.split()[0]} --help shows how."
        )
    if rule.most is not None and len(words) > rule.most:
        extra = words[rule.most]
        raise _usage(f"kedge {name} has no use for the word {extra!r}.", name.split()[0])


# --------------------------------------------------------------------------------------------
# Errors


def _usage(message: str, command: str | None) -> UsageError:
    return UsageError(message, hint=usage_hint(command))


def _ambiguous(
    written: str, matches: list[tuple[str, Option[Any]]], command: str | None
) -> UsageError:
    flags = " or ".join(sorted({flag for flag, _ in matches}))
    return _usage(f"{written} could be {flags}.", command)


def usage_hint(command: str | None) -> str:
    """Where to read on."""
    return f"{' '.join(filter(None, ('kedge', command)))} --help lists what there is."


def _unknown_flag(written: str, command: str | None) -> UsageError:
    shown = " ".join(filter(None, ("kedge", command)))
    elsewhere = [option for option in table.OPTIONS if written in option.all_flags]
    names = sorted({name for option in elsewhere for name in option.commands or ()})
    if names := [name for name in names if find_command(name)]:
        return UsageError(
            f"{shown} has no option {written}.", hint=f"It is an option of {', '.join(names)}."
        )
    flags = (flag for option in table.options_of(command) for flag in option.all_flags)
    near = _nearest(written, (flag for flag in flags if flag.startswith("--")))
    hint = f"Did you mean {near}?" if near else usage_hint(command)
    return UsageError(f"{shown} has no option {written}.", hint=hint)


def _unknown_command(name: str) -> UsageError:
    if name in PIP_ONLY_COMMANDS:
        return UsageError(
            f"kedge has no command {name!r}; pip has.", hint=f"python -m pip {name} still does it."
        )
    names = [command.name for command in COMMANDS]
    begun = [each for each in names if each.startswith(name.lower())]
    near = begun[0] if begun else _nearest(name.lower(), names)
    hint = f"Did you mean 'kedge {near}'?" if near else usage_hint(None)
    return UsageError(f"kedge has no command {name!r}.", hint=hint)


def _nearest(word: str, candidates: Iterable[str]) -> str | None:
    import difflib  # only an error pays for it

    get_close_matches: Callable[..., list[str]] = difflib.get_close_matches
    return next(iter(get_close_matches(word, list(candidates), n=1)), None)
