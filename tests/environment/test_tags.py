"""Tags of Pythons that are not here: from facts as they would report them."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging._elffile import ELFFile

from kedge.environment import probe
from kedge.environment.elf import read_elf
from kedge.environment.tags import tags_from

LINUX: dict[str, Any] = {
    "system": "Linux",
    "platform": "linux-x86_64",
    "archs": ["x86_64"],
    "bits": 64,
    "glibc": [2, 17],
    "manylinux_refused": [],
    "machine": "x86_64",
    "nodot": "313",
    "debug": False,
    "free_threaded": False,
    "ext_suffix": ".cpython-313-x86_64-linux-gnu.so",
}


def tags(
    facts: dict[str, Any],
    *,
    version: tuple[int, int] = (3, 13),
    implementation: str = "cpython",
    executable: Path = Path("/nowhere"),
) -> list[str]:
    made = tags_from(
        {**LINUX, **facts}, version=version, implementation=implementation, executable=executable
    )
    return [str(tag) for tag in made]


def platforms(facts: dict[str, Any], executable: Path = Path("/nowhere")) -> list[str]:
    found = tags(facts, executable=executable)
    names = [tag.split("-")[2] for tag in found if tag.startswith("cp313-none-")]
    return [name for name in names if name != "any"]


def elf(
    path: Path, *, bits: int = 64, machine: int = 62, flags: int = 0, loader: str = "/lib/ld.so"
) -> Path:
    """The header of an executable, and one program header that names its loader."""
    wide = bits == 64
    text = loader.encode() + b"\0"
    size, entry = (64, 56) if wide else (52, 32)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    address = "Q" if wide else "I"
    head = struct.pack(
        f"<HHI{address}{address}{address}IHHHHHH", 2, machine, 1, 0, size, 0, flags, size, entry, 1,
        0, 0, 0,
    )  # fmt: skip
    where = size + entry
    if wide:
        program = struct.pack("<IIQQQQQQ", 3, 4, where, 0, 0, len(text), len(text), 1)
    else:
        program = struct.pack("<IIIIIIII", 3, where, 0, 0, len(text), len(text), 4, 1)
    path.write_bytes(ident + head + program + text)
    return path


def test_glibc_gives_every_older_manylinux_and_their_old_names() -> None:
    found = platforms({"glibc": [2, 17]})
    newest_first = [f"manylinux_2_{minor}_x86_64" for minor in range(17, 4, -1)]
    assert found[0] == "linux_x86_64"
    assert [name for name in found if name.startswith("manylinux_")] == newest_first
    old = [name for name in found if name.startswith("manylinux") and "_2_" not in name]
    assert old == ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]
    assert found.index("manylinux2014_x86_64") == found.index("manylinux_2_17_x86_64") + 1


@pytest.mark.parametrize(
    ("facts", "present", "absent"),
    [
        pytest.param(
            {"archs": ["aarch64"], "glibc": [2, 18]},
            ["manylinux_2_17_aarch64"],
            ["manylinux_2_16_aarch64", "manylinux2010_aarch64"],
            id="other-architectures-start-at-2.17",
        ),
        pytest.param(
            {"manylinux_refused": [[2, 12, "x86_64"]]},
            ["manylinux_2_11_x86_64", "manylinux_2_13_x86_64"],
            ["manylinux_2_12_x86_64", "manylinux2010_x86_64"],
            id="a-distributor-refuses-one",
        ),
        pytest.param(
            {"archs": ["mips"]}, ["linux_mips"], ["manylinux_2_17_mips"], id="no-such-manylinux"
        ),
        pytest.param(
            {"glibc": None}, ["linux_x86_64"], ["manylinux_2_5_x86_64"], id="not-glibc"
        ),
    ],
)  # fmt: skip
def test_linux_platforms(facts: dict[str, Any], present: list[str], absent: list[str]) -> None:
    found = platforms(facts)
    assert set(present) <= set(found)
    assert not set(absent) & set(found)


@pytest.mark.parametrize(
    ("archs", "bits", "machine", "flags", "accepted"),
    [
        pytest.param(["armv8l", "armv7l"], 32, 40, 0x05000400, True, id="hard-float"),
        pytest.param(["armv8l", "armv7l"], 32, 40, 0x05000200, False, id="soft-float"),
        pytest.param(["armv7l"], 64, 183, 0x05000400, False, id="64-bit"),
        pytest.param(["i686"], 32, 3, 0, True, id="i686"),
        pytest.param(["i686"], 32, 62, 0, False, id="x32"),
    ],
)
def test_32_bit_manylinux_needs_its_abi(
    archs: list[str], bits: int, machine: int, flags: int, accepted: bool, tmp_path: Path
) -> None:
    program = elf(tmp_path / "python", bits=bits, machine=machine, flags=flags)
    found = platforms({"archs": archs, "bits": 32}, program)
    assert (f"manylinux_2_17_{archs[-1]}" in found) is accepted
    assert found[: len(archs)] == [f"linux_{arch}" for arch in archs]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell script as a loader")
def test_musl_is_asked_of_the_loader(tmp_path: Path) -> None:
    loader = tmp_path / "ld-musl-x86_64.so.1"
    loader.write_text('#!/bin/sh\nprintf "musl libc (x86_64)\\nVersion 1.2.4\\n" >&2; exit 1\n')
    loader.chmod(0o755)
    program = elf(tmp_path / "python", loader=str(loader))
    found = platforms({"glibc": None}, program)
    assert found == [
        "linux_x86_64", "musllinux_1_2_x86_64", "musllinux_1_1_x86_64", "musllinux_1_0_x86_64"
    ]  # fmt: skip


def test_abis_of_a_free_threaded_and_of_a_debug_build() -> None:
    free = tags({"free_threaded": True})
    assert free[0] == "cp313-cp313t-linux_x86_64"
    assert "cp313-abi3-linux_x86_64" not in free
    debug = tags({"debug": True})
    assert debug[0] == "cp313-cp313d-linux_x86_64"
    assert "cp313-cp313-linux_x86_64" in debug
    plain = tags({})
    assert plain[0] == "cp313-cp313-linux_x86_64"
    assert "cp313-cp313d-linux_x86_64" not in plain
    assert "cp32-abi3-linux_x86_64" in plain
    assert plain[-1] == "py30-none-any"


@pytest.mark.parametrize(
    ("implementation", "suffix", "first"),
    [
        ("pypy", ".pypy310-pp73-x86_64-linux-gnu.so", "pp310-pypy310_pp73-linux_x86_64"),
        (
            "graalpy",
            ".graalpy-38-native-x86_64-linux.so",
            "graalpy310-graalpy_38_native-linux_x86_64",
        ),
        ("pyston", ".pyston-23-x86_64.so", "pyston310-pyston_23_x86_64-linux_x86_64"),
        ("odd", None, "odd310-none-linux_x86_64"),
    ],
)  # fmt: skip
def test_other_implementations(implementation: str, suffix: str | None, first: str) -> None:
    facts: dict[str, Any] = {"ext_suffix": suffix, "nodot": "310"}
    found = tags(facts, version=(3, 10), implementation=implementation)
    assert found[0] == first
    assert ("pp3-none-any" in found) is (implementation == "pypy")
    assert "py310-none-any" in found


def test_windows() -> None:
    facts: dict[str, Any] = {
        "system": "Windows",
        "platform": "win-amd64",
        "archs": [],
        "glibc": None,
    }
    found = tags(facts)
    assert found[0] == "cp313-cp313-win_amd64"
    assert {tag.split("-")[2] for tag in found} == {"win_amd64", "any"}


def test_the_running_executable_is_read_as_packaging_reads_it() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("ELF is Linux's")
    found = read_elf(Path(sys.executable))
    with open(sys.executable, "rb") as file:  # noqa: PTH123
        expected = ELFFile(file)
        loader = expected.interpreter
    assert found is not None
    assert found.loader == loader
    assert (found.machine, found.flags) == (expected.machine, expected.flags)
    assert found.bits == {1: 32, 2: 64}[expected.capacity]


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF\x02\x01" + bytes(20)])
def test_what_is_not_elf(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    assert read_elf(tmp_path / "file") is None
    assert read_elf(tmp_path / "missing") is None


def test_a_distributors_manylinux_module_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    glibc = probe.tag_facts()["glibc"]
    if glibc is None:
        pytest.skip("no glibc here")
    text = (
        "def manylinux_compatible(major, minor, arch):\n    return None if minor > 9 else False\n"
    )
    (tmp_path / "_manylinux.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "_manylinux", raising=False)
    facts = probe.tag_facts()
    monkeypatch.delitem(sys.modules, "_manylinux", raising=False)
    arch = facts["archs"][0]
    assert facts["manylinux_refused"] == [[glibc[0], minor, arch] for minor in range(10)]
