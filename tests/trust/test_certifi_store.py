"""What is said of certifi's store on a machine where somebody changed it."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from kedge.trust.certifi_store import Provenance
from support import pki
from support.pki import Authority

ASK = "import certifi, sys; from kedge.trust.certifi_store import provenance as p; {}"
PRINT = "print(p(certifi.where()).name)"


def installed_certifi(folder: Path, pem: bytes, *, record: str | None) -> Path:
    """An installation of certifi as a wheel leaves it, with this store and ``RECORD``."""
    import certifi

    package = folder / "certifi"
    package.mkdir(parents=True)
    for source in Path(certifi.__file__).parent.glob("*.py"):
        (package / source.name).write_bytes(source.read_bytes())
    (package / "cacert.pem").write_bytes(pem)
    about = folder / "certifi-2026.1.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: certifi\nVersion: 2026.1.1\n")
    if record is not None:
        (about / "RECORD").write_text(record)
    return package / "cacert.pem"


def recorded(pem: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(pem).digest()).rstrip(b"=").decode()
    return f"certifi/cacert.pem,sha256={digest},{len(pem)}\n"


def ask(folder: Path, environ: dict[str, str], then: str = PRINT) -> str:
    """What a process says that finds this certifi first."""
    return subprocess.run(
        [sys.executable, "-c", ASK.format(then)],
        env={**environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout.strip()


def test_as_published(tmp_path: Path, clean_environ: dict[str, str], private_ca: Authority) -> None:
    installed_certifi(tmp_path, private_ca.pem, record=recorded(private_ca.pem))
    assert ask(tmp_path, clean_environ) == Provenance.ORIGINAL.name


def test_appended_to(
    tmp_path: Path, clean_environ: dict[str, str], private_ca: Authority, stranger_ca: Authority
) -> None:
    store = installed_certifi(tmp_path, private_ca.pem, record=recorded(private_ca.pem))
    store.write_bytes(pki.pem_file(private_ca, stranger_ca))
    assert ask(tmp_path, clean_environ) == Provenance.CHANGED.name


@pytest.mark.parametrize(
    "record", [None, "certifi/cacert.pem,,\n", "certifi/core.py,,\n"], ids=["no", "bare", "other"]
)
def test_without_a_record_of_it(
    record: str | None, tmp_path: Path, clean_environ: dict[str, str], private_ca: Authority
) -> None:
    installed_certifi(tmp_path, private_ca.pem, record=record)
    assert ask(tmp_path, clean_environ) == Provenance.UNKNOWN.name


def test_pointed_elsewhere(
    tmp_path: Path, clean_environ: dict[str, str], private_ca: Authority
) -> None:
    """As Debian's package, whose ``where()`` names the system's bundle."""
    installed_certifi(tmp_path / "lib", private_ca.pem, record=recorded(private_ca.pem))
    other = tmp_path / "ca-certificates.crt"
    other.write_bytes(private_ca.pem)
    answer = ask(tmp_path / "lib", clean_environ, f"print(p({str(other)!r}).name)")
    assert answer == Provenance.ELSEWHERE.name


def test_trust_show_says_so(
    tmp_path: Path, clean_environ: dict[str, str], private_ca: Authority, stranger_ca: Authority
) -> None:
    store = installed_certifi(tmp_path, private_ca.pem, record=recorded(private_ca.pem))
    environ = {**clean_environ, "PYTHONPATH": str(tmp_path)}

    def show() -> str:
        command = [sys.executable, "-m", "kedge", "trust", "show"]
        return subprocess.run(
            command, env=environ, capture_output=True, encoding="utf-8", check=True
        ).stdout

    untouched = show()
    store.write_bytes(pki.pem_file(private_ca, stranger_ca))
    assert Provenance.CHANGED.value not in untouched
    assert Provenance.CHANGED.value in show()
