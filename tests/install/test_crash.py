"""Whatever happens, and wherever: the environment is exactly as before, or exactly as planned.

Each test lets one and the same change of an environment be struck at its first step, its second,
and so on until it goes through.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import pytest

from kedge.install import carry_out, recover
from support.installing import Stand, forked, kill
from support.wheels import Artifact, wheel

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()"),
    # Hundreds of processes, one after the other.
    pytest.mark.timeout(900),
]

#: More than any change here takes; a test that gets there would never end.
_TOO_MANY = 400


def _old() -> list[Artifact]:
    return [
        wheel(
            "demo",
            "1.0",
            entry_points={"demo": "demo:main", "gone": "demo:main"},
            files={"demo/inner/old.py": "old = 1\n", "space/one/a.py": "a = 1\n", "top.py": "1\n"},
            data={"data/share/demo/notes.txt": "old", "scripts/tool": "#!python\n"},
        ),
        wheel("other", "1.0", files={"space/two/b.py": "b = 1\n"}),
    ]


def _new() -> list[Artifact]:
    return [
        wheel(
            "demo",
            "2.0",
            entry_points={"demo": "demo:main"},
            files={"demo/inner/new.py": "new = 1\n", "space/one/a.py": "a = 2\n", "top.py": "2\n"},
            data={"data/share/demo/notes.txt": "new", "headers/demo.h": "int x;"},
        ),
        wheel("extra", "1.0", files={"space/three/c.py": "c = 1\n"}),
    ]


@pytest.fixture
def stand(stand_in_memory: Stand) -> Stand:
    return stand_in_memory


@pytest.fixture
def upgraded(stand: Stand) -> Callable[[], None]:
    """The change: an upgrade beside files of nobody's; the environment holds the old versions."""
    stand.install(*_old())
    (stand.venv.site / "demo" / "users.txt").write_text("mine")
    (stand.venv.site / "extra").mkdir()
    (stand.venv.site / "extra" / "__init__.py").write_text("in the way")
    plan = stand.plan(*_new())
    return lambda: carry_out(plan)


def _outcomes(stand: Stand, change: Callable[[], None]) -> tuple[dict[str, bytes | None], ...]:
    old = stand.snapshot()
    assert forked(change, at=_TOO_MANY, do=kill).error == ""
    new = stand.snapshot()
    assert old.keys() - new.keys()
    assert new.keys() - old.keys()
    return old, new


def _restore(stand: Stand) -> None:
    """Back to before the change."""
    stand.uninstall("extra", "demo")
    stand.install(_old()[0])
    (stand.venv.site / "demo" / "users.txt").write_text("mine")
    (stand.venv.site / "extra").mkdir(exist_ok=True)
    (stand.venv.site / "extra" / "__init__.py").write_text("in the way")


def test_killed_at_any_step(stand: Stand, upgraded: Callable[[], None]) -> None:
    old, new = _outcomes(stand, upgraded)
    _restore(stand)
    assert stand.snapshot() == old
    seen = {"old": 0, "new": 0, "said": 0}
    for at in range(1, _TOO_MANY):
        ended = forked(upgraded, at=at, do=kill)
        if not ended.reached:
            break
        assert ended.killed
        seen["said"] += bool(stand.recover())
        now = stand.snapshot()
        assert now in (old, new), f"killed at step {at}"
        seen["old" if now == old else "new"] += 1
        if now == new:
            _restore(stand)
    # It went through once it was not struck, and both ends were seen on the way.
    assert ended.error == ""
    assert stand.snapshot() == new
    assert seen["old"] > 50
    assert seen["new"] > 5
    assert seen["said"] > 10


def test_killed_again_while_recovering(stand: Stand, upgraded: Callable[[], None]) -> None:
    old = stand.snapshot()
    at = 1
    while True:  # the step after which there is most to undo
        ended = forked(upgraded, at=at, do=kill)
        assert ended.killed
        is_open = (stand.venv.site / ".kedge" / "journal").exists()
        after = stand.snapshot()
        stand.recover()
        if is_open:
            last = at
        elif any(name.endswith("committed") for name in after):
            break
        at += 5
    for second in range(1, _TOO_MANY):
        if stand.snapshot() != old:
            _restore(stand)
        assert forked(upgraded, at=last, do=kill).killed
        ended = forked(lambda: recover(stand.scheme), at=second, do=kill)
        stand.recover()
        assert stand.snapshot() == old, f"killed at step {second} of recovering"
        if not ended.reached:
            break
    assert second > 20


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES], ids=["full disk", "permission"])
def test_any_call_fails(stand: Stand, upgraded: Callable[[], None], number: int) -> None:
    def fail() -> None:
        raise OSError(number, os.strerror(number))

    old, new = _outcomes(stand, upgraded)
    _restore(stand)
    failures = 0
    for at in range(1, _TOO_MANY):
        ended = forked(upgraded, at=at, do=fail)
        now = stand.snapshot()
        if ended.error:
            assert ended.error.startswith("InstallError"), ended
            # Of a lock that cannot be locked the file stays: it might be another's.
            assert {name.rpartition("/.kedge")[2] for name in now.keys() - old} <= {"", "/lock"}
            stand.recover()
            assert stand.snapshot() == old, f"failed at step {at}: {ended.error}"
            failures += 1
        else:
            # What fails after the last change is only the tidying up.
            stand.recover()
            assert stand.snapshot() == new
            _restore(stand)
        if not ended.reached:
            break
    assert failures > 50


@pytest.mark.parametrize("only", [None, "os.rename"], ids=["everything", "renames"])
def test_it_fails_from_some_step_on(
    stand: Stand, upgraded: Callable[[], None], only: str | None
) -> None:
    """Then not even undoing works; what was moved away must wait for the next command."""

    def fail() -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    old, new = _outcomes(stand, upgraded)
    _restore(stand)
    left_open = 0
    for at in range(1, _TOO_MANY, 1 if only else 2):
        ended = forked(upgraded, at=at, do=fail, lasting=True, only=only)
        left_open += (stand.venv.site / ".kedge" / "journal").exists()
        stand.recover()
        now = stand.snapshot()
        if not ended.error:
            assert now == new
            break
        assert ended.error.startswith("InstallError"), ended
        assert now == old, f"failed from step {at} on: {ended.error}"
    assert left_open > 5


def test_the_next_installation_recovers_by_itself(
    stand: Stand, upgraded: Callable[[], None]
) -> None:
    _, new = _outcomes(stand, upgraded)
    _restore(stand)
    was_open = 0
    for at in range(1, _TOO_MANY, 3):
        ended = forked(upgraded, at=at, do=kill)
        if not ended.reached or (stand.venv.site / ".kedge" / "committed").exists():
            break
        was_open += (stand.venv.site / ".kedge" / "journal").exists()
        upgraded()
        assert stand.snapshot() == new
        _restore(stand)
    assert was_open > 2


def test_interrupted_at_any_step(stand: Stand, upgraded: Callable[[], None]) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    old, new = _outcomes(stand, upgraded)
    _restore(stand)
    for at in range(1, _TOO_MANY):
        ended = forked(upgraded, at=at, do=interrupt)
        if not ended.reached:
            break
        assert ended.error == "KeyboardInterrupt: ", ended
        journal = stand.venv.site / ".kedge" / "journal"
        assert not journal.exists(), f"nothing was undone at step {at}"
        stand.recover()
        now = stand.snapshot()
        assert now in (old, new)
        if now == new:
            _restore(stand)
    assert at > 50
