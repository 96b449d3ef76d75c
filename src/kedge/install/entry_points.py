"""``entry_points.txt``: which programs a distribution wants. Text in, values out.

https://packaging.python.org/specifications/entry-points/
"""

from __future__ import annotations

import re

from kedge.classes import frozen
from kedge.install.paths import path_problem

#: The groups that become programs; ``gui_scripts`` have no console window on Windows.
CONSOLE, GUI = "console_scripts", "gui_scripts"

# As importlib.metadata reads it, less strict than the specification.
_VALUE = re.compile(r"(?P<module>[\w.]+)\s*(:\s*(?P<attr>[\w.]+)\s*)?(\[(?P<extras>.*)\])?\s*$")


@frozen
class EntryPoint:
    """A program: ``name`` starts ``attr`` of ``module``. Extras are said and have no effect."""

    name: str
    module: str
    attr: str
    is_gui: bool = False


def parse_entry_points(text: str) -> tuple[tuple[EntryPoint, ...], tuple[str, ...]]:
    """The programs, and what is wrong with them, in sentences (pip refuses all of these too).

    Of two programs with one name the later counts. Other groups are passed over.

    >>> parse_entry_points("[console_scripts]\\nfoo = foo.cli:main [extra]")
    ((EntryPoint(name='foo', module='foo.cli', attr='main', is_gui=False),), ())
    """
    found: dict[tuple[str, str], EntryPoint] = {}
    problems: list[str] = []
    group = ""
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith(("#", ";")):
            continue
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif group in (CONSOLE, GUI):
            name, separator, value = (part.strip() for part in line.partition("="))
            problem = _name_problem(name)
            match = _VALUE.match(value) if separator else None
            if problem is not None:
                problems.append(f"the entry point {name!r} {problem}")
            elif match is None or not match["attr"]:
                problems.append(f"the entry point {name} names nothing to call: {value!r}")
            else:
                found[group, name] = EntryPoint(name, match["module"], match["attr"], group == GUI)
    return tuple(found.values()), tuple(problems)


def _name_problem(name: str) -> str | None:
    # A name becomes a file of the scripts folder, and must not become one elsewhere.
    if not name or name in (".", ".."):
        return "has no usable name"
    if "/" in name or "\\" in name or re.match(r"[A-Za-z]:", name):
        return "would be written outside the folder of programs"
    return path_problem(name)
