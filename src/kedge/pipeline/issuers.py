"""Fetching the issuers that certificates name, with the settings of a command.

One file, soon, and small. What comes over plain HTTP is believed by its signature alone, so the
host is let pass for that; it is sent no credentials, and no client certificate.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from kedge.errors import KedgeError
from kedge.model import Sourced
from kedge.settings import options as table
from kedge.transport import TransportOptions, open_session
from kedge.transport.locations import locate
from kedge.trust.decide import decide

if TYPE_CHECKING:
    from kedge.settings.values import Settings

#: Bytes of one file, seconds for each wait, and seconds for all of it.
_LIMIT, _WAIT, _WHOLE = 128 * 1024, 5.0, 15.0


def fetch_issuer(url: str, settings: Settings) -> bytes:
    """The file behind a URL that a certificate names.

    Raises :class:`~kedge.errors.TransportError`, also for what is too large or takes too long.
    """
    from kedge import trust

    environ = settings.snapshot.environ
    decision = decide(settings.trust_settings())
    proxy = settings[table.PROXY]
    if settings.value(table.NO_PROXY_ENV) and proxy.value is None:
        proxy = Sourced("", settings[table.NO_PROXY_ENV].origin)
    origin = locate(url).origin
    options = TransportOptions(
        environ={**environ, "NETRC": os.devnull},
        proxy=None if proxy.value is None else Sourced(proxy.value, proxy.origin),
        timeout=_WAIT,
        retries=0,
        trusted_hosts=(Sourced(origin.hostport),) if origin.scheme == "http" else (),
    )
    with open_session(decision, trust.context_for(decision, environ), options) as session:
        late = threading.Timer(_WHOLE, session.close)
        late.daemon = True
        late.start()
        try:
            return session.get(url, limit=_LIMIT).body
        except KedgeError as exc:
            exc.hint = exc.hint or "It is where the server's certificate says that its issuer is."
            raise
        finally:
            late.cancel()
