"""Flags, variables and pip's configuration files, merged: every value with its origin.

::

    words    = read_words(argv)                           # pure
    snapshot = take_snapshot(environ, isolated=words.isolated)
    python   = preview(words, snapshot)                   # pure: --python, before there is a target
    snapshot = add_site_file(snapshot, prefix)            # the target environment's own file
    settings = merge(words, snapshot)                     # pure

Only :mod:`kedge.settings.snapshot` touches the disk. Nothing here knows what a setting is *for*:
that belongs to the layers that receive the values.

Every command imports this, so its small records are named tuples: making one of those classes
costs a tenth of what a frozen, slotted dataclass costs at import.
"""
