"""The commands, their actions and how many words each takes. Data only.

A command that is not in ``COMMANDS`` does not exist: not for the parser, not for the help.
"""

from __future__ import annotations

from kedge.classes import frozen

INSTALL = "install"
DOWNLOAD = "download"
UNINSTALL = "uninstall"
LIST = "list"
FREEZE = "freeze"
TRUST = "trust"
DOCTOR = "doctor"
CONFIG = "config"
CACHE = "cache"
HELP = "help"


@frozen
class Action:
    """The first word after some commands: ``kedge config set``. ``most`` None means any number."""

    name: str
    summary: str
    words: str = ""
    least: int = 0
    most: int | None = 0


@frozen
class Command:
    """One command. ``default_action`` is what it does without a word, if it can do without.

    ``section`` is the section of pip's files that it reads, where that is not its own.
    """

    name: str
    summary: str
    words: str = ""
    least: int = 0
    most: int | None = 0
    actions: tuple[Action, ...] = ()
    default_action: str | None = None
    section: str = ""

    def action(self, name: str) -> Action | None:
        return next((action for action in self.actions if action.name == name), None)


COMMANDS = (
    Command(INSTALL, "Install packages.", "<requirement> ...", most=None),
    Command(DOWNLOAD, "Fetch packages into a folder, as files.", "<requirement> ...", most=None),
    Command(UNINSTALL, "Uninstall packages.", "<package> ...", most=None),
    Command(LIST, "List installed packages."),
    Command(FREEZE, "Print the installed packages in the format of a requirements file."),
    Command(
        TRUST,
        "Show which certificates are trusted, and why.",
        actions=(
            Action(
                "show", "What is trusted here, and the settings that decided it.", "[host]", 0, 1
            ),
            Action("export", "Print the trust anchors in force as PEM."),
            Action(
                "env",
                "Print the variables that make other programs trust the same, for the shell.",
                "[folder]",
                0,
                1,
            ),
            Action(
                "exec", "Run one program so that it trusts the same.", "-- <program> ...", 1, None
            ),
            Action(
                "fetch-issuer",
                "Fetch what a server forgot to send of its chain, verify it, and save it.",
                "<host> <file>",
                2,
                2,
            ),
        ),
        default_action="show",
    ),
    Command(
        DOCTOR,
        "Say whether an install would get through, what stands in the way, and what to do.",
        "[<url> ...]",
        most=None,
        section=INSTALL,
    ),
    Command(
        CONFIG,
        "Read and change pip's configuration files.",
        actions=(
            Action("list", "Every value that is set, and where."),
            Action("get", "Print one value.", "<section>.<option>", 1, 1),
            Action("set", "Write one value.", "<section>.<option> <value>", 2, 2),
            Action("unset", "Remove one value.", "<section>.<option>", 1, 1),
            Action("debug", "The files that are looked for, and what each holds."),
        ),
    ),
    Command(
        CACHE,
        "Inspect and clear the cache.",
        actions=(
            Action("dir", "Print the cache's folder."),
            Action("info", "What it holds, and how much."),
            Action("list", "The wheels in it.", "[pattern]", 0, 1),
            Action(
                "remove", "Remove the wheels that match a name or a pattern.", "<pattern>", 1, 1
            ),
            Action("purge", "Remove everything, or what --older-than and --keep say."),
        ),
    ),
    Command(HELP, "Show help on a command, or on the cause of a failure.", "[word]", most=1),
)

#: Commands of pip that kedge does not have, for a better answer than "no such command".
PIP_ONLY_COMMANDS = frozenset(
    (
        "check", "completion", "debug", "hash", "index", "inspect", "lock", "search",
        "show", "wheel",
    )
)  # fmt: skip


def find_command(name: str | None) -> Command | None:
    """The command of that name, if there is one."""
    return next((command for command in COMMANDS if command.name == name), None)
