"""What one Python says about itself: version, paths, schemes, markers, what its tags depend on.

The text of this module is run *inside* the Python asked about, any from 3.8 on, by
:func:`kedge.environment.interpreter.inspect`; in kedge's own Python its functions are called
directly. So it imports the standard library only, each module where it is needed, keeps to the
syntax of 3.8, and knows nothing of kedge. It reports and decides nothing.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from typing import Any

#: What stands before the report on its line: start-up code of the target may print as well.
SENTINEL = "KEDGE-FACTS "

#: The configuration variables that the path templates of the standard library and of the
#: known distributors are written in; more are added where a template names them.
_BASES = ("installed_base", "base", "installed_platbase", "platbase", "prefix", "exec_prefix")


def base_facts() -> dict[str, Any]:
    """Everything but markers and tags: cheap, as a no-op install needs no more."""
    schemes = {kind: _scheme(name) for kind, name in _scheme_names().items()}
    return {
        "executable": sys.executable,
        "version": list(sys.version_info[:3]),
        "full_version": sys.version.split()[0],
        "implementation": sys.implementation.name,
        "cache_tag": sys.implementation.cache_tag,
        "prefix": sys.prefix,
        "base_prefix": getattr(sys, "base_prefix", sys.prefix),
        "path": list(sys.path),
        "stdlib": sysconfig.get_path("stdlib"),
        "platstdlib": sysconfig.get_path("platstdlib"),
        "site_packages": sysconfig.get_path("purelib"),
        "scripts": _default_scripts(),
        "user_site": _user_site(),
        "user_site_enabled": bool(site.ENABLE_USER_SITE),
        "schemes": schemes,
        "variables": _variables(schemes),
    }


def markers() -> dict[str, str]:
    """The environment that PEP 508 markers are evaluated in."""
    import platform

    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": _implementation_version(),
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


def tag_facts() -> dict[str, Any]:
    """What the wheel tags of this Python depend on (PEP 425, 600, 656)."""
    import platform
    from importlib.machinery import EXTENSION_SUFFIXES

    debug = sysconfig.get_config_var("Py_DEBUG")
    if debug is None:
        # Windows leaves Py_DEBUG unset: pypa/pip#3383.
        debug = hasattr(sys, "gettotalrefcount") or "_d.pyd" in EXTENSION_SUFFIXES
    archs = _linux_archs()
    glibc = _glibc_version()
    return {
        "system": platform.system(),
        "platform": sysconfig.get_platform(),
        "archs": archs,
        "bits": 64 if sys.maxsize > 2**32 else 32,
        "glibc": glibc,
        "manylinux_refused": _manylinux_refused(archs, glibc),
        "machine": platform.machine(),
        "nodot": sysconfig.get_config_var("py_version_nodot"),
        "debug": bool(debug),
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "ext_suffix": sysconfig.get_config_var("EXT_SUFFIX"),
    }


def _implementation_version() -> str:
    info = sys.implementation.version
    version = "{}.{}.{}".format(info[0], info[1], info[2])  # noqa: UP032 - 3.8 runs this too
    if info[3] != "final":
        version += info[3][0] + str(info[4])
    return version


# --------------------------------------------------------------------------------------------
# Paths


def _scheme_names() -> dict[str, str]:
    """Which scheme installs into this Python, for its user, below a home, below a prefix, and into
    a virtual environment of it.

    Distributors answer in ``sysconfig.get_preferred_scheme`` (3.10 and newer); before that pip's
    way of telling is followed. Below a prefix that the user names, the redirections of Debian
    and of Apple's framework do not apply (https://discuss.python.org/t/18240).
    """
    preferred = getattr(sysconfig, "get_preferred_scheme", None)
    names = {
        kind: preferred(kind) if preferred else _inferred_scheme(kind)
        for kind in ("prefix", "user", "home")
    }
    redirected = names["prefix"] in ("posix_local", "osx_framework_library")
    names["custom_prefix"] = "posix_prefix" if redirected else names["prefix"]
    available = sysconfig.get_scheme_names()
    names["venv"] = "venv" if "venv" in available else names["custom_prefix"]
    return {kind: name for kind, name in names.items() if name in available}


def _inferred_scheme(kind: str) -> str:
    available = sysconfig.get_scheme_names()
    framework = bool(sysconfig.get_config_var("PYTHONFRAMEWORK"))
    framework = framework and sys.prefix == getattr(sys, "base_prefix", sys.prefix)
    if kind == "prefix":
        wanted = ["osx_framework_library"] if framework else []
        wanted += [sys.implementation.name + "_" + os.name, sys.implementation.name]
        wanted += [os.name + "_prefix", os.name]
    elif kind == "user":
        wanted = ["osx_framework_user" if framework else os.name + "_user"]
    else:
        wanted = [os.name + "_home"]
    return next((name for name in wanted if name in available), "posix_" + kind)


def _scheme(name: str) -> dict[str, Any]:
    """The scheme's name and its unexpanded paths: bases can then be put in elsewhere."""
    return {"name": name, "paths": dict(sysconfig.get_paths(name, expand=False))}


