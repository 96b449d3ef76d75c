"""What a build tells while it goes on. Every hook does nothing; they come from any thread."""

from __future__ import annotations


class BuildReporter:
    """``name`` is what is built, as messages call it."""

    def build_prepared(self, name: str) -> None:
        """Its environment is about to be made, and its metadata prepared."""

    def build_started(self, name: str) -> None:
        """Its wheel is about to be built."""

    def build_finished(self, name: str, seconds: float) -> None:
        """Its wheel is there."""

    def build_output(self, name: str, line: str) -> None:
        """The backend, or something that it started, printed a line."""

    def checking_out(self, repository: str) -> None:
        """That repository is about to be checked out, or brought up to date; redacted."""

    def build_kept(self, folder: str) -> None:
        """``--no-clean``: the folders of the builds are left there."""
