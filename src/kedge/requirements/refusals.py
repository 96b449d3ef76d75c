"""What is refused although it can be read: what needs a build, and what hash-checking forbids.

Pure decisions over :class:`~kedge.requirements.requested.Requested` values. Each names everything
that is wrong at once, so that a file is mended in one go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kedge.errors import RequirementError
from kedge.model import STRONG_HASHES, Origin
from kedge.requirements.requested import Requested, RequestedKind


class BuildNeededError(RequirementError):
    """It would have to be built from source; ``requested`` tells what kind of source it is."""

    def __init__(self, message: str, *, requested: Requested, hint: str | None = None) -> None:
        super().__init__(message, origin=requested.origin, hint=hint)
        self.requested = requested
        self.kind = requested.kind


_SOURCES = {
    RequestedKind.INDEX: "a project",
    RequestedKind.WHEEL: "a wheel",
    RequestedKind.SOURCE: "a source archive",
    RequestedKind.FOLDER: "a source folder",
    RequestedKind.VCS: "a repository",
}


def refuse_builds(requested: Iterable[Requested]) -> None:
    """Raise :class:`BuildNeededError` for the first that cannot be installed without a build.

    To be called with what applies to the target: a requirement whose marker does not hold is not
    installed and must not stand in the way.
    """
    for one in requested:
        if one.needs_build:
            how = " in editable mode" if one.editable else ""
            raise BuildNeededError(
                f"{one} ({one.origin}) is {_SOURCES[one.kind]} to be built{how}, and building is "
                "not there yet in this version of kedge.",
                requested=one,
                hint="Build a wheel of it with another tool (python -m build --wheel) and install "
                "that.",
            )


class UnhashedError(RequirementError):
    """Hash-checking mode is on, and these requirements do not meet its rules.

    ``unhashed`` have no digest, ``unpinned`` leave the version open, ``unhashable`` are of a kind
    that has no digest: repositories and folders.
    """

    def __init__(
        self,
        message: str,
        *,
        origin: Origin,
        unhashable: Sequence[Requested],
        unhashed: Sequence[Requested],
        unpinned: Sequence[Requested],
        hint: str,
    ) -> None:
        super().__init__(message, origin=origin, hint=hint)
        self.unhashable = tuple(unhashable)
        self.unhashed = tuple(unhashed)
        self.unpinned = tuple(unpinned)


def hash_checking(requested: Sequence[Requested], *, required: Origin | None = None) -> bool:
    """Whether hash-checking mode is on: by ``required`` (where ``--require-hashes`` was written),
    or because one requirement has a ``--hash``; a digest in a URL alone does not turn it on.

    In that mode every requirement must be pinned (``==``, or a URL) and hashed, by ``--hash`` or
    in its own URL, with a strong algorithm; :class:`UnhashedError` names all that are not.
    What the requirements require in turn is for the resolver to check.
    """
    hashed = next((one for one in requested if one.hash_option), None)
    if required is None and hashed is None:
        return False
    unhashable = [one for one in requested if one.kind in _WITHOUT_DIGEST]
    others = [one for one in requested if one not in unhashable]
    unhashed = [one for one in others if not one.hashes.algorithms() & set(STRONG_HASHES)]
    unpinned = [one for one in others if not one.is_pinned]
    if unhashable or unhashed or unpinned:
        raise _unhashed(unhashable, unhashed, unpinned, required=required, hashed=hashed)
    return True


_WITHOUT_DIGEST = {RequestedKind.VCS, RequestedKind.FOLDER}


def _unhashed(
    unhashable: list[Requested],
    unhashed: list[Requested],
    unpinned: list[Requested],
    *,
    required: Origin | None,
    hashed: Requested | None,
) -> UnhashedError:
    findings = [
        f"{what}: {', '.join(f'{one} ({one.origin})' for one in ones)}"
        for what, ones in (
            ("no digest can be checked for a repository or a folder", unhashable),
            ("without a --hash", unhashed),
            ("not pinned with ==", unpinned),
        )
        if ones
    ]
    why = f"{hashed} ({hashed.origin}) has a --hash" if hashed else f"{required} asks for it"
    first = (unhashable + unhashed + unpinned)[0]
    return UnhashedError(
        f"In hash-checking mode every requirement is pinned and has a --hash. "
        f"{'. '.join(finding[0].upper() + finding[1:] for finding in findings)}.",
        origin=first.origin,
        unhashable=unhashable,
        unhashed=unhashed,
        unpinned=unpinned,
        hint=f"Hash-checking mode is on because {why}. Pin each with == and give it the --hash of "
        "the file you examined.",
    )
