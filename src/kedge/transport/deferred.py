"""What requests imports and kedge does not use: imported when somebody asks it something.

requests loads charset_normalizer together with itself, to guess the encoding behind
``Response.text``, which kedge never asks for; that is a fifth of all that opening a session takes.
Until then a module stands in its place that knows its version, for requests looks at that, and
becomes the real one at the first question. Only kedge's own program is spared so: a session for
other tools leaves the process's modules as they are.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

_GUESSER = "charset_normalizer"


class _StandIn(ModuleType):
    """The module, without its contents."""

    def __getattr__(self, name: str) -> object:
        if sys.modules.get(_GUESSER) is self:
            del sys.modules[_GUESSER]
        return getattr(import_module(_GUESSER), name)


def defer() -> None:
    """Put the stand-in where requests will look; nothing where it has looked already, or where the
    module is not of the form that is known here."""
    if _GUESSER in sys.modules or "requests" in sys.modules:
        return
    found = find_spec(_GUESSER)
    version = None if found is None else _version(found)
    if found is not None and version is not None:
        standing: Any = _StandIn(_GUESSER)
        standing.__version__ = version
        standing.__path__ = found.submodule_search_locations  # ``from … import`` looks at it
        sys.modules[_GUESSER] = standing


def _version(package: ModuleSpec) -> str | None:
    """What its ``version.py`` says, which imports nothing."""
    for folder in package.submodule_search_locations or ():
        path = Path(folder, "version.py")
        spec = spec_from_file_location(f"{_GUESSER}.version", path)
        if spec is None or spec.loader is None or not path.is_file():
            continue
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        version = getattr(module, "__version__", None)
        return version if isinstance(version, str) else None
    return None
