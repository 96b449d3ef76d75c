"""What ``kedge help WORD`` prints: the help of a command, or the page about a cause.

The words of commands are :mod:`kedge.cli.parser`'s, those of causes come with
:mod:`kedge.diagnose`.
"""

from __future__ import annotations

from difflib import get_close_matches
from textwrap import fill

from kedge.cli.parser import format_help
from kedge.errors import UsageError
from kedge.settings.commands import COMMANDS, find_command

#: ``kedge help causes`` lists them.
CAUSES = "causes"
_INDENT = "  "


def help_on(topic: str | None) -> str:
    """The text for one word, or for none; raises ``UsageError`` for a word that says nothing."""
    if topic is None or find_command(topic) is not None:
        return format_help(topic)
    from kedge.diagnose import Cause, cause_page

    if topic == CAUSES:
        return _list_of_causes()
    known = {cause.value: cause for cause in Cause}
    if topic in known:
        return _as_text(cause_page(known[topic]).text)
    names = [*known, *(command.name for command in COMMANDS), CAUSES]
    near = get_close_matches(topic, names, n=1)
    where = "kedge --help lists the commands, kedge help causes why a connection can fail."
    raise UsageError(
        f"There is no help on {topic!r}.", hint=f"Did you mean '{near[0]}'?" if near else where
    )


def _as_text(page: str) -> str:
    """Without Markdown's marks: headings at the edge, the rest below them."""
    rows = []
    for row in page.splitlines():
        if row.startswith("#"):
            rows.append(row.lstrip("# "))
        else:
            rows.append(f"{_INDENT}{row.replace('`', '')}" if row else "")
    return "\n".join(rows)


def _list_of_causes() -> str:
    from kedge.diagnose import pages

    rows = ["Why a connection can fail; kedge help <cause> tells more.", ""]
    for each in pages():
        rows.append(each.cause.value)
        rows.append(fill(each.summary, 78, initial_indent=_INDENT, subsequent_indent=_INDENT))
    return "\n".join(rows)
