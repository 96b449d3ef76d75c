"""The parts that tests of trust share: decisions for a bundle, and contexts made of them."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from kedge import trust
from kedge.model import Origin, OriginKind, Sourced, TrustDecision

CERT = Origin(OriginKind.COMMAND_LINE, "--cert")
EXTRA = Origin(OriginKind.COMMAND_LINE, "--extra-cert")


def _decision(*paths: Path | str, strict: bool = False) -> TrustDecision:
    first, *more = (str(path) for path in paths)
    return trust.decide(
        trust.TrustSettings(
            cert=Sourced(first, CERT),
            extra_certs=tuple(Sourced(path, EXTRA) for path in more),
            strict=Sourced(strict),
        )
    )


@pytest.fixture(name="decision")
def _decision_fixture() -> Callable[..., TrustDecision]:
    """``decision(path, *more, strict=False)``: ``--cert`` and then ``--extra-cert``."""
    return _decision


@pytest.fixture
def load() -> Callable[..., trust.Anchors]:
    """The anchors of those bundles, in an empty environment."""

    def anchors(*paths: Path | str, strict: bool = False) -> trust.Anchors:
        return trust.load(_decision(*paths, strict=strict), environ={})

    return anchors


@pytest.fixture
def trusting(load: Callable[..., trust.Anchors]) -> Callable[..., ssl.SSLContext]:
    """A context that trusts those bundles."""

    def context(*paths: Path | str, strict: bool = False) -> ssl.SSLContext:
        return trust.make_context(load(*paths, strict=strict))

    return context
