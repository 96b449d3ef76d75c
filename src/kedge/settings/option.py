"""What an option is: its flags, how its text is read, how its settings add up, who takes it.

The table itself is :mod:`kedge.settings.options`. Nothing here knows a particular option.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Generic, TypeVar

from kedge.classes import frozen

T = TypeVar("T")


class Kind(Enum):
    """How the settings of one option add up (pip's optparse actions, by their effect).

    ``LIST`` is ``append``: a variable or a file gives words separated by whitespace, the strongest
    of them is the list to start from, and the command line adds to it. ``CUMULATIVE`` is what
    pip's callback options do: every setting counts, weakest first, and none is split.
    """

    FLAG = "flag"
    COUNT = "count"
    VALUE = "value"
    LIST = "list"
    CUMULATIVE = "cumulative"

    @property
    def takes_value(self) -> bool:
        return self not in (Kind.FLAG, Kind.COUNT)


class Treatment(Enum):
    """What becomes of an option that pip has.

    ``IDLE``: accepted, and without effect here, because there is nothing for it to change.
    ``REFUSED``: an error, because passing it over would change what is installed or shown.
    """

    OBEYED = "obeyed"
    IDLE = "idle"
    REFUSED = "refused"


@frozen(eq=False, repr=False, kw_only=True)
class Option(Generic[T]):
    """One option: a row of the table, and the key to its value in ``Settings``.

    ``flags`` switch on (or take the value); ``off_flags`` switch off. ``commands`` is None for a
    general option. ``read`` turns one text into one value and raises ``ValueError`` with what it
    expected. ``path`` texts have ``~`` expanded. ``reason`` goes with a treatment that is not
    ``OBEYED``. ``own`` options are kedge's, not pip's. ``default_help`` words a default that
    depends on the machine.
    """

    kind: Kind
    default: T
    help: str
    group: str
    flags: tuple[str, ...] = ()
    off_flags: tuple[str, ...] = ()
    commands: frozenset[str] | None = None
    read: Callable[[str], object] = str
    choices: tuple[str, ...] = ()
    metavar: str = ""
    path: bool = False
    may_be_empty: bool = False
    treatment: Treatment = Treatment.OBEYED
    reason: str = ""
    own: bool = False
    command_line_only: bool = False
    default_help: str = ""

    @property
    def all_flags(self) -> tuple[str, ...]:
        return self.flags + self.off_flags

    @property
    def name(self) -> str:
        """The first long flag without its dashes: what a configuration file calls it."""
        return next(flag[2:] for flag in self.all_flags if flag.startswith("--"))

    @property
    def flag(self) -> str:
        """The first long flag: what a message calls it."""
        return "--" + self.name

    def taken_by(self, command: str | None) -> bool:
        return self.commands is None or command in self.commands

    def __repr__(self) -> str:
        return f"<Option {self.flag}>"
