"""The names that ``--use-feature`` and ``--use-deprecated`` know, kedge's and pip's.

pip's are every name that one of its releases from 20.2 to 26.3 accepted (``cmdoptions.py`` and
its history, ``NEWS.rst``): an environment that is shared with pip keeps working, with one warning
for what means nothing here. A name that neither knows is an error.
"""

from __future__ import annotations

TRUSTSTORE = "truststore"
LEGACY_CERTS = "legacy-certs"

OBEYED_FEATURES = (TRUSTSTORE,)
OBEYED_DEPRECATED = (LEGACY_CERTS,)

PIP_FEATURES = (
    "2020-resolver",
    "build-constraint",
    "fast-deps",
    "in-tree-build",
    "inprocess-build-deps",
    "no-binary-enable-wheel-cache",
    "resolver",
    "venv-isolation",
)
PIP_DEPRECATED = (
    "backtrack-on-build-failures",
    "html5lib",
    "legacy-resolver",
    "out-of-tree-build",
)

KNOWN_FEATURES = OBEYED_FEATURES + PIP_FEATURES
KNOWN_DEPRECATED = OBEYED_DEPRECATED + PIP_DEPRECATED
