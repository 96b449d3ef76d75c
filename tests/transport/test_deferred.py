"""What requests guesses encodings with is loaded when it guesses, and guesses as ever."""

from __future__ import annotations

import subprocess
import sys

import pytest

_ASK = """\
import sys
{before}
import requests
early = "charset_normalizer.api" in sys.modules
answer = requests.Response()
answer._content = "Съешь же ещё этих мягких французских булок".encode("cp1251")
{question}
print(early, answer.apparent_encoding, "charset_normalizer.api" in sys.modules)
import charset_normalizer
print(type(charset_normalizer).__name__, charset_normalizer.__version__)
"""
_LOAD = "from kedge import transport; transport.load_libraries()"


def asked(before: str, question: str = "") -> list[str]:
    code = _ASK.format(before=before, question=question)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    return run.stdout.split()


@pytest.mark.parametrize(
    "question",
    ["", "from charset_normalizer import from_bytes", "import charset_normalizer.md"],
    ids=["guess", "from", "submodule"],
)
def test_it_is_loaded_at_the_first_question(question: str) -> None:
    plain, deferred = asked("import requests"), asked(_LOAD, question)
    assert (plain[0], deferred[0]) == ("True", "False")
    assert plain[1:] == deferred[1:]


_SPEAK = """\
import sys
{before}
import urllib3.http2
early = "importlib.metadata" in sys.modules
try:
    urllib3.http2.inject_into_urllib3()
except Exception as error:
    print(early, type(error).__module__, type(error).__name__, *error.args)
import importlib.metadata
print(importlib.metadata.version("urllib3"), urllib3.http2.version("requests"))
"""


def test_the_versions_of_packages_are_told_to_who_asks() -> None:
    def spoken(before: str) -> list[str]:
        code = _SPEAK.format(before=before)
        command = [sys.executable, "-W", "error", "-c", code]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    plain, deferred = spoken("import urllib3"), spoken(_LOAD)
    assert (plain[0], deferred[0]) == ("True", "False")
    assert plain[1:] == deferred[1:]
    assert "importlib.metadata" in plain[1]


def test_what_is_loaded_already_stays() -> None:
    assert asked(f"import requests; {_LOAD}") == asked("import requests")
