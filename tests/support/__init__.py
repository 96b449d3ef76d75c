"""Real parts for tests: authorities, TLS servers, proxies, wheels, indexes, environments.

Nothing here pretends to be ``ssl``, ``requests`` or ``urllib3``: a test that needs a handshake gets
a server on loopback that does one. Distinct hosts are distinct loopback names (``localhost``,
``127.0.0.1``, ``127.0.0.2`` …), as no test may change how names resolve.
"""
