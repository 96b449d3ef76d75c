"""TOML as the files around a project hold it; the one place that knows which library reads it."""

from __future__ import annotations

import sys
from typing import Any

from kedge.errors import RequirementError
from kedge.model import Origin

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_toml(data: bytes, *, shown: str, origin: Origin) -> dict[str, Any]:
    """The document; :class:`~kedge.errors.RequirementError` where it is not TOML in UTF-8."""
    try:
        document: dict[str, Any] = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as exc:
        raise RequirementError(f"{shown} is not TOML: {exc} ({origin}).", origin=origin) from exc
    return document
