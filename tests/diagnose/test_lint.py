"""Bundles with one defect each, read without a network."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pytest

from diagnose.zoo import signed_with_sha1
from kedge.diagnose.lint import SOON, Flaw, Level, Linted, Rules, lint
from kedge.model import Origin, OriginKind, StoreKind, TrustSource
from support import pki
from support.pki import Authority, Certificate

NAMED = Origin(OriginKind.COMMAND_LINE, "--cert")


def linted(path: Path, *, strict: bool = False) -> Linted:
    rules = Rules(environ={}, now=datetime.now(timezone.utc), strict=strict)
    return lint(TrustSource(StoreKind.BUNDLE, NAMED, str(path)), rules, in_force=True)


def codes(found: Linted) -> list[tuple[str, str]]:
    return [(each.flaw.value, each.level.value) for each in found.defects]


@dataclass(frozen=True)
class Case:
    """What is in the file beside a sound root, and the defects that must be found, all of them."""

    id: str
    others: Callable[[Authority], list[bytes]]
    found: tuple[tuple[str, str], ...]
    vouching: int | None = None


def pems(*certificates: Certificate) -> list[bytes]:
    return [each.pem for each in certificates]


CASES = [
    Case("sound", lambda root: [], (), 1),
    Case(
        "expired",
        lambda root: pems(pki.authority("Old", validity=pki.EXPIRED)),
        (("expired", "error"),),
        1,
    ),
    Case(
        "not-yet",
        lambda root: pems(pki.authority("New", validity=pki.NOT_YET)),
        (("not-yet-valid", "error"),),
        1,
    ),
    Case(
        "soon",
        lambda root: pems(pki.authority("Late", validity=pki.Validity(-1, SOON.days - 1))),
        (("expires-soon", "warning"),),
        2,
    ),
    Case(
        "not-so-soon",
        lambda root: pems(pki.authority("Late", validity=pki.Validity(-1, SOON.days + 1))),
        (),
        2,
    ),
    Case(
        "strict",
        lambda root: pems(pki.authority("Lax", key_usage=False)),
        (("strict", "warning"),),
        2,
    ),
    Case(
        "weak-key",
        lambda root: pems(pki.authority("Weak", key="rsa-1024")),
        (("weak-key", "error"),),
        1,
    ),
    Case(
        "weak-signature",
        lambda root: pems(sha1_intermediate(root)),
        (("weak-signature", "warning"), ("intermediate", "note")),
        2,
    ),
    Case(
        "intermediate",
        lambda root: pems(root.intermediate("Issuing")),
        (("intermediate", "note"),),
        2,
    ),
    Case(
        "leaf",
        lambda root: pems(root.leaf("devpi.example")),
        (("leaf", "warning"),),
        2,
    ),
    Case(
        "leaf-expired",
        lambda root: pems(pki.self_signed("devpi.example", validity=pki.EXPIRED)),
        (("expired", "error"), ("leaf", "warning")),
        1,
    ),
    Case("duplicate", lambda root: [root.pem], (("duplicate", "note"),), 1),
    Case(
        "same-name",
        lambda root: pems(pki.authority("Sound Root")),
        (("same-name", "note"),),
        2,
    ),
    Case(
        "distrusted",
        lambda root: [pki.trusted_block(pki.authority("Out"), reject=[pki.SERVER_AUTH])],
        (("distrusted", "note"),),
        1,
    ),
    Case("private-key", lambda root: [root.key_pem], (("private-key", "error"),), 1),
    Case(
        "damaged",
        lambda root: [pki.damaged_pem(pki.authority("Cut"))],
        (("damaged", "error"),),
        1,
    ),
    Case(
        "everything-at-once",
        lambda root: [
            *pems(pki.authority("Old", validity=pki.EXPIRED)),
            *pems(pki.authority("Lax", key_usage=False)),
            root.key_pem,
        ],
        (("private-key", "error"), ("expired", "error"), ("strict", "warning")),
        2,
    ),
]


def sha1_intermediate(root: Authority) -> Certificate:
    made = root.intermediate("Issuing")
    return Certificate(signed_with_sha1(made, root), made.key, root)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_each_defect_is_found_and_no_other(case: Case, tmp_path: Path) -> None:
    root = pki.authority("Sound Root")
    path = tmp_path / "bundle.pem"
    path.write_bytes(b"".join([root.pem, *case.others(root)]))
    found = linted(path)
    assert codes(found) == list(case.found)
    assert found.broken is any(level == "error" for _, level in case.found)
    assert found.vouching == case.vouching


def test_a_defect_names_its_certificate_and_its_place(tmp_path: Path) -> None:
    old = pki.authority("Old", validity=pki.EXPIRED)
    path = tmp_path / "bundle.pem"
    path.write_bytes(b"# mine\n" + pki.authority("Root").pem + old.pem)
    (defect,) = linted(path).defects
    assert defect.certificate is not None
    assert defect.certificate.sha256 == old.fingerprint
    line = path.read_text().splitlines().index("-----BEGIN CERTIFICATE-----", 5) + 1
    assert (defect.file, defect.block, defect.line) == (str(path), 2, line)


def test_with_strictness_in_force_a_lax_root_is_broken(tmp_path: Path) -> None:
    path = pki.authority("Lax", key_usage=False).write_pem(tmp_path / "lax.pem")
    assert codes(linted(path, strict=True)) == [("strict", "error")]


@pytest.mark.parametrize(
    ("contents", "says"),
    [(None, "does not exist"), (b"", "is empty"), (b"<html>sign in</html>", "HTML")],
    ids=["absent", "empty", "html"],
)
def test_what_an_install_would_refuse(contents: bytes | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "bundle.pem"
    if contents is not None:
        path.write_bytes(contents)
    (defect,) = linted(path).defects
    assert (defect.flaw, defect.level) == (Flaw.UNUSABLE, Level.ERROR)
    assert says in defect.sentence


def test_servers_own_certificates_alone(tmp_path: Path) -> None:
    path = pki.self_signed("devpi.example").write_pem(tmp_path / "devpi.pem")
    found = linted(path)
    assert codes(found) == [("leaf", "warning"), ("no-ca", "warning")]
    assert not found.broken


def test_nothing_that_can_vouch(tmp_path: Path) -> None:
    path = pki.authority("Old", validity=pki.EXPIRED).write_pem(tmp_path / "old.pem")
    assert {("expired", "error"), ("cannot-vouch", "error")} == set(codes(linted(path)))


def test_a_folder_passes_over_a_key_and_says_so(tmp_path: Path) -> None:
    root = pki.authority("Sound Root")
    root.write_pem(tmp_path / "root.pem")
    (tmp_path / "server.pem").write_bytes(root.leaf("localhost").pem + root.key_pem)
    found = linted(tmp_path)
    assert {("private-key", "warning"), ("passed-over", "warning")} == set(codes(found))
    assert found.vouching == 1


def test_a_store_of_others_is_not_broken_by_one_old_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cacert.pem"
    old = pki.authority("Old", validity=pki.EXPIRED)
    path.write_bytes(pki.authority("Root").pem + old.pem)
    monkeypatch.setattr("certifi.where", lambda: str(path))
    rules = Rules(environ={}, now=datetime.now(timezone.utc))
    found = lint(TrustSource(StoreKind.CERTIFI), rules, in_force=True)
    assert codes(found) == [("expired", "warning")]


# --------------------------------------------------------------------------------------------
# Nobody is contacted

#: In a process of its own: here the servers of other tests may still be about to end.
WATCHED = """
import sys
from datetime import datetime, timezone
from kedge.diagnose.lint import Rules, lint
from kedge.model import StoreKind, TrustSource

events = []
sys.addaudithook(lambda event, _: events.append(event))
rules = Rules(environ={}, now=datetime.now(timezone.utc))
found = lint(TrustSource(StoreKind.BUNDLE, path=sys.argv[1]), rules, in_force=True)
print(found.vouching, len(found.defects), "open" in events)
print(*{event for event in events if event.startswith("socket.")})
"""


def test_it_opens_no_socket(tmp_path: Path, clean_environ: dict[str, str]) -> None:
    path = pki.authority("Root").write_pem(tmp_path / "root.pem")
    command = [sys.executable, "-c", WATCHED, str(path)]
    done = subprocess.run(command, env=clean_environ, capture_output=True, text=True, check=True)
    assert done.stdout == "1 0 True\n\n"
