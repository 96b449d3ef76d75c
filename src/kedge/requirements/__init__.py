"""What was asked for: arguments, requirements files and constraints, as values with their origin.

Reads the grammar of pip in full and decides nothing about which distribution will do.
"""

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
from kedge.requirements.groups import read_group, read_script
from kedge.requirements.locks import (
    Locked,
    LockedFile,
    LockRequest,
    lock_requests,
    read_lock,
    split_extras,
)
from kedge.requirements.refusals import (
    UnhashedError,
    hash_checking,
)
from kedge.requirements.requested import Requested, RequestedKind

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
