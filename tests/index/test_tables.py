from __future__ import annotations

import pytest
from packaging.utils import canonicalize_name

from kedge.index import Link
from kedge.index.tables import LinkTable

NAMES = [
    "zope.interface-1.0.zip",
    "spam-1.0-py3-none-any.whl",
    "zope_interface-2.0-py3-none-any.whl",
    "Zope-1.0.tar.gz",
    "spam_more-1.0-py3-none-any.whl",
    "spam-2.0.tar.gz",
]


@pytest.mark.parametrize(
    ("project", "offered"),
    [
        # A source archive's name may end anywhere, a wheel's ends at the first dash.
        ("zope-interface", [0, 2, 3]),
        ("zope", [0, 3]),
        ("spam", [1, 5]),
        ("spam-more", [4, 5]),
        ("eggs", []),
    ],
)
def test_a_project_is_offered_what_may_be_its_own(project: str, offered: list[int]) -> None:
    table = LinkTable(Link(url=f"https://f.example/{name}", filename=name) for name in NAMES)
    found = [link.filename for link in table.of(canonicalize_name(project))]
    assert found == [NAMES[number] for number in offered]


def test_an_egg_fragment_stands_in_for_the_name() -> None:
    link = Link(url="https://f.example/x.whl", filename="x-1-py3-none-any.whl", egg="Spam-1.0")
    table = LinkTable([link])
    assert table.of(canonicalize_name("spam")) == [link]
    assert table.of(canonicalize_name("x")) == []
