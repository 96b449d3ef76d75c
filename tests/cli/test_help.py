"""``kedge help WORD``: commands, causes, and what is neither."""

from __future__ import annotations

import pytest

from kedge.cli.help import help_on
from kedge.cli.parser import format_help
from kedge.diagnose import Cause
from kedge.errors import UsageError
from support.venvs import Kedge


@pytest.mark.parametrize("topic", [None, "install", "config"])
def test_on_commands_it_is_their_help(topic: str | None) -> None:
    assert help_on(topic) == format_help(topic)


@pytest.mark.parametrize("cause", list(Cause), ids=lambda each: each.value)
def test_on_a_cause_it_is_its_page_without_marks(cause: Cause) -> None:
    text = help_on(cause.value)
    assert text.startswith(f"{cause.value}\n")
    assert [row for row in text.splitlines() if row and row[0] != " "] == [
        cause.value,
        "Symptom",
        "Cause",
        "Remedy",
    ]
    assert "`" not in text


def test_the_list_of_causes_has_every_cause() -> None:
    rows = help_on("causes").splitlines()
    assert [row for row in rows if row in {cause.value for cause in Cause}] == [
        cause.value for cause in Cause
    ]


@pytest.mark.parametrize(
    ("topic", "near"), [("instal", "'install'"), ("tls-intercept", "'tls-interception'")]
)
def test_a_misspelt_word_is_told_the_right_one(topic: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        help_on(topic)
    assert near in str(caught.value.hint)


def test_from_a_shell(clean_environ: dict[str, str]) -> None:
    kedge = Kedge(clean_environ)
    assert kedge("help", "dns").succeeded().stdout.startswith("dns\n")
    kedge("help", "wibble").failed(2, saying=["wibble", "causes"])
