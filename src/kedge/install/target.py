"""What is different about a ``--target`` folder: which entries in it belong together.

pip installs elsewhere and then moves the top-level entries over, each whole. Taken literally that
loses the programs of everything else with ``--upgrade``, and all new ones without: so folders that
belong to no package (``bin``, ``share``) are gone into here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from kedge.environment.metadata import normalized
from kedge.install import files
from kedge.install.plan import Plan
from kedge.install.staging import Places, keys_used


def shared_folders(plan: Plan) -> frozenset[str]:
    """The top-level folders of the target that programs, data and headers go to; real paths."""
    target = files.real(plan.scheme.purelib)
    places_of = Places(plan.scheme).of
    found: set[str] = set()
    for addition in plan.additions:
        manifest = addition.wheel.manifest
        used = keys_used(addition)
        roots = places_of(manifest.name)
        found |= {_top(target, roots[key]) for key in used & {"scripts", "headers"}}
        for entry in manifest.files:
            parts = entry.path.split("/", 3)
            if len(parts) == 4 and parts[0].endswith(".data") and parts[1] == "data":
                found.add(_top(target, os.path.join(roots["data"], parts[2])))
    return frozenset(found)


def superseded(plan: Plan) -> Iterator[str]:
    """The ``.dist-info`` folders of other versions of what is installed into the target."""
    target = files.real(plan.scheme.purelib)
    names = {
        normalized(addition.name): addition.wheel.manifest.dist_info for addition in plan.additions
    }
    try:
        entries = sorted(os.listdir(target))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.endswith(".dist-info"):
            new = names.get(normalized(entry.partition("-")[0]))
            if new is not None and entry != new:
                yield os.path.join(target, entry)


def _top(target: str, path: str) -> str:
    relative = os.path.relpath(path, target)
    return os.path.join(target, relative.partition(os.sep)[0])
