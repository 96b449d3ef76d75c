"""The files of a ``.dist-info`` that an installer reads or writes: RECORD, WHEEL,
``direct_url.json``. Text in, values out, and back; touches no file.

https://packaging.python.org/specifications/recording-installed-packages/
"""

from __future__ import annotations

import binascii
import csv
import hashlib
import io
import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterable
from typing import NamedTuple

from kedge.model import DirectUrl, whole_number

#: Signatures of RECORD; they cannot be listed in it with a digest.
SIGNATURES = ("RECORD.jws", "RECORD.p7s")

# Those of a fixed length that every Python has.
_COMPUTABLE = hashlib.algorithms_guaranteed - {"shake_128", "shake_256"}

_SHA256 = "sha256="

_URL_SAFE = bytes.maketrans(b"+/", b"-_")

_NEEDS_QUOTES = re.compile(r'[,"\r\n]')


class Listed(NamedTuple):
    """One row of a wheel's RECORD, as far as it can be checked.

    ``algorithm`` and ``digest`` are empty when it states none, or none that this Python can
    compute. ``size`` is in bytes.
    """

    algorithm: str = ""
    digest: str = ""
    size: int | None = None

    def fits(self, digest: bytes) -> bool:
        """Whether that is the digest it states (as RECORD spells it, or in hexadecimal)."""
        return self.digest.rstrip("=") == spelled(digest) or self.digest.lower() == digest.hex()


def spelled(digest: bytes) -> str:
    """A digest as RECORD spells it: URL-safe base64 without padding.

    >>> spelled(bytes(32))
    'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
    """
    return binascii.b2a_base64(digest, newline=False).translate(_URL_SAFE, b"=").decode()


def parse_wheel_record(data: bytes) -> tuple[dict[str, Listed], list[str]]:
    """The rows of a wheel's RECORD by path, and what is wrong with it, in sentences."""
    try:
        text = data.removeprefix(BOM_UTF8).decode()
    except UnicodeDecodeError:
        return {}, ["RECORD is not UTF-8 text"]
    rows: dict[str, Listed] = {}
    problems: list[str] = []
    new = tuple.__new__  # a third of what Listed() takes
    try:
        for row in _split(text):
            path = row[0].replace("\\", "/") if row else ""
            size = whole_number(row[2]) if len(row) == 3 else None
            if path and size is not None and row[1].startswith(_SHA256):  # what nearly all are
                rows[path] = new(Listed, ("sha256", row[1][len(_SHA256) :], size))
            elif path:
                rows[path], problem = _listed(path, row)
                if problem is not None:
                    problems.append(problem)
    except csv.Error as exc:
        problems.append(f"RECORD cannot be read ({exc})")
    return rows, problems


def _split(text: str) -> Iterable[list[str]]:
    """The rows as ``csv`` reads them, in half the time where nothing is quoted."""
    lines = text.splitlines()
    longest = max(map(len, lines), default=0)
    if '"' in text or "\0" in text or longest > csv.field_size_limit():
        return csv.reader(lines)
    return [line.split(",") for line in lines]


def _listed(path: str, row: list[str]) -> tuple[Listed, str | None]:
    stated = row[1] if len(row) > 1 else ""
    size_text = row[2].strip() if len(row) > 2 else ""
    size = whole_number(size_text)
    problem = None
    if size_text and size is None:
        problem = f"RECORD states a size of {path} that is no number: {size_text!r}"
    algorithm, separator, digest = stated.partition("=")
    if algorithm == "sha256" and separator:
        return Listed(algorithm, digest, size), problem
    if not separator or algorithm.lower() not in _COMPUTABLE:
        return Listed(size=size), problem
    return Listed(algorithm.lower(), digest, size), problem


def record_line(path: str, digest: str = "", size: int | str = "") -> str:
    """One line of an installed RECORD; ``digest`` as :func:`spelled`, always SHA-256.

    >>> record_line("a,b.py", "AAAA", 3)
    '"a,b.py",sha256=AAAA,3\\n'
    """
    if _NEEDS_QUOTES.search(path):
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="").writerow([path])
        path = buffer.getvalue()
    return f"{path},sha256={digest},{size}\n" if digest else f"{path},,\n"


def parse_wheel_file(data: bytes) -> dict[str, list[str]]:
    """The fields of WHEEL: values by lower-case name. What is no field is passed over."""
    fields: dict[str, list[str]] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        name, separator, value = line.partition(":")
        if separator:
            fields.setdefault(name.strip().lower(), []).append(value.strip())
    return fields


def direct_url_json(direct_url: DirectUrl) -> bytes:
    """``direct_url.json`` for a distribution that came from no index (PEP 610).

    >>> direct_url_json(DirectUrl("https://x.example/a.whl", archive_hashes={})).decode()
    '{"archive_info": {}, "url": "https://x.example/a.whl"}'
    """
    return json.dumps(direct_url_data(direct_url), sort_keys=True).encode()


def direct_url_data(direct_url: DirectUrl) -> dict[str, object]:
    """The same as JSON values."""
    content: dict[str, object] = {"url": direct_url.url}
    if direct_url.subdirectory:
        content["subdirectory"] = direct_url.subdirectory
    if direct_url.vcs is not None:
        vcs = {"vcs": direct_url.vcs, "commit_id": direct_url.commit_id}
        if direct_url.requested_revision:
            vcs["requested_revision"] = direct_url.requested_revision
        content["vcs_info"] = vcs
    elif direct_url.directory:
        content["dir_info"] = {"editable": True} if direct_url.editable else {}
    else:
        content["archive_info"] = _archive_info(direct_url)
    return content


def _archive_info(direct_url: DirectUrl) -> dict[str, object]:
    hashes = dict(direct_url.archive_hashes or {})
    if not hashes:
        return {}
    # ``hash`` is the older form, which older readers know alone.
    algorithm = "sha256" if "sha256" in hashes else min(hashes)
    return {"hash": f"{algorithm}={hashes[algorithm]}", "hashes": hashes}
