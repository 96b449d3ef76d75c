"""One damaged block in a bundle is refused, and its number and line are told."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kedge import trust
from kedge.errors import BundleError
from kedge.trust import pem
from support.pki import Authority, authority, misdated_der, pem_block, pkcs7_file, trusted_block

Load = Callable[..., trust.Anchors]
Spoil = Callable[[str], str]

ROOTS = [authority(f"Root {number}") for number in range(4)]


def line_changed(number: int, change: Spoil) -> Spoil:
    def spoil(block: str) -> str:
        lines = block.splitlines(keepends=True)
        lines[number] = change(lines[number])
        return "".join(lines)

    return spoil


def reencoded(change: Callable[[bytes], bytes]) -> Spoil:
    def spoil(block: str) -> str:
        der = base64.b64decode("".join(block.splitlines()[1:-1]))
        return pem_block("CERTIFICATE", change(der)).decode()

    return spoil


DAMAGE: dict[str, Spoil] = {
    "a line lost": line_changed(3, lambda line: ""),
    "a line twice": line_changed(3, lambda line: line + line),
    "a character that is not base64": line_changed(3, lambda line: "*" + line[1:]),
    "a character lost": line_changed(3, lambda line: line[1:]),
    "nothing inside": reencoded(lambda der: b""),
    "cut short": reencoded(lambda der: der[:-10]),
    "no DER": reencoded(lambda der: b"hello" * 10),
    "a length that lies": reencoded(lambda der: der[:3] + b"\xff" + der[4:]),
    "another thing in DER": reencoded(lambda der: b"\x30\x03\x02\x01\x05"),
    "BEGIN with a dash less": lambda block: block.removeprefix("-"),
    "BEGIN with a dash more": lambda block: "-" + block,
    "BEGIN indented": lambda block: "  " + block,
    "BEGIN without dashes before": lambda block: block.removeprefix("-----"),
    "BEGIN by a word processor": lambda block: block.replace("-----BEGIN", "\u2014\u2013BEGIN"),
    "BEGIN twice": lambda block: "-----BEGIN CERTIFICATE-----\n" + block,
    "BEGIN lost": line_changed(0, lambda line: ""),
    "BEGIN and text on one line": line_changed(0, lambda line: line.rstrip() + "MII\n"),
    "END lost": line_changed(-1, lambda line: ""),
    "END with a dash less": line_changed(-1, lambda line: line[1:]),
    "END cut off, and its line break": lambda block: block[: -len("ND CERTIFICATE-----\n")],
    "END of another kind": line_changed(-1, lambda line: line.replace("CERT", "X509 CERT")),
    "all on one line": lambda block: block.replace("\n", " ") + "\n",
    "PKCS#7 in it": reencoded(lambda der: pkcs7_file(ROOTS[0])),
}


@pytest.mark.parametrize("place", [0, 1, 3], ids=["first", "second", "last"])
@pytest.mark.parametrize("spoil", list(DAMAGE.values()), ids=list(DAMAGE))
def test_damaged_block(spoil: Spoil, place: int, tmp_path: Path, load: Load) -> None:
    blocks = [root.pem.decode() for root in ROOTS]
    before = f"# {place} sound ones\n" + "".join(blocks[:place])
    spoiled = spoil(blocks[place])
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(before + spoiled + "".join(blocks[place + 1 :]), encoding="utf-8")
    with pytest.raises(BundleError) as caught:
        load(bundle)
    error = caught.value
    assert error.path == str(bundle)
    assert error.block == place + 1
    assert error.line is not None
    first = before.count("\n") + 1
    # Where BEGIN is gone, what is left to point at is END.
    assert first <= error.line <= first + spoiled.count("\n")
    if "BEGIN" in spoiled.splitlines()[0]:
        assert error.line == first
    assert f"line {error.line}" in error.message


def test_a_lost_line_break_between_two_blocks(tmp_path: Path, load: Load) -> None:
    """As ``cat`` leaves it when the first file had no last line break."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(ROOTS[0].pem.rstrip() + ROOTS[1].pem)
    with pytest.raises(BundleError, match="same line") as caught:
        load(bundle)
    assert caught.value.block == 1


def test_damage_in_a_trusted_block(tmp_path: Path, load: Load) -> None:
    spoiled = trusted_block(ROOTS[1]).replace(b"M", b"", 1)
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(ROOTS[0].pem + spoiled + ROOTS[2].pem)
    with pytest.raises(BundleError) as caught:
        load(bundle)
    assert caught.value.block == 2


@pytest.mark.parametrize(
    "settings",
    [b"\x30\x05\x30\x03junk", b"\x04\x01x", b"\x30"],
    ids=["cut short", "no sequence", "one byte"],
)
def test_trust_settings_that_openssl_cannot_read(
    settings: bytes, tmp_path: Path, load: Load
) -> None:
    bundle = tmp_path / "bundle.pem"
    data = ROOTS[1].der + settings
    bundle.write_bytes(ROOTS[1].pem + pem_block("TRUSTED CERTIFICATE", data))
    with pytest.raises(BundleError) as caught:
        load(bundle)
    assert caught.value.block == 2


