"""The JSON that is printed, against the schema that is documented."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest

from diagnose import zoo
from diagnose.zoo import Keeper
from kedge import diagnose
from kedge.diagnose import checkup, linted
from kedge.diagnose.comparison import Role
from kedge.diagnose.evidence import Cause
from kedge.diagnose.lint import Flaw, Level, Rules, lint
from kedge.diagnose.remedies import RemedyKind
from kedge.model import StoreKind, TrustSource
from support import pki

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((REFERENCE / f"{name}.schema.json").read_text("utf-8"))
    return found


def closed(part: Any) -> Any:
    """The schema without room for what it does not name: a new field must be documented."""
    if isinstance(part, dict):
        found = {key: closed(value) for key, value in part.items()}
        if "properties" in found:
            found["additionalProperties"] = False
        return found
    return [closed(each) for each in part] if isinstance(part, list) else part


def check(name: str, value: dict[str, Any]) -> None:
    fastjsonschema.validate(closed(schema(name)), json.loads(json.dumps(value)))


@pytest.mark.parametrize(
    "animal",
    [
        zoo.private_root,
        zoo.stale_bundle,
        zoo.missing_with_aia,
        zoo.intercepted,
        zoo.strict,
        zoo.bad_bundle,
        zoo.proxy_untrusted,
        zoo.old_protocol,
        zoo.nobody_listens,
        zoo.skewed(-40, pki.VALID),
    ],
    ids=lambda animal: getattr(animal, "__name__", ""),
)
def test_what_the_doctor_prints(animal: Any, keeper: Keeper) -> None:
    url = animal(keeper)
    user = diagnose.User(words=("doctor",))
    found = diagnose.diagnose_url(url, keeper.surroundings, user)
    blocking = checkup.Remark(
        code=checkup.RemarkCode.CREDENTIALS, sentence="It wants some.", blocks=True
    )
    peers = (
        checkup.Peer(part=checkup.Part.INDEX, url=url, because="--index-url", diagnosis=found),
        checkup.Peer(part=checkup.Part.PROXY, url=url, because="x", remarks=(blocking,)),
    )
    about = dict.fromkeys(("kedge", "python", "openssl", "platform", "time"), "1")
    told = checkup.Checkup(decision=keeper.decision, peers=peers, about=about)
    check("doctor", checkup.as_json(told))


def test_what_the_lint_prints(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    root = pki.authority("Root")
    old = pki.authority("Old", validity=pki.EXPIRED)
    bundle.write_bytes(root.pem + old.pem + root.pem + root.leaf("x.example").pem + root.key_pem)
    rules = Rules(environ={}, now=datetime.now(timezone.utc))
    sources = [
        lint(TrustSource(StoreKind.BUNDLE, path=str(path)), rules, in_force=True)
        for path in (bundle, tmp_path / "absent.pem")
    ]
    check("doctor-lint", linted.as_json(sources, strict=False))


def test_an_undocumented_field_would_be_noticed() -> None:
    value = linted.as_json([], strict=False)
    check("doctor-lint", value)
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        check("doctor-lint", {**deepcopy(value), "news": 1})


@pytest.mark.parametrize(
    ("name", "definition", "field", "members"),
    [
        ("doctor", "finding", "code", [each.value for each in Cause]),
        ("doctor", "remedy", "kind", [each.value for each in RemedyKind]),
        ("doctor", "verdict", "role", [each.name.lower() for each in Role]),
        ("doctor", "peer", "part", [each.value for each in checkup.Part]),
        ("doctor", "remark", "code", [each.value for each in checkup.RemarkCode]),
        ("doctor-lint", "defect", "code", [each.value for each in Flaw]),
        ("doctor-lint", "defect", "level", [each.value for each in Level]),
    ],
)
def test_closed_sets_are_documented_whole(
    name: str, definition: str, field: str, members: list[str]
) -> None:
    documented = schema(name)["definitions"][definition]["properties"][field]["enum"]
    assert sorted(documented) == sorted(members)


@pytest.mark.parametrize("kind", [checkup.RemarkCode, Flaw], ids=["remarks", "flaws"])
def test_the_page_tells_of_each_code(kind: type[Enum]) -> None:
    page = (REFERENCE / "doctor.md").read_text("utf-8")
    assert [each.value for each in kind if f"`{each.value}`" not in page] == []
