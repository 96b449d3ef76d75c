"""The private folders of a transaction: what is staged, what was moved out of the way.

They lie in the environment, because only within one file system is a change a rename: in
``.kedge`` beside the packages and, for each other file system that the environment reaches to, in
a folder there. The places of those are written down before they are made, so that whatever
happens a later run finds and removes them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress

from kedge.classes import field, mutable
from kedge.install import files
from kedge.install.files import STATE
from kedge.install.journal import Journal

_AREAS = "areas"


@mutable
class Area:
    """The private folders on one file system.

    ``anchor`` is the existing folder that ``stage`` mirrors: what lies at ``stage/a/b`` is for
    ``anchor/a/b``.
    """

    folder: str
    anchor: str
    _backups: int = field(default=0)

    @property
    def stage(self) -> str:
        return os.path.join(self.folder, "stage")

    @property
    def over(self) -> str:
        """For what was staged on one file system and belongs on this one."""
        return os.path.join(self.folder, "over")

    @property
    def backup(self) -> str:
        return os.path.join(self.folder, "backup")

    def staged(self, final: str) -> str:
        """Where the thing for that place, which is below the anchor, is staged."""
        relative = os.path.relpath(final, self.anchor)
        return self.stage if relative == os.curdir else os.path.join(self.stage, relative)

    def next_backup(self) -> str:
        """A new place for something that is moved out of the way."""
        self._backups += 1
        return os.path.join(self.backup, str(self._backups))


class Workspace:
    """All the areas of one transaction, in the state folder whose lock is held."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.journal = Journal(folder)
        self.file_systems = files.FileSystems()
        self._areas: dict[tuple[int, str], Area] = {}
        self._keys: dict[str, tuple[int, str]] = {}

    @property
    def areas(self) -> Iterable[Area]:
        return self._areas.values()

    def open(self, roots: Iterable[str]) -> None:
        """Make the areas for these folders, which are absolute and need not exist."""
        base = os.path.dirname(self.folder)
        groups: dict[tuple[int, str], list[str]] = {self.key(base): [base]}
        for root in roots:
            groups.setdefault(self.key(files.nearest_existing(root)), []).append(root)
        for key, members in groups.items():
            anchor = files.nearest_existing(os.path.commonpath(members))
            is_first = members[0] == base
            place = self.folder if is_first else self._new_place(files.nearest_existing(members[0]))
            self._add(key, Area(place, anchor))

    def key(self, folder: str) -> tuple[int, str]:
        """Of an existing folder: two with the same key can rename to each other."""
        key = self._keys.get(folder)
        if key is None:
            key = self._keys[folder] = self.file_systems.key(folder)
        return key

    def area_of(self, folder: str) -> Area:
        """The area on the file system of an existing folder; made if there is none."""
        key = self.key(folder)
        area = self._areas.get(key)
        if area is None:
            area = Area(self._new_place(folder), folder)
            self._add(key, area)
        return area

    def _new_place(self, anchor: str) -> str:
        """A name for another area, written down."""
        place = os.path.join(anchor, f"{STATE}-{os.urandom(4).hex()}")
        path = os.path.join(self.folder, _AREAS)
        with open(path, "ab") as file:
            file.write(json.dumps(os.path.relpath(place, self.folder)).encode() + b"\n")
        return place

    def _add(self, key: tuple[int, str], area: Area) -> None:
        for folder in (area.stage, area.over, area.backup):
            os.makedirs(folder, mode=0o700, exist_ok=True)
        self._areas[key] = area

    def clean(self) -> None:
        """Delete every area and then the journal; the lock stays. Nothing must be left to undo."""
        listed = os.path.join(self.folder, _AREAS)
        for place in self._listed_places(listed):
            files.delete(place)
        for name in ("stage", "over", "backup"):
            files.delete(os.path.join(self.folder, name))
        self.journal.close()
        files.delete(listed)

    def _listed_places(self, path: str) -> list[str]:
        try:
            with open(path, "rb") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return []
        places = []
        for line in lines:
            with suppress(ValueError):  # one that was cut short: that area was never made
                place = os.path.normpath(os.path.join(self.folder, str(json.loads(line))))
                if os.path.basename(place).startswith(f"{STATE}-"):
                    places.append(place)
        return places
