"""What is refused although it can be read: what hash-checking forbids.

A pure decision over :class:`~kedge.requirements.requested.Requested` values. It names everything
that is wrong at once, so that a file is mended in one go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kedge.errors import RequirementError
from kedge.model import STRONG_HASHES, Origin
from kedge.requirements.requested import Requested, RequestedKind


class UnhashedError(RequirementError):
    """Hash-checking mode is on and some requirements cannot be checked.

    ``unhashed`` have no digest, ``unhashable`` are of a kind that has none: repositories and
    folders.
    """

    def __init__(
        self,
        message: str,
        *,
        origin: Origin,
        unhashable: Sequence[Requested],
        unhashed: Sequence[Requested],
        hint: str,
    ) -> None:
        super().__init__(message, origin=origin, hint=hint)
        self.unhashable = tuple(unhashable)
        self.unhashed = tuple(unhashed)


def hash_checking(
    requested: Sequence[Requested],
    constraints: Iterable[Requested] = (),
    *,
    required: Origin | None = None,
) -> bool:
    """Whether hash-checking mode is on: by ``required`` (where ``--require-hashes`` was written),
    or because one requirement has a ``--hash``; a digest in a URL alone does not turn it on.

    In that mode every requirement must be hashed with a strong algorithm: by ``--hash``, its own
    or that of a constraint on the project, or in its own URL. :class:`UnhashedError` names all
    that are not. A repository's commit or a folder that a lock file names needs none.
    What the requirements require in turn is for the resolver to check.
    """
    constraints = list(constraints)
    hashed = next((one for one in (*requested, *constraints) if one.hash_option), None)
    if required is None and hashed is None:
        return False
    constrained = {one.name for one in constraints if _is_hashed(one)}
    unhashable = [one for one in requested if one.kind in _WITHOUT_DIGEST and not one.locked]
    unhashed = [
        one
        for one in requested
        if one.kind not in _WITHOUT_DIGEST and not _is_hashed(one) and one.name not in constrained
    ]
    if unhashable or unhashed:
        raise _unhashed(unhashable, unhashed, required=required, hashed=hashed)
    return True


_WITHOUT_DIGEST = {RequestedKind.VCS, RequestedKind.FOLDER}


def _is_hashed(one: Requested) -> bool:
    return bool(one.hashes.algorithms() & set(STRONG_HASHES))


def _unhashed(
    unhashable: list[Requested],
    unhashed: list[Requested],
    *,
    required: Origin | None,
    hashed: Requested | None,
) -> UnhashedError:
    findings = [
        f"{what}: {', '.join(f'{one} ({one.origin})' for one in ones)}"
        for what, ones in (
            ("no digest can be checked for a repository or a folder", unhashable),
            ("without a --hash", unhashed),
        )
        if ones
    ]
    why = f"{hashed} ({hashed.origin}) has a --hash" if hashed else f"{required} asks for it"
    first = (unhashable + unhashed)[0]
    return UnhashedError(
        f"In hash-checking mode every requirement has a --hash. "
        f"{'. '.join(finding[0].upper() + finding[1:] for finding in findings)}.",
        origin=first.origin,
        unhashable=unhashable,
        unhashed=unhashed,
        hint=f"Hash-checking mode is on because {why}. Give each the --hash of the file you "
        "examined.",
    )
