"""The documentation says what is: pages, examples, links and commands."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest

from diagnose import specimens
from kedge.cli.help import help_on
from kedge.diagnose import Cause, cause_page, pages
from kedge.settings.words import read_words
from support import surroundings

DOCS = Path(__file__).parent.parent / "docs"
CAUSES = DOCS / "causes"
pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(not DOCS.is_dir(), reason="not here: the documentation"),
]

every_cause = pytest.mark.parametrize(
    "cause", [pytest.param(each, id=each.value) for each in Cause]
)


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cause_pages", DOCS / "cause_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text_of(cause: Cause) -> str:
    return (CAUSES / f"{cause.value}.md").read_text("utf-8")


def test_every_cause_has_a_page_and_a_row() -> None:
    assert {path.stem for path in CAUSES.glob("*.md")} == {"index", *(each.value for each in Cause)}
    assert (CAUSES / "index.md").read_text("utf-8") == generator().index()


@every_cause
def test_a_page_is_the_one_that_kedge_ships_and_its_anchor_is_the_code(cause: Cause) -> None:
    made = generator()
    text = text_of(cause)
    assert text == made.compose(cause_page(cause).text, made.example_of(text))
    assert text.startswith(f"# {cause.value}\n")


@every_cause
@pytest.mark.skipif(sys.platform != "linux", reason="the examples name Linux's commands")
@pytest.mark.skipif(not specimens.comparable(), reason="the examples have OpenSSL 3's words")
def test_an_example_is_what_kedge_prints(cause: Cause, home: Path, tmp_path: Path) -> None:
    """Run ``python docs/cause_pages.py`` where this fails, and read what has changed."""
    environ = surroundings.cleared(os.environ) | surroundings.homes(home)
    example = generator().example_of(text_of(cause))
    assert specimens.printed(cause, tmp_path, environ) == example
    assert f"Cause: {cause.value}\n" in example
    assert f"More: kedge help {cause.value}" in example


def commands() -> list[str]:
    """Every kedge command that the documentation, the pages and the examples show."""
    texts = [path.read_text("utf-8") for path in sorted(DOCS.rglob("*.md"))]
    texts += [each.text for each in pages()]
    shown = re.compile(r"^(?:\$ |More: |    )+(?:~/kedge/bin/)?kedge (.+)$", re.MULTILINE)
    found = {match for text in texts for match in shown.findall(text)}
    return sorted({re.split(r" [|>] |   #", line)[0].rstrip() for line in found})


def test_there_are_commands_to_read() -> None:
    assert len(commands()) > 60


@pytest.mark.parametrize("line", commands())
def test_a_command_that_is_shown_is_one(line: str) -> None:
    words = read_words(shlex.split(line))
    assert words.command is not None or help_on(words.arguments[0])


#: Not there in a fresh checkout.
WRITTEN_BY_THE_BUILD = (DOCS / "reference" / "commands.md").resolve()


@pytest.mark.parametrize(
    "path", [pytest.param(each, id=each.name) for each in sorted(DOCS.rglob("*.md"))]
)
def test_a_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(
        r"\]\((?!https?://|mailto:)([^)#\s]+)[^)]*\)", path.read_text("utf-8")
    ):
        there = (path.parent / target).resolve()
        assert there.exists() or there == WRITTEN_BY_THE_BUILD, target


@pytest.mark.parametrize(
    "path", [pytest.param(each, id=each.name) for each in sorted(DOCS.rglob("*.md"))]
)
def test_a_table_has_all_its_cells(path: Path) -> None:
    """A row that is cut short ends the table without a word, and what follows it is lost."""
    for table in re.findall(r"(?:^\|.*\n)+", path.read_text("utf-8"), re.MULTILINE):
        rows = table.splitlines()
        assert len(rows) > 2, rows
        assert len({len(re.split(r"(?<!\\)\|", row.rstrip())) for row in rows}) == 1, rows
