"""What requests and urllib3 import and kedge does not use: imported when somebody asks for it.

requests loads charset_normalizer together with itself, to guess the encoding behind
``Response.text``, which kedge never asks for; that is a fifth of all that opening a session takes.
Until then a module stands in its place that knows its version, for requests looks at that, and
becomes the real one at the first question. urllib3 takes from importlib.metadata what tells it the
version of h2, should it be asked to speak HTTP/2: with all that comes along, a quarter of its own
import. Only kedge's own program is spared so: a session for other tools leaves the process's
modules as they are.
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
_METADATA = "importlib.metadata"


class _StandIn(ModuleType):
    """The module of that name, without its contents, until one of them is asked for."""

    def __getattr__(self, name: str) -> object:
        self.give_way()
        return getattr(import_module(self.__name__), name)

    def give_way(self) -> None:
        """From now on whoever imports it gets the real one."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]


def defer() -> None:
    """Put stand-ins where requests and urllib3 will look; nothing where they have looked already,
    or where the module is not of the form that is known here."""
    _spare_metadata()
    if _GUESSER in sys.modules or "requests" in sys.modules:
        return
    found = find_spec(_GUESSER)
    version = None if found is None else _version(found)
    if found is not None and version is not None:
        standing: Any = _StandIn(_GUESSER)
        standing.__version__ = version
        standing.__path__ = found.submodule_search_locations  # ``from … import`` looks at it
        sys.modules[_GUESSER] = standing


def _spare_metadata() -> None:
    """Import urllib3 with a stand-in for importlib.metadata, which goes with the import's end."""
    if _METADATA in sys.modules or "urllib3" in sys.modules:
        return
    found = find_spec(_METADATA)
    if found is None:
        return
    standing: Any = _StandIn(_METADATA)

    def version(name: str) -> str:
        standing.give_way()
        return str(import_module(_METADATA).version(name))

    standing.version = version  # the one function that urllib3 takes
    standing.__path__ = found.submodule_search_locations or []  # ``from … import`` looks at it
    sys.modules[_METADATA] = standing
    try:
        import urllib3  # noqa: F401
    finally:
        standing.give_way()


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
