"""What pip and kedge make of the same words and files: the same set, or both refuse.

Each case names its files and the words; ``None`` is a refusal. pip itself is asked each time, and
the expectation stands beside it, so that a case which both pass for the wrong reason shows.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from packaging.version import Version

from support.backends import project, write_project
from support.both import Question, Verdict, ask_kedge, ask_pip
from support.wheels import Artifact, wheel

pytestmark = [
    pytest.mark.skipif(
        Version(importlib.metadata.version("pip")) < Version("26.3"),
        reason="needs pip 26.3 or newer as the yardstick",
    ),
    pytest.mark.timeout(900),  # the first waits for all that pip is asked
]

WHEELS = [
    wheel("apple", "1.0"),
    wheel("apple", "2.0", requires=["banana>=2"]),
    wheel("banana", "1.0"),
    wheel("banana", "2.0"),
    wheel("cherry", "1.0", extras={"jam": ["banana<2"]}),
    wheel("damson", "1.0"),
    wheel("damson", "2.0rc1"),
    wheel("native", "1.0", tag="cp38-cp38-win_amd64"),
]
HASH = {one.filename.rpartition("-py3")[0]: f"--hash=sha256:{one.sha256}" for one in WHEELS}
WRONG = f"--hash=sha256:{hashlib.sha256(b'x').hexdigest()}"


@pytest.fixture(scope="module")
def links(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("links")
    for one in WHEELS:
        one.write(folder)
    return folder


Text = str | Callable[[Path], str]


@dataclass(frozen=True)
class Case:
    words: str
    files: Mapping[str, Text] = field(default_factory=dict)
    expected: Mapping[str, str] | None = None
    environ: Mapping[str, str] = field(default_factory=dict)


APPLE = {"apple": "2.0", "banana": "2.0"}
OLD_APPLE = {"apple": "1.0"}


def lock(*packages: Artifact, extra: str = "", marker: str = "") -> Callable[[Path], str]:
    """A lock of wheels that lie in the folder of links."""

    def text(links: Path) -> str:
        found = f'lock-version = "1.0"\ncreated-by = "test"\n{extra}\n'
        for one in packages:
            found += f'[[packages]]\nname = "{one.name}"\nversion = "{one.version}"\n{marker}\n'
            found += f'[[packages.wheels]]\nname = "{one.filename}"\n'
            found += f'path = "{links / one.filename}"\n'
            found += f'hashes = {{sha256 = "{one.sha256}"}}\n'
        return found

    return text


def found(name: str, version: str) -> Artifact:
    return next(one for one in WHEELS if (one.name, one.version) == (name, version))


PYPROJECT = """
[dependency-groups]
dev = ["apple<2", {include-group = "more"}]
more = ["cherry[jam]"]
"""
SCRIPT = '# /// script\n# requires-python = ">=3"\n# dependencies = ["apple<2"]\n# ///\n'

CASES = {
    # -- requirement files
    "a-file": Case("-r r.txt", {"r.txt": "apple\n"}, APPLE),
    "two-files": Case("-r a.txt -r b.txt", {"a.txt": "apple<2", "b.txt": "damson"},
                      {**OLD_APPLE, "damson": "1.0"}),
    "comments-continuations": Case(
        "-r r.txt", {"r.txt": "# one\napple \\\n  <2 # two\n\n   \n"}, OLD_APPLE
    ),
    "a-comment-needs-a-space": Case("-r r.txt", {"r.txt": "apple<2#x\n"}, None),
    "variables": Case("-r r.txt", {"r.txt": "${WHAT}<2\n"}, OLD_APPLE, {"WHAT": "apple"}),
    "an-unset-variable": Case("-r r.txt", {"r.txt": "${WHAT}<2\n"}, None),
    "lower-case-is-no-variable": Case("-r r.txt", {"r.txt": "${what}<2\n"}, None,
                                      {"what": "apple"}),
    "nested-relative-to-the-file": Case(
        "-r a/r.txt", {"a/r.txt": "-r b/s.txt\n", "a/b/s.txt": "apple<2\n"}, OLD_APPLE
    ),
    "nested-constraint": Case(
        "-r r.txt", {"r.txt": "apple\n-c c.txt\n", "c.txt": "apple<2\n"}, OLD_APPLE
    ),
    "requirements-in-a-constraint": Case(
        "apple -c c.txt", {"c.txt": "-r r.txt\n", "r.txt": "apple<2\n"},
        {**OLD_APPLE},
    ),
    "itself": Case("-r r.txt", {"r.txt": "-r r.txt\n"}, None),
    "no-such-file": Case("-r gone.txt"),
    "no-such-nested-file": Case("-r r.txt", {"r.txt": "-r gone.txt\n"}),
    "a-marker-in-quotes": Case(
        "-r r.txt", {"r.txt": "apple<2 ; python_version > '3'\ndamson; python_version < \"3\"\n"},
        OLD_APPLE,
    ),
    "utf-16": Case("-r r.txt", {"r.txt": "\ufeffapple<2\n"}, OLD_APPLE),
    "find-links-in-the-file": Case(
        "-r r.txt", {"r.txt": lambda links: f"--find-links {links}\napple<2\n"}, OLD_APPLE
    ),
    "find-links-beside-the-file": Case(
        "-r sub/r.txt",
        {"sub/r.txt": "-f more\nelder\n", "sub/more/elder-1.0-py3-none-any.whl": ""},
        {"elder": "1.0"},
    ),
    "pre-in-the-file": Case("-r r.txt", {"r.txt": "--pre\ndamson\n"}, {"damson": "2.0rc1"}),
    "only-binary-in-the-file": Case(
        "-r r.txt", {"r.txt": "--no-binary apple\napple\n"}, None
    ),
    "only-binary-then-none": Case(
        "-r r.txt", {"r.txt": "--no-binary :all:\n--no-binary :none:\napple<2\n"}, OLD_APPLE
    ),
    "an-unknown-option": Case("-r r.txt", {"r.txt": "--upgrade\napple\n"}),
    "an-option-that-pip-allows-nowhere-in-a-file": Case("-r r.txt", {"r.txt": "-U\napple\n"}),
    "options-behind-a-requirement": Case("-r r.txt", {"r.txt": "apple --pre\n"}, APPLE),
    "a-wheel-by-relative-path": Case(
        "-r sub/r.txt",
        {"sub/r.txt": "./elder-1.0-py3-none-any.whl\n", "elder-1.0-py3-none-any.whl": ""},
        {"elder": "1.0"},
    ),
    "a-wheel-by-url": Case(
        "-r r.txt",
        {"r.txt": lambda links: f"{(links / 'apple-1.0-py3-none-any.whl').as_uri()}\n"},
        OLD_APPLE,
    ),
    "name-at-url": Case(
        "-r r.txt",
        {"r.txt": lambda links: f"apple @ {(links / 'apple-1.0-py3-none-any.whl').as_uri()}\n"},
        OLD_APPLE,
    ),
    "another-name-at-url": Case(
        "-r r.txt",
        {"r.txt": lambda links: f"pear @ {(links / 'apple-1.0-py3-none-any.whl').as_uri()}\n"},
        None,
    ),
    "extras-of-a-path": Case(
        "-r r.txt",
        {"r.txt": lambda links: f"{links}/cherry-1.0-py3-none-any.whl[jam]\n"},
        {"cherry": "1.0", "banana": "1.0"},
    ),
    # -- constraints
    "a-constraint-asks-for-nothing": Case(
        "apple -c c.txt", {"c.txt": "apple<2\ndamson\n"}, OLD_APPLE
    ),
    "constraints-that-exclude": Case("apple==2.0 -c c.txt", {"c.txt": "apple<2\n"}, None),
    "a-constraint-on-a-dependency": Case("apple -c c.txt", {"c.txt": "banana<2"}, OLD_APPLE),
    "a-constraint-with-extras": Case("cherry -c c.txt", {"c.txt": "cherry[jam]\n"}, None),
    "a-constraint-by-url": Case(
        "apple -c c.txt",
        {"c.txt": lambda links: f"apple @ {(links / 'apple-1.0-py3-none-any.whl').as_uri()}\n"},
        OLD_APPLE,
    ),
    "a-constraint-with-a-marker-that-fails": Case(
        "apple -c c.txt", {"c.txt": "apple<2; python_version < '3'\n"}, APPLE
    ),
    "pip-constraint-variable": Case("apple", {"c.txt": "apple<2\n"}, OLD_APPLE,
                                    {"PIP_CONSTRAINT": "c.txt"}),
    # -- hashes
    "a-hash": Case("-r r.txt", {"r.txt": f"apple==1.0 {HASH['apple-1.0']}\n"}, OLD_APPLE),
    "a-hash-over-two-lines": Case(
        "-r r.txt", {"r.txt": f"apple==1.0 \\\n  {WRONG} \\\n  {HASH['apple-1.0']}\n"}, OLD_APPLE
    ),
    "no-hash-for-a-dependency": Case(
        "-r r.txt", {"r.txt": f"apple==2.0 {HASH['apple-2.0']}\n"}, None
    ),
    "a-hash-for-each": Case(
        "-r r.txt",
        {"r.txt": f"apple==2.0 {HASH['apple-2.0']}\nbanana==2.0 {HASH['banana-2.0']}\n"},
        APPLE,
    ),
    "one-without": Case("damson -r r.txt", {"r.txt": f"apple==1.0 {HASH['apple-1.0']}\n"}, None),
    "not-pinned": Case("-r r.txt", {"r.txt": f"apple<2 {HASH['apple-1.0']}\n"}, OLD_APPLE),
    "hash-in-a-constraint": Case(
        "apple --require-hashes -c c.txt",
        {"c.txt": f"apple==1.0 {HASH['apple-1.0']}\n"},
        OLD_APPLE,
    ),
    "required-and-none": Case("apple==1.0 --require-hashes"),
    # -- extras
    "an-extra": Case("cherry[jam]", {}, {"cherry": "1.0", "banana": "1.0"}),
    "no-such-extra": Case("cherry[tea]", {}, {"cherry": "1.0"}),
    "an-extra-that-conflicts": Case("cherry[jam] banana>=2", {}, None),
    # -- dependency groups
    "a-group": Case("--group dev", {"pyproject.toml": PYPROJECT},
                    {**OLD_APPLE, "cherry": "1.0", "banana": "1.0"}),
    "a-group-elsewhere": Case("--group sub/pyproject.toml:more", {"sub/pyproject.toml": PYPROJECT},
                              {"cherry": "1.0", "banana": "1.0"}),
    "two-groups-and-a-name": Case(
        "damson --group more --group dev", {"pyproject.toml": PYPROJECT},
        {**OLD_APPLE, "cherry": "1.0", "banana": "1.0", "damson": "1.0"},
    ),
    "no-such-group": Case("--group gone", {"pyproject.toml": PYPROJECT}),
    "no-project": Case("--group dev"),
    "a-file-of-another-name": Case("--group p.toml:dev", {"p.toml": PYPROJECT}),
    # -- scripts
    "a-script": Case("--requirements-from-script s.py", {"s.py": SCRIPT}, OLD_APPLE),
    "a-script-for-another-python": Case(
        "--requirements-from-script s.py", {"s.py": SCRIPT.replace(">=3", "<3")}
    ),
    "its-python-ignored": Case(
        "--requirements-from-script s.py --ignore-requires-python",
        {"s.py": SCRIPT.replace(">=3", "<3")},
        OLD_APPLE,
    ),
    "two-scripts": Case(
        "--requirements-from-script s.py --requirements-from-script s.py", {"s.py": SCRIPT}
    ),
    # -- lock files
    "a-lock": Case(
        "-r pylock.toml", {"pylock.toml": lock(found("apple", "2.0"), found("banana", "2.0"))},
        APPLE,
    ),
    "a-lock-of-another-name": Case(
        "-r pylock.dev.toml", {"pylock.dev.toml": lock(found("apple", "1.0"))}, OLD_APPLE
    ),
    "a-lock-that-lacks-a-dependency": Case(
        "-r pylock.toml", {"pylock.toml": lock(found("apple", "2.0"))}, None
    ),
    "a-lock-without-dependencies": Case(
        "-r pylock.toml --no-deps", {"pylock.toml": lock(found("apple", "2.0"))}, {"apple": "2.0"}
    ),
    "a-lock-and-a-name-without-a-hash": Case(
        "damson -r pylock.toml", {"pylock.toml": lock(found("apple", "1.0"))}, None
    ),
    "a-lock-with-an-extra": Case(
        "-r pylock.toml[x]",
        {"pylock.toml": lock(
            found("apple", "1.0"), extra='extras = ["x"]', marker="marker = \"'x' in extras\""
        )},
        OLD_APPLE,
    ),
    "a-lock-without-its-extra": Case(
        "-r pylock.toml",
        {"pylock.toml": lock(
            found("apple", "1.0"), extra='extras = ["x"]', marker="marker = \"'x' in extras\""
        )},
        {},
    ),
    "a-group-of-a-lock": Case(
        "--group pylock.toml:g",
        {"pylock.toml": lock(
            found("apple", "1.0"),
            extra='dependency-groups = ["g"]',
            marker="marker = \"'g' in dependency_groups\"",
        )},
        OLD_APPLE,
    ),
    "a-lock-for-another-python": Case(
        "-r pylock.toml",
        {"pylock.toml": lock(found("apple", "1.0"), extra='requires-python = ">=99"')},
        None,
    ),
    "a-lock-for-another-platform": Case(
        "-r pylock.toml", {"pylock.toml": lock(found("native", "1.0"))}, None
    ),
    "a-lock-whose-wheel-is-refused": Case(
        "-r pylock.toml --no-binary apple", {"pylock.toml": lock(found("apple", "1.0"))}, None
    ),
    "a-lock-and-a-constraint": Case(
        "-r pylock.toml -c c.txt",
        {"pylock.toml": lock(found("apple", "1.0")), "c.txt": "apple>=2\n"},
        None,
    ),
    # -- sources
    "a-folder": Case("./proj", {"proj/": "demo"}, {"demo": "1.0"}),
    "a-folder-in-a-file-is-relative-to-the-shell": Case(
        "-r sub/r.txt", {"sub/r.txt": "./proj\n", "proj/": "demo"}, {"demo": "1.0"}
    ),
    "an-editable": Case("-e proj", {"proj/": "demo"}, {"demo": "1.0"}),
    "an-editable-in-a-file": Case(
        "-r r.txt", {"r.txt": "-e ./proj\n", "proj/": "demo"}, {"demo": "1.0"}
    ),
    "a-folder-that-is-no-project": Case("./empty", {"empty/x.txt": ""}),
    "an-editable-that-is-a-name": Case("-e apple"),
    "an-editable-as-a-constraint": Case(
        "apple -c c.txt", {"c.txt": "-e ./proj\n", "proj/": "demo"}
    ),
    "a-folder-and-hashes": Case("--require-hashes ./proj", {"proj/": "demo"}),
    "a-folder-in-a-lock": Case(
        "-r pylock.toml",
        {
            "proj/": "demo",
            "pylock.toml": 'lock-version = "1.0"\ncreated-by = "test"\n[[packages]]\n'
            'name = "demo"\ndirectory = {path = "proj"}\n',
        },
        {"demo": "1.0"},
    ),
    "a-folder-with-a-version-that-a-constraint-excludes": Case(
        "./proj -c c.txt", {"proj/": "demo", "c.txt": "demo>1\n"}
    ),
    "the-same-folder-twice": Case("./proj -e ./proj", {"proj/": "demo"}),
    # -- what else decides
    "only-deps": Case("apple --only-deps", {}, {"banana": "2.0"}),
    "only-deps-of-two": Case("apple banana --only-deps", {}, {}),
    "only-deps-with-a-file": Case("--only-deps -r r.txt", {"r.txt": "apple\n"}),
    "only-deps-without-deps": Case("apple --only-deps --no-deps"),
    "prior-to-does-not-ask-local-files": Case(
        "apple<2 --uploaded-prior-to 2020-01-01", {}, OLD_APPLE
    ),
    "prior-to-nonsense": Case("apple --uploaded-prior-to yesterday"),
    "another-platform": Case(
        "native --only-binary=:all: --platform win_amd64 --python-version 38", {},
        {"native": "1.0"},
    ),
    "another-platform-and-sources": Case("native --platform win_amd64"),
    "nothing": Case(""),
    "an-empty-file": Case("-r r.txt", {"r.txt": "\n"}, {}),
}  # fmt: skip


@dataclass(frozen=True)
class World:
    """Every case written down in a folder of its own, and what pip makes of it."""

    questions: Mapping[str, Question]
    of_pip: Mapping[str, Verdict]
    environ: Mapping[str, str]


@pytest.fixture(scope="module")
def world(links: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("cases")
    prefix = ["--no-index", "--find-links", str(links)]
    questions = {}
    for name, case in CASES.items():
        cwd = folder / name
        cwd.mkdir()
        _write(cwd, links, case)
        questions[name] = Question([*prefix, *case.words.split()], cwd, case.environ)
    home = tmp_path_factory.mktemp("home")
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "PIP_NO_CACHE_DIR": "1"}
    answers = ask_pip(list(questions.values()), environ)
    return World(questions, dict(zip(questions, answers, strict=True)), environ)


def _write(folder: Path, links: Path, case: Case) -> None:
    for name, text in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            write_project(path, project(str(text)))
            continue
        if name.endswith(".whl"):
            wheel(path.name.partition("-")[0], "1.0").write(path.parent)
            continue
        contents = text if isinstance(text, str) else text(links)
        marked = contents.startswith("\ufeff")
        path.write_text(contents, encoding="utf-16-le" if marked else "utf-8")


@pytest.mark.parametrize("name", CASES)
def test_agrees(world: World, name: str) -> None:
    of_pip = world.of_pip[name]
    ours = ask_kedge(world.questions[name], world.environ)
    assert ours.chosen == of_pip.chosen, f"{of_pip.said}\n{ours.said}"
    assert ours.chosen == CASES[name].expected, f"{of_pip.said}\n{ours.said}"
