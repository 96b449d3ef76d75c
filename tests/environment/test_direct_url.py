from __future__ import annotations

import json
from typing import Any

import pytest
from packaging.direct_url import DirectUrl as Reference
from packaging.direct_url import DirectUrlValidationError

from kedge.environment.direct_url import parse_direct_url, reference
from kedge.model import DirectUrl

URL = "https://example.org/a"
FOLDER = "file:///a/project"


@pytest.mark.parametrize(
    ("data", "expected", "requirement"),
    [
        pytest.param(
            {"url": URL, "archive_info": {"hashes": {"sha256": "0a"}}},
            DirectUrl(URL, archive_hashes={"sha256": "0a"}),
            f"x @ {URL}#sha256=0a",
            id="archive",
        ),
        pytest.param(
            {"url": URL, "archive_info": {"hash": "sha512=0b"}, "subdirectory": "s"},
            DirectUrl(URL, archive_hashes={"sha512": "0b"}, subdirectory="s"),
            f"x @ {URL}#sha512=0b&subdirectory=s",
            id="archive-older-hash",
        ),
        pytest.param(
            {"url": URL, "archive_info": {}},
            DirectUrl(URL, archive_hashes={}),
            f"x @ {URL}",
            id="archive-without-hash",
        ),
        pytest.param(
            {"url": FOLDER, "dir_info": {}},
            DirectUrl(FOLDER, directory=True),
            f"x @ {FOLDER}",
            id="folder",
        ),
        pytest.param(
            {"url": FOLDER, "dir_info": {"editable": True}},
            DirectUrl(FOLDER, directory=True, editable=True),
            f"x @ {FOLDER}",
            id="editable",
        ),
        pytest.param(
            {
                "url": URL,
                "vcs_info": {"vcs": "git", "commit_id": "c0", "requested_revision": "main"},
                "subdirectory": "s/t",
            },
            DirectUrl(
                URL, vcs="git", commit_id="c0", requested_revision="main", subdirectory="s/t"
            ),
            f"x @ git+{URL}@c0#subdirectory=s/t",
            id="vcs",
        ),
    ],
)
def test_what_pep_610_describes(
    data: dict[str, Any], expected: DirectUrl, requirement: str
) -> None:
    Reference.from_dict(data)  # the example is one that packaging accepts
    assert parse_direct_url(json.dumps(data)) == expected
    assert reference(expected, "x") == requirement


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"url": URL}, id="no-kind"),
        pytest.param({"archive_info": {}}, id="no-url"),
        pytest.param({"url": 1, "archive_info": {}}, id="url-not-text"),
        pytest.param({"url": URL, "archive_info": {}, "dir_info": {}}, id="two-kinds"),
        pytest.param({"url": URL, "archive_info": []}, id="kind-not-a-table"),
        pytest.param({"url": URL, "vcs_info": {"vcs": "git"}}, id="no-commit"),
        pytest.param({"url": URL, "vcs_info": {"commit_id": "c0"}}, id="no-vcs"),
        pytest.param({"url": URL, "archive_info": {}, "subdirectory": 1}, id="subdirectory-number"),
        pytest.param({"url": URL, "dir_info": {}}, id="folder-elsewhere"),
    ],
)
def test_what_it_does_not(data: dict[str, Any]) -> None:
    with pytest.raises(DirectUrlValidationError):
        Reference.from_dict(data)
    assert parse_direct_url(json.dumps(data)) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"'])
def test_what_is_no_json_object(text: str) -> None:
    assert parse_direct_url(text) is None
