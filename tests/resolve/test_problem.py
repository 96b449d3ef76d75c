"""The folding of --no-binary and its kin, against pip's own classes; equal URLs."""

from __future__ import annotations

import random

import pytest

from kedge.resolve import FormatControl, ReleaseControl
from kedge.resolve.constraints import url_key

_VALUES = [":all:", ":none:", "Spam", "eggs", "spam,eggs", ":all:,:none:,ham", ":none:,spam", "ham"]
_NAMES = ["spam", "eggs", "ham", "other"]


@pytest.mark.parametrize("seed", range(40))
def test_formats_like_pip(seed: int) -> None:
    pips = pytest.importorskip("pip._internal.models.format_control").FormatControl
    rng = random.Random(seed)
    ours, theirs = FormatControl(), pips()
    for _ in range(rng.randint(1, 4)):
        value = rng.choice(_VALUES)
        if rng.random() < 0.5:
            ours = ours.no_binary(value)
            pips.handle_mutual_excludes(value, theirs.no_binary, theirs.only_binary)
        else:
            ours = ours.only_binary(value)
            pips.handle_mutual_excludes(value, theirs.only_binary, theirs.no_binary)
    for name in _NAMES:
        allowed = theirs.get_allowed_formats(name)
        assert (ours.allows_wheels(name), ours.allows_sdists(name)) == (
            "binary" in allowed,
            "source" in allowed,
        )


@pytest.mark.parametrize("seed", range(40))
def test_releases_like_pip(seed: int) -> None:
    pips = pytest.importorskip("pip._internal.models.release_control").ReleaseControl
    rng = random.Random(seed)
    ours, theirs = ReleaseControl(), pips()
    for _ in range(rng.randint(1, 4)):
        value = rng.choice(_VALUES)
        if rng.random() < 0.5:
            ours = ours.all_releases(value)
            theirs.handle_mutual_excludes(
                value, theirs.all_releases, theirs.only_final, "all_releases"
            )
        else:
            ours = ours.only_final(value)
            theirs.handle_mutual_excludes(
                value, theirs.only_final, theirs.all_releases, "only_final"
            )
    for name in _NAMES:
        assert ours.allows_prereleases(name) is theirs.allows_prereleases(name)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://h/a.whl", "https://me:pw@h/a.whl", True),
        ("https://h/a.whl?x=1&y=2", "https://h/a.whl?y=2&x=1", True),
        ("https://h/a.whl#egg=a", "https://h/a.whl", True),
        ("file:///a.whl", "file://localhost/a.whl", True),
        ("https://h/a.whl", "https://h/b.whl", False),
        ("https://h/a.whl", "https://other/a.whl", False),
        ("https://h/a.whl#sha256=aa", "https://h/a.whl#sha256=bb", False),
        ("https://h/a.zip#subdirectory=x", "https://h/a.zip", False),
    ],
)
def test_urls_of_one_file(one: str, other: str, same: bool) -> None:
    assert (url_key(one) == url_key(other)) is same
