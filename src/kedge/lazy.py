"""Names of a package that are imported when they are asked for (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def lazily(package: str, modules: Mapping[str, str]) -> Callable[[str], object]:
    """The ``__getattr__`` of a package whose names lie in these modules of it.

    >>> lazily("kedge", {"lazily": "lazy"})("lazily").__name__
    'lazily'
    """

    def getattr_(name: str) -> object:
        from importlib import import_module

        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{modules[name]}"), name)

    return getattr_
