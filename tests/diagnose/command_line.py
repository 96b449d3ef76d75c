"""What a user would have typed to meet an animal of the zoo, and what he is told."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from diagnose.zoo import Keeper
from kedge.cli.main import main

#: Settings of the keeper's, and the flag or variable for each.
_FLAGS = {"cert": "--cert", "strict": "--strict-certs", "truststore": "--use-feature=truststore"}
_VARIABLES = {"requests_ca_bundle": "REQUESTS_CA_BUNDLE"}


def words_of(keeper: Keeper) -> list[str]:
    """The options by which a command has the keeper's settings."""
    words: list[str] = []
    for name, setting in keeper.settings.items():
        if name in _FLAGS:
            words += [_FLAGS[name]] if setting.value is True else [_FLAGS[name], setting.value]
    if keeper.proxy is not None:
        words += ["--proxy", keeper.proxy.value]
    for host in keeper.trusted_hosts:
        words += ["--trusted-host", host]
    if keeper.client_cert is not None:
        words += ["--client-cert", str(keeper.folder / "client.pem")]
    return words


def environ_of(keeper: Keeper) -> dict[str, str]:
    """The variables by which a command has the keeper's settings."""
    named = {
        variable: keeper.settings[name].value
        for name, variable in _VARIABLES.items()
        if name in keeper.settings
    }
    return {**keeper.environ, **named}


@dataclass(frozen=True)
class Told:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def causes(self) -> tuple[str, ...]:
        """The stable codes, in the order in which they are told."""
        return tuple(re.findall(r"^Cause: ([a-z-]+)$", self.stderr, re.MULTILINE))

    @property
    def commands(self) -> list[str]:
        """What can be pasted."""
        return re.findall(r"^    (.*kedge.*)$", self.stderr, re.MULTILINE)


Run = Callable[..., Told]


def runner(capsys: pytest.CaptureFixture[str]) -> Run:
    """kedge in this process: with real sockets, and without the start-up of a program."""

    def run(*words: str | Path, **environ: str) -> Told:
        capsys.readouterr()
        code = main([*map(str, words)], environ={**os.environ, **environ})
        said = capsys.readouterr()
        return Told(code, said.out, said.err)

    return run


def install(run: Run, keeper: Keeper, url: str, *words: str) -> Told:
    """``kedge install demo`` from that index, as the keeper is set up; nothing is repeated."""
    line = ["install", "--target", keeper.folder / "out", "-i", url, *words_of(keeper)]
    patience = ["--retries", "0", "--timeout", str(keeper.limit)]
    return run(*line, *patience, *words, "demo", **environ_of(keeper))
