"""What was asked for: arguments, requirements files and constraints, as values with their origin.

Reads the grammar of pip in full and decides nothing about which distribution will do. What reads
dependency groups and lock files is imported with the first look at it: few runs are given any.
"""

from typing import TYPE_CHECKING

from kedge.lazy import lazily
from kedge.requirements.arguments import parse_argument
from kedge.requirements.files import (
    Answer,
    Locations,
    ParsedFile,
    Reader,
    check_constraint,
    is_lock_file,
    merge_files,
    parse_file,
)
from kedge.requirements.refusals import (
    UnhashedError,
    hash_checking,
)
from kedge.requirements.requested import Requested, RequestedKind

if TYPE_CHECKING:
    from kedge.requirements.groups import read_group, read_script
    from kedge.requirements.locks import (
        Locked,
        LockedFile,
        LockRequest,
        lock_requests,
        read_lock,
        split_extras,
    )

__all__ = [
    "Answer",
    "Locations",
    "LockRequest",
    "Locked",
    "LockedFile",
    "ParsedFile",
    "Reader",
    "Requested",
    "RequestedKind",
    "UnhashedError",
    "check_constraint",
    "hash_checking",
    "is_lock_file",
    "lock_requests",
    "merge_files",
    "parse_argument",
    "parse_file",
    "read_group",
    "read_lock",
    "read_script",
    "split_extras",
]

_MODULES = {
    "read_group": "groups",
    "read_script": "groups",
    "Locked": "locks",
    "LockedFile": "locks",
    "LockRequest": "locks",
    "lock_requests": "locks",
    "read_lock": "locks",
    "split_extras": "locks",
}

if not TYPE_CHECKING:  # which knows the names, and which are none
    __getattr__ = lazily(__name__, _MODULES)
