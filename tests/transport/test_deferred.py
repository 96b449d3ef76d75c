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


def test_what_is_loaded_already_stays() -> None:
    assert asked(f"import requests; {_LOAD}") == asked("import requests")
