"""The user's own command, changed: an option added, a setting taken out where it was written.

Pure. What it prints is meant to be pasted: passwords in URLs are hidden all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kedge.classes import field, frozen, replace
from kedge.diagnose.shells import Shell, join
from kedge.errors import UsageError
from kedge.model import Origin, OriginKind, redact_url
from kedge.settings.words import read_words


@frozen(kw_only=True)
class User:
    """Who reads the remedies: the command line, the shell, the system.

    ``words`` are those after ``program``. ``config_levels`` maps the path of a configuration file
    to the flag of ``kedge config`` that names it (``--user``). ``package_manager`` is the name of
    the system's, where one is known.
    """

    words: tuple[str, ...]
    program: tuple[str, ...] = ("kedge",)
    shell: Shell = Shell.POSIX
    platform: str = "linux"
    config_levels: Mapping[str, str] = field(default_factory=dict)
    package_manager: str = ""


@frozen
class Change:
    """What is done to the user's command before it runs again.

    ``unset`` are variables to do without, ``edits`` settings of files to take out.
    """

    words: tuple[str, ...]
    unset: tuple[str, ...] = ()
    edits: tuple[Origin, ...] = ()

    def adding(self, *words: str) -> Change:
        """With these words after the others, but before a ``--``."""
        end = self.words.index("--") if "--" in self.words else len(self.words)
        return replace(self, words=(*self.words[:end], *words, *self.words[end:]))

    def without(self, origin: Origin, value: str | None = None) -> Change:
        """Without a setting, where it was written. ``value`` of a repeated flag names which."""
        match origin.kind:
            case OriginKind.COMMAND_LINE:
                return replace(self, words=without_option(self.words, origin.name, value))
            case OriginKind.ENVIRONMENT if origin.name not in self.unset:
                return replace(self, unset=(*self.unset, origin.name))
            case OriginKind.FILE if origin not in self.edits:
                return replace(self, edits=(*self.edits, origin))
            case _:
                return self


def without_option(words: Sequence[str], flag: str, value: str | None = None) -> tuple[str, ...]:
    """The words without ``flag VALUE`` and ``flag=VALUE``; what comes after ``--`` stays.

    >>> without_option(("install", "--cert", "a.pem", "x", "--cert=b.pem"), "--cert")
    ('install', 'x')
    """
    kept: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return (*kept, word, *rest)
        name, equals, given = word.partition("=")
        if name != flag:
            kept.append(word)
            continue
        taken = [word] if equals or not rest else [word, rest.pop(0)]
        if value is not None and (given if equals else taken[-1]) != value:
            kept += taken
    return tuple(kept)


def without_switch(words: Sequence[str], *switches: str) -> tuple[str, ...]:
    """The words without these, each of which stands alone."""
    end = words.index("--") if "--" in words else len(words)
    return (*(word for word in words[:end] if word not in switches), *words[end:])


def common_options(words: Sequence[str]) -> tuple[str, ...]:
    """Those options among the words that any other command takes, too, with their values.

    >>> common_options(("install", "-i", "https://a.example/", "--cert=a.pem", "-v", "x"))
    ('--cert', 'a.pem', '-v')
    """
    try:
        found = read_words(words).occurrences
    except UsageError:
        return ()
    common = (each for each in found if each.option.commands is None)
    return tuple(
        word
        for each in common
        for word in ((each.flag,) if each.text is None else (each.flag, each.text))
    )


def command(user: User, words: Iterable[str], *, unset: Iterable[str] = ()) -> str:
    """One line to paste: the program with these words."""
    shown = [_redacted(word) for word in words]
    return join([*user.program, *shown], user.shell, without=unset)


#: What stands where the user has to put his own.
PLACEHOLDER = "USER:PASSWORD"


def _redacted(word: str) -> str:
    if f"//{PLACEHOLDER}@" in word:
        return word
    flag, equals, value = word.partition("=")
    if equals and flag.startswith("-") and "://" in value:
        return f"{flag}={redact_url(value)}"
    return redact_url(word) if "://" in word else word


def commands(user: User, change: Change) -> tuple[str, ...]:
    """The lines to paste: edits of files that ``kedge config`` can make, then the command."""
    edits = [
        command(user, ("config", level, "unset", f"{origin.section}.{origin.name}"))
        for origin in change.edits
        if (level := user.config_levels.get(origin.path or ""))
    ]
    return (*edits, command(user, change.words, unset=change.unset))


def by_hand(user: User, change: Change) -> tuple[Origin, ...]:
    """Settings in files that ``kedge config`` does not write: somebody has to take them out."""
    return tuple(each for each in change.edits if (each.path or "") not in user.config_levels)
