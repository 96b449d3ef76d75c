"""What a download tells before anybody wants to hear of it."""

from __future__ import annotations

import pytest

from kedge.errors import KedgeError
from kedge.pipeline.withheld import Withheld
from kedge.transport import TransportReporter


class Recorder(TransportReporter):
    def __init__(self) -> None:
        self.told: list[object] = []

    def download_started(self, name: str, size: int | None) -> None:
        self.told.append(("started", name, size))

    def download_advanced(self, name: str, done: int) -> None:
        self.told.append(("advanced", name, done))

    def download_finished(self, name: str) -> None:
        self.told.append(("finished", name))

    def retrying(self, url: str, reason: str, delay: float) -> None:
        self.told.append("retrying")

    def warn(self, message: str) -> None:
        self.told.append("warned")


def _download(reporter: TransportReporter, *, to: int) -> None:
    reporter.download_started("a.whl", 10)
    reporter.download_advanced("a.whl", to // 2)
    reporter.retrying("https://x.example/a.whl", "it broke", 1.0)
    reporter.download_advanced("a.whl", to)


def test_it_is_told_when_it_is_wanted() -> None:
    recorder = Recorder()
    withheld = Withheld(recorder)
    _download(withheld, to=6)
    assert recorder.told == []
    withheld.release()
    withheld.release()
    withheld.download_advanced("a.whl", 10)
    withheld.download_finished("a.whl")
    assert recorder.told == [
        ("started", "a.whl", 10),
        ("advanced", "a.whl", 6),
        ("advanced", "a.whl", 10),
        ("finished", "a.whl"),
    ]


def test_what_has_begun_again_is_told_as_under_way() -> None:
    recorder = Recorder()
    withheld = Withheld(recorder)
    _download(withheld, to=10)
    withheld.download_finished("a.whl")
    withheld.download_started("a.whl", 10)
    withheld.release()
    assert recorder.told == [("started", "a.whl", 10), ("advanced", "a.whl", 0)]


def test_what_has_ended_is_told_as_well() -> None:
    recorder = Recorder()
    withheld = Withheld(recorder)
    _download(withheld, to=10)
    withheld.download_finished("a.whl")
    withheld.release()
    assert recorder.told[-1] == ("finished", "a.whl")


def test_warnings_are_for_the_user_at_once() -> None:
    recorder = Recorder()
    Withheld(recorder).warn("Careful.")
    assert recorder.told == ["warned"]


def test_what_nobody_wants_ends_at_its_next_piece() -> None:
    withheld = Withheld(Recorder())
    withheld.download_started("a.whl", 10)
    withheld.abandon()
    with pytest.raises(KedgeError):
        withheld.download_advanced("a.whl", 5)