def _variables(schemes: dict[str, dict[str, Any]]) -> dict[str, str]:
    import string

    names = set(_BASES) | {"userbase"}
    for scheme in schemes.values():
        for template in scheme["paths"].values():
            names.update(field for _, field, _, _ in string.Formatter().parse(template) if field)
    found = {name: sysconfig.get_config_var(name) for name in names}
    if os.name == "nt":
        # As sysconfig does itself when it expands: Windows has no lib64.
        found["platlibdir"] = "lib"
    return {name: str(value) for name, value in found.items() if value is not None}


def _default_scripts() -> str:
    if sys.platform == "darwin" and sys.prefix.startswith("/System/Library/"):
        return "/usr/local/bin"  # as pip: Apple's framework forbids its own bin
    return sysconfig.get_path("scripts")


def _user_site() -> str | None:
    try:
        return site.getusersitepackages()
    except (AttributeError, OSError):
        return getattr(site, "USER_SITE", None)


# --------------------------------------------------------------------------------------------
# What tags depend on


def _linux_archs() -> list[str]:
    """The architectures of the platform's tags, closest first; empty outside Linux."""
    name = sysconfig.get_platform().replace(".", "_").replace("-", "_")
    if not name.startswith("linux_"):
        return []
    arch = name.split("_", 1)[1]
    if sys.maxsize <= 2**32:
        arch = {"x86_64": "i686", "aarch64": "armv8l"}.get(arch, arch)
    return {"armv8l": ["armv8l", "armv7l"]}.get(arch, [arch])


def _glibc_version() -> list[int] | None:
    """Major and minor of the C library this process runs on, ``None`` if it is not glibc."""
    import re

    try:
        text = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, OSError, ValueError):
        return None
    match = re.match(r"glibc (\d+)\.(\d+)", text)
    return [int(match.group(1)), int(match.group(2))] if match else None


def _manylinux_refused(archs: list[str], glibc: list[int] | None) -> list[list[Any]]:
    """What a distributor's ``_manylinux`` module rules out: [major, minor, arch] (PEP 600)."""
    try:
        import _manylinux  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return []
    if glibc is None:
        return []
    legacy = {
        (2, 5): "manylinux1_compatible",
        (2, 12): "manylinux2010_compatible",
        (2, 17): "manylinux2014_compatible",
    }
    refused: list[list[Any]] = []
    for arch in archs:
        for minor in range(glibc[1] + 1):
            version = (glibc[0], minor)
            if hasattr(_manylinux, "manylinux_compatible"):
                allowed = _manylinux.manylinux_compatible(glibc[0], minor, arch)
            else:
                allowed = getattr(_manylinux, legacy.get(version, ""), None)
            if allowed is not None and not allowed:
                refused.append([glibc[0], minor, arch])
    return refused


def main() -> None:
    import json

    report = {"base": base_facts(), "markers": markers(), "tags": tag_facts()}
    sys.stdout.write("\n" + SENTINEL + json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
