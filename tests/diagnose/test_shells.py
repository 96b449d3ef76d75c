"""Quoting, as the shells themselves read it."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from kedge.diagnose.shells import Shell, decide_shell, join, quote
from support.surroundings import tool

WORDS = [
    "plain",
    "two words",
    "",
    "it's",
    'say "so"',
    "$HOME",
    "`id`",
    "back\\slash",
    "back\\\\slashes'",
    "semi;colon",
    "new\nline",
    "glob*",
    "~",
    "a&b|c",
    "!x",
    "https://u:****@host/?a=1&b=2",
]


@pytest.mark.parametrize("word", WORDS)
def test_sh_reads_the_word_back(word: str) -> None:
    line = f"printf %s {quote(word, Shell.POSIX)}"
    assert subprocess.run(["/bin/sh", "-c", line], capture_output=True).stdout.decode() == word


@pytest.mark.tool("fish")
@pytest.mark.parametrize("word", WORDS)
def test_fish_reads_the_word_back(word: str) -> None:
    line = f"printf %s {quote(word, Shell.FISH)}"
    assert subprocess.run([tool("fish"), "-c", line], capture_output=True).stdout.decode() == word


# No tool of the kind that continuous integration must have: PowerShell is in no Debian package.
@pytest.mark.skipif(shutil.which("pwsh") is None, reason="not here: pwsh")
@pytest.mark.parametrize("word", [word for word in WORDS if '"' not in word])
def test_powershell_reads_the_word_back(word: str) -> None:
    line = f"[Console]::Write({quote(word, Shell.POWERSHELL)!s})" if word else "''"
    found = subprocess.run(["pwsh", "-NoProfile", "-c", line], capture_output=True)
    assert found.stdout.decode() == word


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        pytest.param("a b", "'a b'", id="space"),
        pytest.param("it's", "'it''s'", id="quote"),
        pytest.param("$env:x", "'$env:x'", id="variable"),
        pytest.param("--cert=a.pem", "'--cert=a.pem'", id="dot after a dash"),
        pytest.param("--use-feature=truststore", "--use-feature=truststore", id="plain flag"),
        pytest.param("", "''", id="empty"),
    ],
)
def test_powershell_words(word: str, expected: str) -> None:
    assert quote(word, Shell.POWERSHELL) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [("a b", "'a b'"), ("it's", "'it\\'s'"), ("a\\b", "'a\\\\b'"), ("", "''")],
)
def test_fish_words(word: str, expected: str) -> None:
    """Inside its single quotes a backslash escapes a backslash and a quote."""
    assert quote(word, Shell.FISH) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [("a b", '"a b"'), ("a&b", '"a&b"'), ("", '""'), ("C:\\x\\y.pem", "C:\\x\\y.pem")],
)
def test_cmd_words(word: str, expected: str) -> None:
    assert quote(word, Shell.CMD) == expected


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        (Shell.POSIX, "env -u PIP_CERT kedge install x"),
        (Shell.FISH, "env -u PIP_CERT kedge install x"),
        (Shell.POWERSHELL, "Remove-Item Env:PIP_CERT; kedge install x"),
        (Shell.CMD, 'set "PIP_CERT=" & kedge install x'),
    ],
    ids=lambda value: value.value if isinstance(value, Shell) else "",
)
def test_a_command_without_a_variable(shell: Shell, expected: str) -> None:
    assert join(["kedge", "install", "x"], shell, without=["PIP_CERT"]) == expected


def test_powershell_runs_a_program_whose_path_is_quoted() -> None:
    program = ["C:\\Program Files\\Python\\python.exe", "-m", "kedge"]
    assert join(program, Shell.POWERSHELL).startswith("& 'C:\\Program Files")
    assert join(["kedge", "a b"], Shell.POWERSHELL) == "kedge 'a b'"


@pytest.mark.parametrize(
    ("environ", "platform", "shell"),
    [
        ({"SHELL": "/bin/bash"}, "linux", Shell.POSIX),
        ({"SHELL": "/usr/local/bin/fish"}, "darwin", Shell.FISH),
        ({"SHELL": "/usr/bin/pwsh"}, "linux", Shell.POWERSHELL),
        ({}, "linux", Shell.POSIX),
        ({"PROMPT": "$P$G"}, "win32", Shell.CMD),
        ({}, "win32", Shell.POWERSHELL),
        ({"SHELL": "C:\\Git\\bin\\bash.exe", "PROMPT": "x"}, "win32", Shell.POSIX),
    ],
)
def test_whose_shell(environ: dict[str, str], platform: str, shell: Shell) -> None:
    assert decide_shell(environ, platform) is shell
