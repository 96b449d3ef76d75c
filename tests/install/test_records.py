"""RECORD, WHEEL and direct_url.json, and programs: text in, text out."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from kedge.environment.direct_url import parse_direct_url
from kedge.environment.records import parse_record
from kedge.install.entry_points import EntryPoint, parse_entry_points
from kedge.install.records import (
    direct_url_json,
    parse_wheel_file,
    parse_wheel_record,
    record_line,
)
from kedge.install.scripts import launcher_kind, replaces_wrapper, shebang, with_shebang, wrapper
from kedge.model import DirectUrl


@pytest.mark.parametrize("path", ["a.py", "with,comma", 'with"quote', "with blank", "ä"])
def test_lines_come_back(path: str) -> None:
    (row,) = csv.reader(io.StringIO(record_line(path, "AAAA", 12)))
    assert row == [path, "sha256=AAAA", "12"]
    (entry,) = parse_record(record_line(path), location=Path("/site"))
    assert (entry.recorded, entry.digest, entry.size) == (path, None, None)


def test_a_wheels_record() -> None:
    rows, problems = parse_wheel_record(b'\xef\xbb\xbf"a,b.py",sha256=abc,3\r\nc,,\nd\n\ne,x,9\n')
    assert problems == []
    assert {path: (row.algorithm, row.digest, row.size) for path, row in rows.items()} == {
        "a,b.py": ("sha256", "abc", 3),
        "c": ("", "", None),
        "d": ("", "", None),
        "e": ("", "", 9),
    }
    assert parse_wheel_record(b"\xff\xfe")[1]


def test_rows_are_read_as_csv_reads_them() -> None:
    """Whatever a row is made of, quotes or none."""
    chance = random.Random(31)
    for alphabet in ("ab, =\n\r", 'ab, ="\n\r\x0b\u2028'):
        for _ in range(500):
            text = "".join(chance.choices(alphabet, k=12))
            rows = [row for row in csv.reader(text.splitlines()) if row and row[0]]
            assert list(parse_wheel_record(text.encode())[0]) == [
                *dict.fromkeys(row[0] for row in rows)
            ], text
    assert parse_wheel_record(b"a" * 200_000 + b",,\n")[1]


def test_a_digest_in_hexadecimal() -> None:
    digest = hashlib.sha256(b"x").digest()
    rows, _ = parse_wheel_record(b"a,sha256=" + digest.hex().upper().encode() + b",1\n")
    assert rows["a"].fits(digest)
    assert not rows["a"].fits(hashlib.sha256(b"y").digest())


def test_the_fields_of_wheel() -> None:
    fields = parse_wheel_file(b"Wheel-Version: 1.0\r\nTag: a-b-c\nTag: d-e-f\nnonsense\n")
    assert fields == {"wheel-version": ["1.0"], "tag": ["a-b-c", "d-e-f"]}


@pytest.mark.parametrize(
    "direct_url",
    [
        DirectUrl("https://x.example/a.whl", archive_hashes={"sha256": "00", "sha512": "11"}),
        DirectUrl("https://x.example/a.zip", archive_hashes={}, subdirectory="sub"),
        DirectUrl("https://x.example/a.git", vcs="git", commit_id="c0ffee"),
        DirectUrl("https://x.example/a.git", vcs="git", commit_id="c0", requested_revision="main"),
        DirectUrl("file:///src/a", directory=True, editable=True),
        DirectUrl("file:///src/a", directory=True),
    ],
    ids=["hashes", "no hash", "vcs", "revision", "editable", "folder"],
)
def test_direct_urls_come_back(direct_url: DirectUrl) -> None:
    data = direct_url_json(direct_url)
    assert parse_direct_url(data.decode()) == direct_url
    info = [key for key in json.loads(data) if key.endswith("_info")]
    assert len(info) == 1


def test_the_older_form_of_a_hash_is_written_too() -> None:
    data = direct_url_json(DirectUrl("https://x.example/a", archive_hashes={"sha256": "00"}))
    assert json.loads(data)["archive_info"]["hash"] == "sha256=00"


# --------------------------------------------------------------------------------------------
# Programs


def test_entry_points() -> None:
    found, problems = parse_entry_points(
        "# comment\n[console_scripts]\n a = m:f \nb.c = m.n : o.p [x, y]\n"
        "[gui_scripts]\ng=m:f\n[other]\nz = nonsense(\n"
    )
    assert problems == ()
    assert found == (
        EntryPoint("a", "m", "f"),
        EntryPoint("b.c", "m.n", "o.p"),
        EntryPoint("g", "m", "f", is_gui=True),
    )


@pytest.mark.parametrize(
    "line",
    [
        "../a = m:f",
        "a/b = m:f",
        "a\\b = m:f",
        "C:a = m:f",
        ".. = m:f",
        " = m:f",
        "a = m",
        "a",
        "a =",
    ],
)
def test_entry_points_that_are_refused(line: str) -> None:
    found, problems = parse_entry_points(f"[console_scripts]\n{line}\ngood = m:f")
    assert [program.name for program in found] == ["good"]
    assert len(problems) == 1


def _run(script: bytes, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = folder / "program"
    path.write_bytes(script)
    path.chmod(0o755)
    return subprocess.run([path, *words], capture_output=True, text=True, check=False)


posix = pytest.mark.skipif(os.name != "posix", reason="needs shebangs")


@posix
@pytest.mark.parametrize(
    "folder",
    ["plain", "with blank", "it's", "x" * 150, "tab\there"],
    ids=["plain", "blank", "quote", "long", "tab"],
)
def test_programs_start_whatever_the_path_of_python(tmp_path: Path, folder: str) -> None:
    place = tmp_path / folder
    place.mkdir()
    python = place / "python"
    python.symlink_to(sys.executable)
    (tmp_path / "mod.py").write_text(
        "import sys\ndef main():\n    print(sys.argv[1:])\n    return 3\n"
    )
    name, script = wrapper(EntryPoint("p", "mod", "main"), executable=str(python))
    assert name == "p"
    done = _run(script, tmp_path, "a b", "c")
    assert (done.stdout, done.returncode) == ("['a b', 'c']\n", 3), done.stderr
    done = _run(with_shebang(b"#!python -u\nprint('ran')\n", executable=str(python)), tmp_path)
    assert (done.stdout, done.returncode) == ("ran\n", 0), done.stderr


def test_a_wrapper_calls_what_is_deep_inside() -> None:
    _, script = wrapper(EntryPoint("p", "a.b", "c.d.e"), executable="/py")
    assert b"from a.b import c\n" in script
    assert b"c.d.e()" in script


def test_a_wrapper_runs_on_the_oldest_python_that_is_installed_into() -> None:
    _, script = wrapper(EntryPoint("p", "a", "b"), executable="/py")
    compile(script, "p", "exec", dont_inherit=True)
    assert b"removesuffix" not in script  # new in 3.9


@pytest.mark.parametrize(
    "script", [b"#!/bin/sh\n", b"#!/usr/bin/env python\n", b"print()\n", b"", b"\x7fELF#!python"]
)
def test_other_scripts_stay_as_they_are(script: bytes) -> None:
    assert with_shebang(script, executable="/py") == script


def test_a_script_without_an_end_of_line() -> None:
    assert with_shebang(b"#!python", executable="/py") == b"#!/py\n"
    assert with_shebang(b"#!pythonw\r\nx", executable="/py") == b"#!/py\nx"


def test_windows_programs_carry_their_launcher() -> None:
    import zipfile

    for is_gui, python in ((False, b"python.exe"), (True, b"pythonw.exe")):
        point = EntryPoint("p", "mod", "main", is_gui)
        name, data = wrapper(point, executable="C:/py/python.exe", launcher="win-amd64")
        assert name == "p.exe"
        assert data[:2] == b"MZ"
        assert b"#!C:/py/" + python + b"\n" in data
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert b"from mod import main" in archive.read("__main__.py")
    spaced = wrapper(EntryPoint("p", "m", "f"), executable="C:/a b/python.exe", launcher="win-ia32")
    assert b'#!"C:/a b/python.exe"\n' in spaced[1]


def test_shebang_limit() -> None:
    limit = 512 if sys.platform == "darwin" else 127
    assert shebang("/" + "x" * (limit - 4)).count(b"\n") == 1
    assert shebang("/" + "x" * (limit - 3)).count(b"\n") == 3


def test_what_setuptools_once_made() -> None:
    assert replaces_wrapper("Foo-Script.PY", {"Foo"})
    assert not replaces_wrapper("foo.py", {"foo"})
    assert launcher_kind("macosx-11.0-arm64") is None
