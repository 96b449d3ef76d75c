"""Linking with a second process: the same to the reader, whatever becomes of the process."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from kedge.errors import DamagedEntryError
from kedge.install import partner
from support.installing import Stand, Told, forked, kill, rewrite
from support.wheels import Artifact, wheel

pytestmark = pytest.mark.skipif(not partner.is_possible(), reason="needs a second process")


@pytest.fixture
def stand(stand_in_memory: Stand, monkeypatch: pytest.MonkeyPatch) -> Stand:
    """Where a partner is always worth it."""
    monkeypatch.setattr(partner, "WORTH_IT", 0)
    return stand_in_memory


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many files the partner left of each wheel that it did; none without a partner.

    It takes its first wheel before anybody else goes on, however busy the machine is.
    """
    found: list[int] = []
    ask, begin = partner.Partner._ask, partner.Partner.begin

    def begun(self: partner.Partner[object]) -> None:
        before = len(self._waiting)
        begin(self)
        while len(self._waiting) == before:
            time.sleep(0.001)

    def counted(self: partner.Partner[object], parts: tuple[partner.Part, ...]) -> object:
        left = ask(self, parts)
        found.append(sum(len(part.rows) for part in left))
        return left

    monkeypatch.setattr(partner.Partner, "_ask", counted)
    monkeypatch.setattr(partner.Partner, "begin", begun)
    return found


def _wheels() -> list[Artifact]:
    """The last is the largest, which is what the partner takes first."""
    return [
        wheel(
            f"demo-{letter}",
            files={
                **{f"space/{letter}/m{place}.py": f"n = {place}\n" for place in range(40)},
                **({"larger.py": ""} if letter == "l" else {}),
            },
            data={f"data/share/{letter}.txt": "notes", f"scripts/tool-{letter}": "#!python\n"},
            entry_points={f"run-{letter}": f"space.{letter}.m1:main"},
        )
        for letter in "abcdefghijkl"
    ]


@pytest.mark.parametrize("compiled", [False, True])
def test_the_result_is_the_same_with_and_without(
    stand: Stand, answers: list[int], monkeypatch: pytest.MonkeyPatch, compiled: bool
) -> None:
    told = Told()
    stand.install(*_wheels(), compile=compiled, reporter=told)
    assert answers
    assert not any(answers)
    assert told.all("contested") == []
    assert not (stand.venv.site / ".kedge").exists()
    shared = stand.snapshot()
    stand.uninstall(*(artifact.name for artifact in _wheels()))
    monkeypatch.setattr(partner, "WORTH_IT", 1_000_000)
    answers.clear()
    stand.install(*_wheels(), compile=compiled)
    assert answers == []
    assert stand.snapshot() == shared


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import sys; sys.exit(1)", id="never works"),
        pytest.param(
            partner._PARTNER.replace("continue\n", "raise SystemExit\n"), id="ends after one file"
        ),
        pytest.param("import sys; sys.stdout.write('no')", id="talks nonsense"),
    ],
)
def test_what_becomes_of_the_process_does_not_matter(
    stand: Stand, answers: list[int], monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(partner, "_PARTNER", code)
    told = Told()
    stand.install(*_wheels(), reporter=told)
    assert any(answers)
    assert told.all("contested") == []
    for artifact in _wheels():
        letter = artifact.name[-1]
        assert len(list((stand.venv.site / "space" / letter).iterdir())) == 40
        assert stand.venv.run("-c", f"import space.{letter}.m7 as m; print(m.n)").strip() == "7"


@pytest.mark.parametrize("letter", ["l", "b"])
def test_damage_is_noticed_in_what_the_partner_links(
    stand: Stand, answers: list[int], letter: str
) -> None:
    """These two it takes together, as its first job."""
    additions = {each.name[-1]: each for each in map(stand.addition, _wheels())}
    before = stand.snapshot()
    damaged = additions[letter].wheel
    rewrite(damaged.tree / "space" / letter / "m3.py", b"n = 4\n")
    with pytest.raises(DamagedEntryError) as caught:
        stand.install(*additions.values())
    assert caught.value.sha256 == damaged.sha256
    assert answers[0] == 1
    assert stand.snapshot() == before


def test_a_link_in_the_place_of_a_file_is_noticed(stand: Stand, answers: list[int]) -> None:
    """Of the same size, time and permissions: what it leads to is not the cache's."""
    additions = [stand.addition(artifact) for artifact in _wheels()]
    path = additions[-1].wheel.tree / "space" / "l" / "m3.py"
    elsewhere = path.with_name("elsewhere")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    with pytest.raises(DamagedEntryError):
        stand.install(*additions)
    assert answers[0] == 1


@pytest.mark.parametrize("way", ["files", "data"])
@pytest.mark.parametrize("path", ["shared.py", "space/shared.py", "both/shared.py"])
def test_two_that_bring_the_same_file_are_for_one_process(
    stand: Stand, answers: list[int], way: str, path: str
) -> None:
    one = wheel("one", files={path: "who = 'one'\n"})
    again = {"files": path, "data": f"purelib/{path}"}[way]
    two = wheel("two", **{way: {again: "who = 'two'\n"}})  # type: ignore[arg-type]
    told = Told()
    stand.install(*_wheels(), one, two, reporter=told)
    assert answers == []
    assert told.all("contested") == [(str(stand.venv.site / path), "two")]


@pytest.mark.parametrize(
    ("at", "only"),
    # How much this process links depends on the partner; what it moves does not.
    [(3, None), (30, None), (2, "os.rename"), (40, "os.rename")],
)
def test_a_kill_leaves_what_can_be_put_right(stand: Stand, at: int, only: str | None) -> None:
    additions = [stand.addition(artifact) for artifact in _wheels()]
    before = stand.snapshot()
    ended = forked(lambda: stand.install(*additions), at=at, only=only, do=kill)
    assert ended.killed
    stand.recover()
    assert stand.snapshot() == before
    stand.install(*additions)


def test_the_lock_is_held_until_the_partner_has_ended(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the killed process, that is: what it still writes must not meet the clearing up."""
    started, go = tmp_path / "started", tmp_path / "go"
    monkeypatch.setattr(
        partner,
        "_PARTNER",
        "import os, time\n"
        f"open({str(started)!r}, 'w').close()\n"
        f"while not os.path.exists({str(go)!r}): time.sleep(0.01)\n",
    )

    def install_and_die() -> None:
        ask = partner.Partner._ask

        def kill_when_asked(self: partner.Partner[object], parts: object) -> object:
            while not started.exists():
                pass
            kill()
            return ask(self, parts)  # type: ignore[arg-type]

        partner.Partner._ask = kill_when_asked  # type: ignore[method-assign, assignment]
        stand.install(*_wheels())

    import fcntl

    before = stand.snapshot()
    assert forked(install_and_die, at=sys.maxsize, do=kill).killed
    with (stand.venv.site / ".kedge" / "lock").open("rb") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        go.touch()
        fcntl.flock(lock, fcntl.LOCK_EX)
    stand.recover()
    assert stand.snapshot() == before
