"""Why a connection failed: the probe, the comparison of trust sources, the causes.

:func:`~kedge.diagnose.examine.examine` gathers evidence about one peer and concludes. Importing
this package is cheap; what reads certificates is imported when a connection is examined.
"""
