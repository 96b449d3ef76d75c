"""The user's command, changed."""

from __future__ import annotations

import pytest

from kedge.diagnose.commands import Change, User, by_hand, command, commands, without_option
from kedge.model import Origin, OriginKind

FILE = Origin(OriginKind.FILE, "cert", "/home/u/pip.conf", "global", 3)


@pytest.mark.parametrize(
    ("words", "value", "left"),
    [
        pytest.param(("install", "x"), None, ("install", "x"), id="absent"),
        pytest.param(("--cert", "a", "install", "x"), None, ("install", "x"), id="before"),
        pytest.param(("install", "--cert=a", "x"), None, ("install", "x"), id="joined"),
        pytest.param(("install", "--cert", "a", "--cert=b"), None, ("install",), id="twice"),
        pytest.param(
            ("install", "--cert", "a", "--cert=b"), "b", ("install", "--cert", "a"), id="one of two"
        ),
        pytest.param(
            ("install", "--", "--cert", "a"), None, ("install", "--", "--cert", "a"), id="after --"
        ),
        pytest.param(
            ("install", "--certificate", "a"), None, ("install", "--certificate", "a"), id="longer"
        ),
    ],
)
def test_without_an_option(words: tuple[str, ...], value: str | None, left: object) -> None:
    assert without_option(words, "--cert", value) == left


def test_words_are_added_before_what_is_no_option() -> None:
    change = Change(("install", "--", "-x")).adding("--extra-cert", "a")
    assert change.words == ("install", "--extra-cert", "a", "--", "-x")


def test_a_variable_is_unset_once() -> None:
    origin = Origin(OriginKind.ENVIRONMENT, "PIP_CERT")
    change = Change(("install",)).without(origin).without(origin)
    assert change.unset == ("PIP_CERT",)


def test_a_file_that_kedge_writes_is_edited_by_a_command() -> None:
    user = User(words=("install", "x"), config_levels={"/home/u/pip.conf": "--user"})
    change = Change(user.words).without(FILE)
    assert commands(user, change) == ("kedge config --user unset global.cert", "kedge install x")
    assert by_hand(user, change) == ()


def test_another_file_is_edited_by_hand() -> None:
    user = User(words=("install", "x"))
    change = Change(user.words).without(FILE)
    assert commands(user, change) == ("kedge install x",)
    assert by_hand(user, change) == (FILE,)


@pytest.mark.parametrize(
    "word",
    ["https://user:hunter2@index.example/simple", "--index-url=https://u:hunter2@index.example/"],
)
def test_passwords_are_not_shown(word: str) -> None:
    shown = command(User(words=()), ("install", word))
    assert "hunter2" not in shown
    assert "index.example" in shown


def test_the_program_as_it_was_called() -> None:
    user = User(words=(), program=("/home/u/a b/python", "-m", "kedge"))
    assert command(user, ("install", "x")) == "'/home/u/a b/python' -m kedge install x"
