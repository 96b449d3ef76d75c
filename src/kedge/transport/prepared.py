"""kedge's own requests, in the form in which requests' adapters take and answer them.

``Session.get`` merges settings, cookies, hooks and proxies, reads the URL twice more and encodes it
anew: more than the exchange itself costs, for what is decided here already. A request is made of
the :class:`~kedge.transport.locations.Location` that was decided about, so that nothing between
that decision and the dialler reads the URL again.
"""

from __future__ import annotations

from collections.abc import Mapping

import requests
from requests.utils import check_header_validity
from urllib3 import BaseHTTPResponse

from kedge.transport.locations import Location


class LocatedRequest(requests.PreparedRequest):
    """A GET without a body. Raises ``requests.exceptions.InvalidHeader`` for what is no header."""

    def __init__(self, location: Location, headers: Mapping[str, str]) -> None:
        super().__init__()
        self.location = location
        self.method = "GET"
        self.url = location.url
        for header in headers.items():
            check_header_validity(header)
        # urllib3 copies and iterates it, which takes a mapping without case ten times as long.
        self.headers = dict(headers)  # type: ignore[assignment]


class RawResponse(requests.Response):
    """urllib3's answer and where it came from: its headers, cookies and body are not looked at."""

    def __init__(self, request: LocatedRequest, raw: BaseHTTPResponse) -> None:
        super().__init__()
        self.request = request
        self.url = request.location.url
        self.status_code = raw.status
        self.reason = raw.reason or ""
        self.raw = raw
