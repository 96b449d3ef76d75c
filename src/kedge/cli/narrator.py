"""What is told while a command works: the hooks of every layer, as lines on the console."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kedge.cli.console import Console
from kedge.cli.progress import Downloads, NoDisplay, choose_display
from kedge.pipeline.reporter import Reporter

if TYPE_CHECKING:
    from kedge.environment import Choice, Interpreter, Scheme
    from kedge.install import LinkMode, Plan
    from kedge.model import TrustDecision
    from kedge.resolve import Pin, Resolution


class Narrator(Reporter):
    """Prints. Called from any thread; the console's lock keeps lines whole."""

    def __init__(self, console: Console, *, progress: str | None = None) -> None:
        self._console = console
        display = NoDisplay(console) if progress is None else choose_display(console, progress)
        self._downloads = Downloads(display)
        self._lock = threading.Lock()
        self._spent: dict[str, list[float]] = {}
        self.prompt = console.prompt
        console.aside = self._downloads.aside

    def close(self) -> None:
        """End the progress display, if one is open, and tell where the time went."""
        self._downloads.close()
        with self._lock:
            phases, self._spent = self._spent, {}
        if phases:
            self._console.debug(f"Time, summed over threads: {_phases(phases)}")

    def spent(self, phase: str, seconds: float) -> None:
        with self._lock:
            self._spent.setdefault(phase, []).append(seconds)

    def warn(self, message: str) -> None:
        self._console.warn(message)

    def detail(self, message: str) -> None:
        self._console.detail(message)

    # -- the steps

    def target_chosen(self, interpreter: Interpreter, choice: Choice, scheme: Scheme) -> None:
        place = interpreter.prefix
        if not scheme.purelib.is_relative_to(place):
            place = scheme.purelib
        self._console.say(f"Installing into {place} (Python {interpreter.full_version}, {choice})")

    def trust_decided(self, decision: TrustDecision) -> None:
        self._console.say(f"Trusting {decision}")
        for lost in decision.overridden:
            self._console.detail(
                f"  overridden: {lost.setting.origin} ({lost.setting.value}), by {lost.by}"
            )

    def resolved(self, resolution: Resolution, seconds: float) -> None:
        self.spent("resolve", seconds)
        for pin in resolution.kept:
            if pin.requested:
                self._console.say(f"Already installed: {pin}")
            else:
                self._console.detail(f"Already installed: {pin}")
        for pin in resolution.to_install:
            self._console.detail(f"Chosen: {pin} from {pin.file}")
        self._console.say(f"Resolved {_count(len(resolution.pins), 'package')} in {seconds:.1f} s")

    def fetched(self, pins: Sequence[Pin], seconds: float) -> None:
        self._downloads.close()
        self._console.say(f"Prepared {_count(len(pins), 'wheel')} in {seconds:.1f} s")

    def installed(self, plan: Plan, seconds: float) -> None:
        for old in plan.removals:
            self._console.detail(f"Removed {old}")
        added = _count(len(plan.additions), "package")
        self._console.say(f"Installed {added} in {seconds:.1f} s")

    # -- transport

    def download_started(self, name: str, size: int | None) -> None:
        self._downloads.started(name, size)

    def download_advanced(self, name: str, done: int) -> None:
        self._downloads.advanced(name, done)

    def download_finished(self, name: str) -> None:
        self._downloads.finished(name)

    def retrying(self, url: str, reason: str, delay: float) -> None:
        self._console.warn(f"Trying {url} again in {delay:.1f} s: {reason}")

    # -- index and resolve

    def page_read(self, url: str, files: int) -> None:
        self._console.debug(f"Read {url}: {_count(files, 'file')}")

    def metadata_read(self, filename: str) -> None:
        self._console.debug(f"Read the metadata of {filename}")

    def pinned(self, name: str, version: str) -> None:
        self._console.debug(f"Considering {name} {version}")

    def rejected(self, name: str, version: str, reason: str) -> None:
        self._console.debug(f"Not {name} {version}: {reason}")

    def recalled(self, pages: int) -> None:
        self._console.debug(
            f"The answer of an earlier run holds: none of its {_count(pages, 'page')} has changed"
        )

    def notice(self, text: str) -> None:
        self._console.say(text)

    # -- build

    def checking_out(self, repository: str) -> None:
        self._console.say(f"Checking out {repository}")

    def build_prepared(self, name: str) -> None:
        self._console.detail(f"Preparing to build {name}")

    def build_started(self, name: str) -> None:
        self._console.say(f"Building {name}")

    def build_finished(self, name: str, seconds: float) -> None:
        self._console.detail(f"Built {name} in {seconds:.1f} s")

    def build_output(self, name: str, line: str) -> None:
        self._console.detail(f"  | {line}")

    def build_kept(self, folder: str) -> None:
        self._console.say(f"The folders of the builds are left in {folder}")

    # -- install

    def waiting(self, place: Path) -> None:
        self._console.say(f"Waiting for another process that is changing {place}")

    def recovered(self, what: str) -> None:
        self._console.warn(what)

    def compiling(self, name: str) -> None:
        self._console.detail(f"Compiling {name}")

    def link_mode(self, used: LinkMode) -> None:
        self._console.detail(f"Files are installed by {used.value}")

    def overwritten(self, path: Path) -> None:
        self._console.detail(f"Overwritten, and owned by nothing: {path}")

    def contested(self, path: Path, name: str) -> None:
        self._console.warn(f"Several packages bring {path}: the one of {name} was installed.")

    def kept(self, path: Path, reason: str) -> None:
        self._console.warn(f"{path} stays as it is: {reason} (--upgrade replaces it)")

    def left_alone(self, name: str, reason: str) -> None:
        self._console.warn(f"{name} was left alone: {reason}")

    def refused(self, path: Path, name: str) -> None:
        self._console.warn(f"{path}, which {name} claims, is not its own and stays.")


#: What is timed, in the order in which a command comes to it.
_PHASES = ("libraries", "trust", "pages", "resolve", "download", "unpack", "compile", "link")


def _phases(spent: Mapping[str, Sequence[float]]) -> str:
    """``trust 0.01 s, pages 1.20 s in 147 turns``, as far as there was anything to do."""
    return ", ".join(
        f"{phase} {sum(spent[phase]):.2f} s"
        + (f" in {len(spent[phase])} turns" if len(spent[phase]) > 1 else "")
        for phase in _PHASES
        if phase in spent
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
