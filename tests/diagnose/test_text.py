"""What a report looks like as text, whoever presents whatever."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from diagnose import zoo
from diagnose.zoo import Animal, Keeper
from kedge import diagnose
from kedge.diagnose import Line, LineKind, User
from support import pki
from transport.sessions import saying

ALL = [pytest.param(each, id=each.id) for each in (*zoo.CERTIFICATES, *zoo.HANDSHAKES, *zoo.ROUTES)]


def report(url: str, keeper: Keeper) -> list[Line]:
    user = User(words=("install", "--index-url", url, "six"))
    return list(diagnose.layout(diagnose.diagnose_url(url, keeper.surroundings, user), user))


@pytest.mark.parametrize("animal", ALL)
def test_a_report_is_short_and_says_nothing_twice(animal: Animal, keeper: Keeper) -> None:
    lines = report(animal.build(keeper), keeper)
    assert len(lines) < 50
    words = [line.text for line in lines if line.kind is LineKind.WORDS]
    sentences = Counter(text for text in words if len(text.split()) > 7)
    assert max(sentences.values(), default=1) == 1
    told = re.findall(r"(?:[0-9A-F]{2}:){31}", "\n".join(map(str, lines)))
    assert len(told) == len([line for line in lines if line.kind is LineKind.FINGERPRINT])
    commands = [line.text for line in lines if line.kind is LineKind.COMMAND]
    assert all(re.match(r"(env -u \S+ )*kedge |sudo ", each) for each in commands)
    assert not [text for text in words if text.startswith("kedge ")]


def test_a_name_is_for_the_terminal_to_show_and_not_to_obey(keeper: Keeper) -> None:
    root = pki.authority("Corp\x1b[2J\r\nRoot\u202e")
    leaf = root.leaf("localhost", common_name="\x07evil\x9b31m")
    lines = report(keeper.serves(zoo.sent_with(leaf, root)), keeper)
    assert all(str(line).isprintable() for line in lines)


@pytest.mark.parametrize(
    "words",
    [
        b"\x1b]0;title\x07\x1b[2J hello\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\x1b[2J\x9b\r\n\r\n",
        b"HTTP/1.1 400 \x1b[2JBad\r\n\r\n",
        bytes(range(256)),
    ],
)
def test_so_are_the_first_words_of_whatever_answers(words: bytes, keeper: Keeper) -> None:
    lines = report(zoo.speaking(saying(words))(keeper), keeper)
    assert all(str(line).isprintable() for line in lines)
    proxied = report(zoo.proxy_speaking(saying(words))(keeper), keeper)
    assert all(str(line).isprintable() for line in proxied)


def test_a_chain_beyond_reason_is_cut(keeper: Keeper) -> None:
    root = pki.authority("Corp Root")
    others = [pki.authority(f"Other {number}") for number in range(20)]
    lines = report(keeper.serves(zoo.sent_with(root.leaf("localhost"), root, *others)), keeper)
    assert [line for line in lines if "and 16 more" in line.text]
    assert len([line for line in lines if line.kind is LineKind.FINGERPRINT]) == 6


def test_a_certificate_for_many_names_does_not_list_them_all(keeper: Keeper) -> None:
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    names = [f"host{number}.example" for number in range(300)]
    lines = report(keeper.serves(root.leaf(*names)), keeper)
    assert [line for line in lines if "and 295 more" in line.text]
    assert max(len(str(line)) for line in lines) < 500
