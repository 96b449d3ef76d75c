"""Writes ``causes/``: a page for each cause of a failed connection, with what kedge prints for it.

The words come from the pages that kedge ships (``kedge help CAUSE``), the examples from real
servers with that defect. ``python docs/cause_pages.py`` runs them all and writes the pages anew; a
test compares, so that neither the words nor the examples can fall behind.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "causes"

_HEAD = """# Causes

When a connection fails, kedge ends with the cause under one of these codes. `kedge help <code>`
prints the page about it, without a network; `kedge help causes` prints this list. Several causes
may hold at once: a certificate can have expired *and* come from an authority that nobody knows.

The examples on the pages were made with real servers that have the defect, on one machine; ports,
dates and fingerprints are replaced. How kedge finds the cause, and what it sends meanwhile, is told
in [How a diagnosis is made](../explanation/diagnosis.md); which error message belongs to which
cause, in [Troubleshooting](../how-to/troubleshooting.md).

| code | what it means | who can mend it |
|---|---|---|
"""
_TAIL = """
```{toctree}
:hidden:
:glob:

*
```
"""
_SHOWN = "kedge prints:\n\n```text\n"


def compose(page: str, example: str) -> str:
    """The page of the documentation: the shipped words, and the example below the symptom."""
    symptom, cause, rest = page.partition("\n## Cause\n")
    with_example = f"{symptom}\n{_SHOWN}{example}\n```\n{cause}{rest}"
    return _linked(_fenced(with_example), page.partition("\n")[0].lstrip("# "))


def example_of(composed: str) -> str:
    """The example in a page of the documentation."""
    return composed.partition(_SHOWN)[2].partition("\n```\n")[0]


def index() -> str:
    """The table of all causes."""
    from kedge.diagnose import pages

    rows = []
    for each in pages():
        code = each.cause.value
        rows.append(f"| [`{code}`]({code}.md) | {each.summary} | {each.mends.rstrip('.')} |")
    return _HEAD + "\n".join(rows) + "\n" + _TAIL


def _fenced(text: str) -> str:
    """Commands in fences, which Sphinx colours."""
    return re.sub(
        r"(?:^    \$ .*\n)+",
        lambda block: "```console\n" + re.sub("(?m)^    ", "", block[0]) + "```\n",
        text,
        flags=re.MULTILINE,
    )


def _linked(text: str, own: str) -> str:
    """The codes of other causes lead to their pages."""
    from kedge.diagnose import Cause

    for cause in Cause:
        if cause.value != own:
            text = text.replace(f"`{cause.value}`", f"[`{cause.value}`]({cause.value}.md)")
    return text


def main() -> None:
    """Run every example and write every page."""
    sys.path.insert(0, str(ROOT / "tests"))
    from diagnose.specimens import printed
    from kedge.diagnose import pages
    from support import surroundings

    FOLDER.mkdir(exist_ok=True)
    for page in pages():
        with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as folder:
            environ = surroundings.cleared(os.environ) | surroundings.homes(Path(home))
            example = printed(page.cause, Path(folder), environ)
        path = FOLDER / f"{page.cause.value}.md"
        path.write_text(compose(page.text, example), encoding="utf-8")
        print(path.relative_to(ROOT))
    (FOLDER / "index.md").write_text(index(), encoding="utf-8")


if __name__ == "__main__":
    main()
