"""Source to wheel: archives unpacked safely, a private environment, the backend's hooks.

:class:`kedge.build.workshop.Workshop` is the whole of it, from a folder with sources
(:class:`~kedge.build.workshop.Sources`) to a wheel. Knows nothing of indexes and of how versions
are chosen: a :class:`~kedge.build.workshop.Provisioner` brings what a build requires. Nothing is
imported here, since most installs build nothing.
"""
