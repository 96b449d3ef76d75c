"""Files that are made when their version is reached: the same, in the same order, as at once."""

from __future__ import annotations

import random

import pytest
from packaging.utils import canonicalize_name

from kedge.index.entries import Links
from kedge.index.files import files_of
from kedge.index.links import Link
from kedge.index.releases import Listed, Releases

NAME = canonicalize_name("Zope.Spam")
_STEMS = ["zope_spam", "Zope.Spam", "zope-spam", "zope", "zope_spam_more"]
_VERSIONS = ["1.0", "1", "1.0.0", "2.0b1", "2.0-b1", "3", "nonsense", "", "1.0-1"]
_ENDS = ["-py3-none-any.whl", "-1-py3-none-any.whl", "-py3.whl", ".tar.gz", ".zip", ".exe", "/.zip"]


def page(rng: random.Random, *, plain: bool) -> list[Link]:
    """Links of all kinds; ``plain`` ones have a URL of their own and no fragment."""
    links = []
    for number in range(rng.randint(0, 80)):
        name = f"{rng.choice(_STEMS)}-{rng.choice(_VERSIONS)}{rng.choice(_ENDS)}"
        url = f"https://files.test/{number if plain else rng.randrange(20)}/{name}"
        egg = None if plain or rng.random() < 0.9 else f"{rng.choice(_STEMS)}-{rng.choice('123')}"
        links.append(Link(url=url, filename=name, egg=egg))
    return links


@pytest.mark.parametrize("seed", range(60))
def test_the_same_files_in_the_same_order(seed: int) -> None:
    rng = random.Random(seed)
    pages = [
        Listed(NAME, Links.of(page(rng, plain=rng.random() < 0.7)), f"index {n}") for n in range(2)
    ]
    every = [
        file
        for one in pages
        for file in files_of(NAME, one.links, index=one.index, page_verified=True)
    ]
    releases = Releases((), pages)
    assert list(releases) == every
    versions = releases.versions()
    assert versions == sorted(versions, reverse=True)
    assert {file.version for file in every} <= set(versions)
    for version in versions:
        assert releases.of(version) == [file for file in every if file.version == version]
