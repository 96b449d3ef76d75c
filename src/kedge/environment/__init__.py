"""The environment that is installed into: which Python, where its files go, what it has.

Knows nothing of indexes, networks or trust. What costs an import (packaging above all) is
imported where it is needed, so that this package is cheap to import.
"""

from __future__ import annotations

from kedge.environment.choose import Choice, choose, decide
from kedge.environment.installed import InstalledDistribution, installed
from kedge.environment.interpreter import Interpreter, current, inspect
from kedge.environment.managed import refuse_externally_managed
from kedge.environment.metadata import CoreMetadata, parse_metadata
from kedge.environment.scheme import Scheme, default_to_user, scheme_for

__all__ = [
    "Choice",
    "CoreMetadata",
    "InstalledDistribution",
    "Interpreter",
    "Scheme",
    "choose",
    "current",
    "decide",
    "default_to_user",
    "inspect",
    "installed",
    "parse_metadata",
    "refuse_externally_managed",
    "scheme_for",
]
