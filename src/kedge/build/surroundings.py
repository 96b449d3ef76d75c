"""The environment variables that a build backend, and whatever it starts, gets to see.

Pure. The decided trust comes in as variables (:func:`kedge.trust.export.variables`); proxies stay;
credentials of indexes go, because a build has no business with them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from kedge.environment import Interpreter
from kedge.model import URL_IN_TEXT, strip_secrets
from kedge.trust.client import PASSPHRASE_VARIABLE

#: They would show the build what is installed elsewhere, or start another Python.
_MISLEADING = ("PYTHONPATH", "PYTHONHOME", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__")


def for_children(environ: Mapping[str, str], trust: Mapping[str, str]) -> dict[str, str]:
    """What every child gets: the user's variables without credentials, and the decided trust.

    >>> for_children({"PIP_INDEX_URL": "https://me:secret@index.example/simple"}, {})
    {'PIP_INDEX_URL': 'https://index.example/simple'}
    >>> for_children({"PIP_CLIENT_KEY_PASSPHRASE": "secret"}, {})
    {}
    """
    kept = {
        name: _without_credentials(name, value)
        for name, value in environ.items()
        if name != PASSPHRASE_VARIABLE
    }
    return {**kept, **trust}


def _without_credentials(name: str, value: str) -> str:
    # A proxy's credentials are those of the way out, which the child needs as kedge does.
    if not name.upper().startswith("PIP_") or name.upper() == "PIP_PROXY":
        return value
    return URL_IN_TEXT.sub(lambda found: _stripped(found.group()), value)


def _stripped(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    # The account of an ssh repository is no credential.
    return url if parts.scheme.endswith("ssh") and parts.password is None else strip_secrets(url)


def within(environment: Interpreter, environ: Mapping[str, str]) -> dict[str, str]:
    """The same as if a private environment were activated."""
    inside = {name: value for name, value in environ.items() if name not in _MISLEADING}
    path = environ.get("PATH", os.defpath)
    inside["PATH"] = f"{environment.scripts}{os.pathsep}{path}"
    inside["VIRTUAL_ENV"] = str(environment.prefix)
    inside["PYTHONNOUSERSITE"] = "1"
    return inside
