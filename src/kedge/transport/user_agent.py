"""How kedge names itself: the form that the index's download statistics read (pip's)."""

from __future__ import annotations

import json
import platform
import ssl
from collections.abc import Mapping

from kedge import __version__

#: Variables by which a build machine is recognised, as in pip.
_CI = ("BUILD_BUILDID", "BUILD_ID", "CI", "PIP_IS_CI")


def user_agent(environ: Mapping[str, str]) -> str:
    """``kedge/VERSION {JSON}``, with the interpreter, the system and OpenSSL's version."""
    data = {
        "ci": True if any(name in environ for name in _CI) else None,
        "cpu": platform.machine() or None,
        "implementation": {
            "name": platform.python_implementation(),
            "version": platform.python_version(),
        },
        "installer": {"name": "kedge", "version": __version__},
        "openssl_version": ssl.OPENSSL_VERSION,
        "python": platform.python_version(),
        "system": {"name": platform.system(), "release": platform.release()},
    }
    text = json.dumps(data, separators=(",", ":"), sort_keys=True)
    return f"kedge/{__version__} {text}"
