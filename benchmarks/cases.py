"""What is timed: the rows of the table, each with what it starts from and what it should come to.

Cases follow each other on one environment and one cache of the tool's; a case says what of these
it begins with anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from made import LARGE, PINNED, SMALL, TORN

#: Ten names, of which every tool finds out what else they need.
SET = (
    "jupyterlab", "boto3", "fastapi[standard]", "pandas", "scikit-learn", "django", "sphinx",
    "matplotlib", "sqlalchemy", "flask",
)  # fmt: skip


@dataclass(frozen=True)
class Goal:
    """At most ``ratio`` times what ``peer`` takes."""

    peer: str
    ratio: float


@dataclass(frozen=True)
class Case:
    """``requests`` empty: the program is only asked for its version.

    ``compiling``: also run by the tools that are told to compile. ``slow``: over a link of 20 ms
    and 200 Mbit/s. ``refused``: with an authority that did not issue the server's certificate, and
    expected to fail. ``goals`` are for kedge, ``compiled_goals`` for kedge ``--compile``.
    """

    name: str
    requests: tuple[str, ...] = SET
    fresh_cache: bool = False
    fresh_environment: bool = True
    compiling: bool = False
    slow: bool = False
    dry_run: bool = False
    refused: bool = False
    goals: tuple[Goal, ...] = ()
    compiled_goals: tuple[Goal, ...] = ()


UV, UV_COMPILE = "uv", "uv --compile-bytecode"
PIP, PIP_PLAIN = "pip", "pip --no-compile"
BARE = "python -c pass"

CASES = (
    Case("version", (), goals=(Goal(BARE, 1.6),)),
    Case("one small package, cold", (SMALL,), fresh_cache=True, goals=(Goal(PIP_PLAIN, 0.4),)),
    Case(
        "the set, cold",
        fresh_cache=True,
        compiling=True,
        goals=(Goal(UV, 1.5),),
        compiled_goals=(Goal(UV_COMPILE, 1.0), Goal(PIP, 0.6)),
    ),
    Case(
        "the set, warm",
        compiling=True,
        goals=(Goal(UV, 2.0),),
        compiled_goals=(Goal(UV_COMPILE, 0.06),),
    ),
    Case("nothing to do", fresh_environment=False, goals=(Goal(PIP_PLAIN, 0.4),)),
    Case("resolve only, warm", dry_run=True, goals=(Goal(PIP_PLAIN, 0.1),)),
    # Nothing that was asked before: what a tool keeps of an answer is of no use.
    Case("resolve only, another question", SET[:-1], dry_run=True, goals=(Goal(PIP_PLAIN, 0.1),)),
    Case("the set, cold, slow link", fresh_cache=True, slow=True, goals=(Goal(UV, 1.15),)),
    Case("the set, warm, slow link", slow=True, goals=(Goal(UV, 2.0),)),
    Case("one 222 MB wheel, cold", (LARGE,), fresh_cache=True, goals=(Goal(UV, 1.3),)),
    Case(
        "a resolution that backtracks, cold",
        (TORN, f"{PINNED}<5"),
        fresh_cache=True,
        dry_run=True,
        goals=(Goal(PIP_PLAIN, 0.5),),
    ),
    Case(
        "verification fails",
        (SMALL,),
        fresh_cache=True,
        dry_run=True,
        refused=True,
        goals=(Goal(PIP_PLAIN, 0.1),),
    ),
)
