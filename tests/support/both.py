"""The same words to pip and to kedge, and what each would install.

pip is asked in one process for all questions, since starting it costs more than the answers; kedge
runs in the process of the test. Both choose for the Python that runs the tests.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kedge.cli.main import main
from support.indexes import normalized

Chosen = dict[str, str]


@dataclass(frozen=True)
class Question:
    """The words of an install, the folder they are typed in, and variables beside them."""

    words: Sequence[str]
    cwd: Path
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What would be installed, by normalized name; ``None``: refused. And everything said."""

    chosen: Chosen | None
    said: str


def ask_pip(questions: Sequence[Question], environ: Mapping[str, str]) -> list[Verdict]:
    """The verdicts of the pip that the tests run with."""
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER],
        input=json.dumps([[list(one.words), str(one.cwd), dict(one.environ)] for one in questions]),
        env={**environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "_PIP_USE_IMPORTLIB_METADATA": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return [_verdict_of_pip(*answer) for answer in json.loads(done.stdout)]


def _verdict_of_pip(code: int, said: str, report: str | None) -> Verdict:
    assert "Traceback" not in said, said
    if code or report is None:
        return Verdict(None, said)
    entries = [entry["metadata"] for entry in json.loads(report)["install"]]
    return Verdict({normalized(one["name"]): one["version"] for one in entries}, said)


# One child for each question: what pip's callbacks append to the defaults of its options stays.
_DRIVER = """\
import contextlib, io, json, os, sys
from pip._internal.cli.main import main
from pip._internal.commands import create_command
create_command("install")

def answer(words, cwd, environ):
    os.chdir(cwd)
    os.environ.update(environ)
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        try:
            code = main(["install", "--dry-run", "--report", "pip.json", *words])
        except SystemExit as exc:
            code = exc.code
    report = open("pip.json").read() if os.path.exists("pip.json") else None
    return int(code), told.getvalue(), report

answers = []
for question in json.load(sys.stdin):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(writing, "w") as pipe:
            json.dump(answer(*question), pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answers.append(json.load(pipe))
    os.waitpid(child, 0)
json.dump(answers, sys.stdout)
"""


def ask_kedge(question: Question, environ: Mapping[str, str]) -> Verdict:
    """kedge's verdict, with the report as the place to read it from."""
    out, told = io.StringIO(), io.StringIO()
    line = ["install", "--python", sys.executable, "--dry-run", *question.words]
    with (
        _inside(question.cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(told),
    ):
        code = main(line, environ={**environ, **question.environ})
    said = f"$ kedge {' '.join(line)}\n{told.getvalue()}"
    assert "bug in kedge" not in said, said
    if code:
        return Verdict(None, said)
    pairs = (line.partition("==") for line in out.getvalue().splitlines())
    return Verdict({name: version for name, _, version in pairs}, said)


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
