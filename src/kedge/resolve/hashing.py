"""The hashes that the user gave, by project, and hash-checking mode."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName

from kedge.errors import ConflictError, ResolutionError
from kedge.model import Hashes
from kedge.resolve.constraints import url_key
from kedge.resolve.target import Target

if TYPE_CHECKING:
    from kedge.requirements import Requested
    from kedge.resolve.candidates import FileCandidate
    from kedge.resolve.problem import Problem


def hashes_by_user(problem: Problem) -> dict[NormalizedName, Hashes]:
    """The digests the user allows, by project: whoever fetches a file compares it with these."""
    target = Target(
        markers=problem.markers, tags=problem.tags, python_version=problem.python_version
    )
    return collect_hashes(problem, target)


def collect_hashes(problem: Problem, target: Target) -> dict[NormalizedName, Hashes]:
    """The digests the user allows, for the projects that have any; constraints count."""
    lines: dict[NormalizedName, list[Requested]] = {}
    for requested in (*problem.requested, *problem.constraints):
        if requested.name and target.applies(requested.marker):
            lines.setdefault(requested.name, []).append(requested)
    combined = {name: combine_hashes(name, group) for name, group in lines.items()}
    return {name: hashes for name, hashes in combined.items() if hashes}


def combine_hashes(name: str, lines: Iterable[Requested]) -> Hashes:
    """The digests that every one of the lines allows (those that give none allow all).

    Where two lines share no algorithm the first decides, as in pip. Two that contradict each other
    are a :class:`~kedge.errors.ConflictError`: taking either would be a guess about what the user
    trusts.
    """
    allowed = Hashes()
    before: Requested | None = None
    for line in lines:
        if not line.hashes:
            continue
        if before is None:
            allowed, before = line.hashes, line
            continue
        if not allowed.algorithms() & line.hashes.algorithms():
            continue
        both = allowed.allowed & line.hashes.allowed
        if not both:
            raise ConflictError(
                f"Two sets of hashes for {name} have nothing in common.",
                explanation=[
                    f"{before.text} ({before.origin}) allows some files",
                    f"{line.text} ({line.origin}) allows only others",
                ],
                hint="Keep the one whose file you trust.",
            )
        allowed = Hashes(both)
    return allowed


def check_hashed(
    candidate: FileCandidate, problem: Problem, hashes: dict[NormalizedName, Hashes]
) -> None:
    """In hash-checking mode, refuse what the user gave no hash for, before it is looked at.

    A digest in the fragment of a URL that the user wrote will do, and so does a lock file that
    names the URL. Raises
    :class:`~kedge.errors.ResolutionError`.
    """
    if not problem.checks_hashes or candidate.name in hashes:
        return
    if candidate.direct is not None:
        of_url = [one for one in problem.requested if one.url and _same(one.url, candidate.direct)]
        if any(one.locked for one in of_url) or (of_url and candidate.file.hashes):
            return
    stated = "".join(f" --hash={name}:{digest}" for name, digest in candidate.file.hashes)
    line = f"{candidate.name}=={candidate.version}{stated}"
    raise ResolutionError(
        f"{candidate} has no --hash, and in hash-checking mode everything that is installed "
        "needs one.",
        hint=_how_to_add(line, verified=candidate.file.page_verified) if stated else None,
    )


def _how_to_add(line: str, *, verified: bool) -> str:
    if verified:
        return f"If you trust what the index states, add the line: {line}"
    # Whoever is on the way could name a project here, and the hash of their own file.
    return (
        "If it belongs to what you want, take its hash from a place that you trust: what names "
        "it here came over a connection that is not verified."
    )


def _same(url: str, other: str) -> bool:
    return url_key(url) == url_key(other)
