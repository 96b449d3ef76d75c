"""Which environments are not to be changed, and what is said instead.

Two kinds: those that their distributor manages (PEP 668), refused exactly when pip refuses them;
and kedge's own, where pipx or uvx made it to hold kedge alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from kedge.environment.choose import Choice
from kedge.environment.interpreter import Interpreter
from kedge.errors import TargetError


def refuse_externally_managed(
    interpreter: Interpreter,
    *,
    choice: Choice,
    environ: Mapping[str, str],
    elsewhere: bool = False,
    break_system_packages: bool = False,
) -> None:
    """Return when the environment may be changed.

    ``elsewhere`` is that it is not this environment that would be: installing with
    ``--target``, ``--prefix`` or ``--root``, or ``--dry-run`` together with ``--report``
    (pip's exceptions; uninstalling has none). ``environ`` chooses the message's language.

    :raises TargetError: it may not.
    """
    if elsewhere:
        return
    tool = None if choice.is_named or not interpreter.own else tool_that_made(interpreter.prefix)
    if tool is not None:
        raise TargetError(
            f"{interpreter.prefix} is kedge's own environment, which {tool} made for it alone.",
            hint="Activate the environment to install into, or name it with --python.",
        )
    marker = interpreter.externally_managed
    if marker is not None and not break_system_packages:
        message = message_from(marker, languages(environ))
        detail = f" {message}" if message else ""
        raise TargetError(
            f"The environment {interpreter.prefix} is externally managed.{detail}",
            hint="Install into a virtual environment (python3 -m venv FOLDER, then --python "
            "FOLDER). --break-system-packages overrides this, at the risk of breaking the "
            "system's Python.",
        )


def tool_that_made(prefix: Path) -> str | None:
    """``pipx``, ``uv tool`` or ``uvx`` if the environment was made to hold one program.

    >>> tool_that_made(Path("/nowhere")) is None
    True
    """
    if (prefix / "pipx_metadata.json").is_file():
        return "pipx"
    if (prefix / "uv-receipt.toml").is_file():
        return "uv tool"
    # uvx keeps its environments in its cache: ROOT/archive-v0/ID, linked from environments-v2.
    for folder in prefix.parents:
        bucket = re.fullmatch(r"(archive|environments|builds)-v\d+", folder.name)
        if bucket and (folder.parent / "CACHEDIR.TAG").is_file():
            return "uvx"
    return None


def message_from(marker: Path, wanted: tuple[str, ...] = ()) -> str | None:
    """The distributor's own words: ``Error-de_AT``, ``Error-de`` or ``Error`` of the file.

    ``None`` when the file has none or cannot be read: the environment is managed all the same.
    """
    import configparser

    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(marker.read_text(encoding="utf-8"))
        section = parser["externally-managed"]
    except (OSError, UnicodeDecodeError, KeyError, configparser.Error):
        return None
    for key in (*(f"Error-{language}" for language in wanted), "Error"):
        if section.get(key):
            return section[key]
    return None


def languages(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The user's languages for messages, most exact first (POSIX: the first variable set).

    >>> languages({"LANG": "de_AT.UTF-8"})
    ('de_AT', 'de-AT', 'de')
    >>> languages({"LC_ALL": "C", "LANG": "de_AT.UTF-8"})
    ()
    """
    names = (environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    locale = next((name for name in names if name), "")
    return tuple(dict.fromkeys(_spellings(re.split(r"[.@]", locale)[0])))


def _spellings(locale: str) -> Iterator[str]:
    if locale in ("", "C", "POSIX"):
        return
    yield locale
    yield locale.replace("_", "-")
    yield re.split(r"[-_]", locale)[0]
