from __future__ import annotations

import pytest

from kedge.model import Hashes
from kedge.requirements.options import Line, OptionError, parse_hash, parse_line

SHA = "ab" * 32
SHA512 = "cd" * 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("spam >= 1", Line(requirement="spam >= 1"), id="requirement"),
        pytest.param(
            "spam; python_version < '3'",
            Line(requirement="spam; python_version < '3'"),
            id="quotes in a marker",
        ),
        pytest.param("-r other.txt", Line(requirement_file="other.txt"), id="-r"),
        pytest.param("--requirement=o.txt", Line(requirement_file="o.txt"), id="--requirement"),
        pytest.param("-cc.txt", Line(constraint_file="c.txt"), id="-c without a space"),
        pytest.param("-e .", Line(editable="."), id="-e"),
        pytest.param("-e 'a b'", Line(editable="a b"), id="quoted"),
        pytest.param("-i https://x/", Line(settings=(("--index-url", "https://x/"),)), id="-i"),
        pytest.param("--pypi-url u", Line(settings=(("--index-url", "u"),)), id="an old name"),
        pytest.param("--extra-index u", Line(settings=(("--extra-index-url", "u"),)), id="short"),
        pytest.param(
            "--extra-index-url b -i a --no-index -f l",
            Line(
                settings=(
                    ("--no-index", ""),
                    ("--index-url", "a"),
                    ("--extra-index-url", "b"),
                    ("--find-links", "l"),
                )
            ),
            id="in the order of their effect",
        ),
        pytest.param(
            "--only-binary :all: --no-binary spam,eggs --only-bin ham",
            Line(
                settings=(
                    ("--only-binary", ":all:"),
                    ("--no-binary", "spam,eggs"),
                    ("--only-binary", "ham"),
                )
            ),
            id="as written where the order matters",
        ),
        pytest.param(
            "--pre --prefer-binary --require-hashes --use-feature x --trusted-host h:1",
            Line(
                settings=(
                    ("--require-hashes", ""),
                    ("--prefer-binary", ""),
                    ("--pre", ""),
                    ("--trusted-host", "h:1"),
                    ("--use-feature", "x"),
                )
            ),
            id="the rest",
        ),
        pytest.param(
            f"spam==1 --hash=sha256:{SHA} --hash sha512:{SHA512}",
            Line(requirement="spam==1", hashes=Hashes.of({"sha256": SHA, "sha512": SHA512})),
            id="hashes",
        ),
        pytest.param(
            "spam -C a=1 --config-settings a=2 --config-setting b==",
            Line(requirement="spam", config_settings={"a": ("1", "2"), "b": "="}),
            id="config settings",
        ),
        pytest.param(
            "spam --pre and more",
            Line("spam", settings=(("--pre", ""),), stray=("and", "more")),
            id="stray words",
        ),
        pytest.param(
            "-r a -r b", Line(requirement_file="a", repeated=("-r",)), id="only the first counts"
        ),
        pytest.param(
            "-f a -f b",
            Line(settings=(("--find-links", "a"),), repeated=("--find-links",)),
            id="only the first find-links counts",
        ),
        pytest.param("", Line(), id="nothing"),
    ],
)
def test_a_line_is_split(text: str, expected: Line) -> None:
    assert parse_line(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("--nonsense", ["--nonsense"]),
        ("--index-url", ["--index-url"]),
        ("--no", ["--no"]),  # of several options
        ("spam --hash=sha256", ["sha256"]),
        ("spam --hash=md5:00", ["md5", "sha256"]),
        ("spam --hash=sha256:00", ["64"]),
        (f"spam --hash=sha256:{'x' * 64}", ["hexadecimal"]),
        ("spam --config-settings a", ["KEY=VAL"]),
        ("spam --no-binary --pre", ["--no-binary"]),
        ("-e 'unclosed", ["quotation"]),
        ("spam --global-option=x", ["--global-option"]),
    ],
)
def test_what_cannot_be_read_is_told(text: str, words: list[str]) -> None:
    with pytest.raises(OptionError) as caught:
        parse_line(text)
    assert all(word in str(caught.value) for word in words)


def test_what_pip_has_removed_is_told_so() -> None:
    with pytest.raises(OptionError) as caught:
        parse_line("spam --install-option=--prefix")
    assert caught.value.hint
    with pytest.raises(OptionError) as unknown:
        parse_line("spam --nonsense")
    assert unknown.value.hint is None


@pytest.mark.parametrize(("name", "length"), [("sha256", 64), ("sha384", 96), ("sha512", 128)])
def test_a_digest_has_its_length(name: str, length: int) -> None:
    assert parse_hash(f"{name}:{'a' * length}") == (name, "a" * length)
    for wrong in (length - 1, length + 1):
        with pytest.raises(OptionError):
            parse_hash(f"{name}:{'a' * wrong}")


def test_digests_are_compared_in_lower_case() -> None:
    assert parse_hash(f"sha256:{SHA.upper()}") == ("sha256", SHA)