@pytest.mark.parametrize("label", ["X509 CRL", "DH PARAMETERS"])
def test_a_damaged_block_of_another_kind(label: str, tmp_path: Path, load: Load) -> None:
    bundle = tmp_path / "bundle.pem"
    broken = f"-----BEGIN {label}-----\n****\n-----END {label}-----\n".encode()
    bundle.write_bytes(ROOTS[0].pem + broken)
    with pytest.raises(BundleError) as caught:
        load(bundle)
    assert caught.value.block == 2


class TestDer:
    @pytest.mark.parametrize(
        ("make", "block"),
        [
            (lambda root: root.der[:-5], 1),
            (lambda root: root.der + b"\0\0", 2),
            (lambda root: root.der + root.der[:50], 2),
            (lambda root: root.der + b"\x30\x03\x02\x01\x05", 2),
            (misdated_der, 1),
        ],
        ids=["cut short", "zeros after", "half a second", "another thing", "garbled"],
    )
    def test_damaged(
        self, make: Callable[[Authority], bytes], block: int, tmp_path: Path, load: Load
    ) -> None:
        bundle = tmp_path / "ca.der"
        bundle.write_bytes(make(ROOTS[0]))
        with pytest.raises(BundleError) as caught:
            load(bundle)
        assert (caught.value.block, caught.value.line) == (block, None)

    def test_a_damaged_certificate_in_pkcs7(self, tmp_path: Path, load: Load) -> None:
        container = pkcs7_file(*ROOTS)
        at = container.index(ROOTS[2].der) + 8
        bundle = tmp_path / "ca.p7b"
        bundle.write_bytes(container[:at] + b"\x05\x05\x05" + container[at + 3 :])
        with pytest.raises(BundleError) as caught:
            load(bundle)
        assert caught.value.block is not None

    def test_a_pkcs7_cut_short(self, tmp_path: Path, load: Load) -> None:
        bundle = tmp_path / "ca.p7b"
        bundle.write_bytes(pkcs7_file(*ROOTS, pem=True).replace(b"\n", b"\nAAAA", 1))
        with pytest.raises(BundleError) as caught:
            load(bundle)
        assert caught.value.block == 1


def test_damage_is_openssls_verdict(tmp_path: Path, load: Load) -> None:
    """What OpenSSL takes is taken, whatever a stricter reader might say: bytes after the end."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(pem_block("CERTIFICATE", ROOTS[0].der + b"after"))
    assert len(list(load(bundle).sources[0].blocks)) == 1


class TestSplit:
    @example([(ROOTS[0], "\0")], "\n", "utf-16")
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(ROOTS),
                st.text(st.characters(exclude_characters="\r\n-", exclude_categories=["Cs"])),
            ),
            max_size=6,
        ),
        st.sampled_from(["\n", "\r\n", "\r"]),
        st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    )
    def test_every_block_is_found_on_its_line(
        self, parts: list[tuple[Authority, str]], newline: str, encoding: str
    ) -> None:
        text, lines = "", []
        for root, comment in parts:
            text += comment + "\n"
            lines.append(text.count("\n") + 1)
            text += root.pem.decode()
        raw = text.replace("\n", newline).encode(encoding)
        blocks = pem.split(pem.decode(raw))
        assert [block.line for block in blocks] == lines
        assert [block.number for block in blocks] == list(range(1, len(parts) + 1))
        assert [block.der() for block in blocks] == [root.der for root, _ in parts]
        assert not any(block.flaw for block in blocks)

    @given(st.binary())
    def test_any_bytes_can_be_looked_at(self, raw: bytes) -> None:
        from kedge.trust import contents

        found = contents.read(raw)
        assert found.certificates or found.damaged or found.mistake

    @given(st.binary(max_size=400))
    def test_encoding_and_splitting_are_inverse(self, data: bytes) -> None:
        (block,) = pem.split(pem.encode(data))
        assert block.der() == data

    @given(st.data())
    def test_no_single_cut_is_overlooked(self, data: st.DataObject) -> None:
        """Whatever one line of a bundle loses, the loss is told or the anchors stay the same."""
        lines = "".join(root.pem.decode() for root in ROOTS[:2]).splitlines(keepends=True)
        number = data.draw(st.integers(0, len(lines) - 1))
        keep = data.draw(st.integers(0, len(lines[number]) - 1))
        cut = [*lines[:number], lines[number][:keep], *lines[number + 1 :]]
        from kedge.trust import contents, openssl

        found = contents.read("".join(cut).encode())
        damaged = found.damaged or any(openssl.judge(block) is None for block in found.certificates)
        assert damaged or [block.der() for block in found.certificates] == [
            root.der for root in ROOTS[:2]
        ]
