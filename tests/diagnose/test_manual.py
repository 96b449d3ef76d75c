"""The pages about the causes, as kedge ships them."""

from __future__ import annotations

from importlib import resources

import pytest

from kedge.diagnose import Cause, cause_page, pages

every_cause = pytest.mark.parametrize(
    "cause", [pytest.param(each, id=each.value) for each in Cause]
)


def test_every_cause_has_its_page_and_there_are_no_others() -> None:
    folder = resources.files("kedge.diagnose").joinpath("pages")
    files = {each.name for each in folder.iterdir()}
    assert files == {f"{cause.value}.md" for cause in Cause}
    assert [each.cause for each in pages()] == list(Cause)


@every_cause
def test_a_page_says_what_and_who_and_then_symptom_cause_remedy(cause: Cause) -> None:
    found = cause_page(cause)
    headings = [row for row in found.text.splitlines() if row.startswith("#")]
    assert headings == [f"# {cause.value}", "## Symptom", "## Cause", "## Remedy"]
    for sentence in (found.summary, found.mends):
        assert sentence.endswith(".")
        assert "\n" not in sentence
    assert f"\nWho can mend it: {found.mends.split()[0]}" in found.text


@every_cause
def test_a_page_fits_a_terminal(cause: Cause) -> None:
    """Commands apart, which are pasted; kedge puts two columns before each row."""
    text = cause_page(cause).text
    assert all(len(row) <= 78 for row in text.splitlines() if not row.startswith("    $ "))
    assert len(text.splitlines()) < 60
