"""The decision table, as a table."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge.errors import UsageError
from kedge.model import DEFAULT, Origin, OriginKind, Sourced, StoreKind, TrustSource
from kedge.trust import TrustSettings, decide

FEATURE = Origin(OriginKind.COMMAND_LINE, "--use-feature")
FLAG = Origin(OriginKind.COMMAND_LINE, "--cert")
VARIABLE = Origin(OriginKind.ENVIRONMENT, "PIP_CERT")
FILE = Origin(OriginKind.FILE, "cert", "/etc/pip.conf", "global", 3)
REQUESTS = Origin(OriginKind.ENVIRONMENT, "REQUESTS_CA_BUNDLE")
CURL = Origin(OriginKind.ENVIRONMENT, "CURL_CA_BUNDLE")
EXTRA = Origin(OriginKind.ENVIRONMENT, "PIP_EXTRA_CERT")

ON = Sourced(True, FEATURE)
OFF = Sourced(False, FEATURE)
A = Sourced("a.pem", FLAG)
R = Sourced("r.pem", REQUESTS)
C = Sourced("c.pem", CURL)

CERTIFI = TrustSource(StoreKind.CERTIFI, DEFAULT)
SYSTEM = TrustSource(StoreKind.SYSTEM, FEATURE)
BUNDLE_A = TrustSource(StoreKind.BUNDLE, FLAG, "a.pem")
BUNDLE_R = TrustSource(StoreKind.BUNDLE, REQUESTS, "r.pem")
BUNDLE_C = TrustSource(StoreKind.BUNDLE, CURL, "c.pem")

ROWS = {
    "nothing set": (TrustSettings(), (CERTIFI,), ()),
    "REQUESTS": (TrustSettings(requests_ca_bundle=R), (BUNDLE_R,), ()),
    "CURL": (TrustSettings(curl_ca_bundle=C), (BUNDLE_C,), ()),
    "REQUESTS before CURL": (
        TrustSettings(requests_ca_bundle=R, curl_ca_bundle=C),
        (BUNDLE_R,),
        (("c.pem", CURL, REQUESTS),),
    ),
    "empty REQUESTS, then CURL": (
        TrustSettings(requests_ca_bundle=Sourced("", REQUESTS), curl_ca_bundle=C),
        (BUNDLE_C,),
        (),
    ),
    "both empty": (
        TrustSettings(requests_ca_bundle=Sourced("", REQUESTS), curl_ca_bundle=Sourced("", CURL)),
        (CERTIFI,),
        (),
    ),
    "cert": (TrustSettings(cert=A), (BUNDLE_A,), ()),
    "cert over both variables": (
        TrustSettings(cert=A, requests_ca_bundle=R, curl_ca_bundle=C),
        (BUNDLE_A,),
        (("r.pem", REQUESTS, FLAG), ("c.pem", CURL, FLAG)),
    ),
    "cert over PIP_CERT": (
        TrustSettings(cert=A, weaker_certs=(Sourced("weak.pem", VARIABLE),)),
        (BUNDLE_A,),
        (("weak.pem", VARIABLE, FLAG),),
    ),
    "empty cert in a file": (
        TrustSettings(cert=Sourced("", FILE), curl_ca_bundle=C),
        (BUNDLE_C,),
        (),
    ),
    "empty PIP_CERT": (TrustSettings(cert=Sourced("", VARIABLE)), (CERTIFI,), ()),
    "truststore": (TrustSettings(truststore=ON), (SYSTEM,), ()),
    "truststore with REQUESTS": (
        TrustSettings(truststore=ON, requests_ca_bundle=R),
        (SYSTEM, BUNDLE_R),
        (),
    ),
    "truststore with CURL": (
        TrustSettings(truststore=ON, curl_ca_bundle=C),
        (SYSTEM, BUNDLE_C),
        (),
    ),
    "truststore with both variables": (
        TrustSettings(truststore=ON, requests_ca_bundle=R, curl_ca_bundle=C),
        (SYSTEM, BUNDLE_R),
        (("c.pem", CURL, REQUESTS),),
    ),
    "truststore with cert": (TrustSettings(truststore=ON, cert=A), (SYSTEM, BUNDLE_A), ()),
    "truststore with cert over a variable": (
        TrustSettings(truststore=ON, cert=A, requests_ca_bundle=R),
        (SYSTEM, BUNDLE_A),
        (("r.pem", REQUESTS, FLAG),),
    ),
    "truststore switched off": (TrustSettings(truststore=OFF, cert=A), (BUNDLE_A,), ()),
    "switched off, nothing else": (TrustSettings(truststore=OFF), (CERTIFI,), ()),
}


@pytest.mark.parametrize(("settings", "sources", "overridden"), list(ROWS.values()), ids=list(ROWS))
def test_row(
    settings: TrustSettings,
    sources: tuple[TrustSource, ...],
    overridden: tuple[tuple[str, Origin, Origin], ...],
) -> None:
    decision = decide(settings)
    assert decision.sources == sources
    lost = [(each.setting.value, each.setting.origin, each.by) for each in decision.overridden]
    assert lost == list(overridden)


@pytest.mark.parametrize("settings", [row[0] for row in ROWS.values()], ids=list(ROWS))
def test_extra_certs_add_to_every_row(settings: TrustSettings) -> None:
    extras = (Sourced("x.pem", EXTRA), Sourced("y.pem", EXTRA))
    added = decide(replace(settings, extra_certs=extras))
    plain = decide(settings)
    assert added.sources == (
        *plain.sources,
        TrustSource(StoreKind.BUNDLE, EXTRA, "x.pem", extra=True),
        TrustSource(StoreKind.BUNDLE, EXTRA, "y.pem", extra=True),
    )
    assert added.overridden == plain.overridden


def test_an_empty_extra_cert_counts_as_unset() -> None:
    settings = TrustSettings(extra_certs=(Sourced("", EXTRA),))
    assert decide(settings).sources == (CERTIFI,)


@pytest.mark.parametrize(
    "settings",
    [
        TrustSettings(cert=Sourced("", FLAG)),
        TrustSettings(extra_certs=(Sourced("", Origin(OriginKind.COMMAND_LINE, "--extra-cert")),)),
    ],
    ids=["cert", "extra-cert"],
)
def test_an_empty_path_on_the_command_line_is_wrong_usage(settings: TrustSettings) -> None:
    with pytest.raises(UsageError) as caught:
        decide(settings)
    assert caught.value.exit_code == 2
    assert "-cert" in caught.value.message


def test_strictness_is_carried_with_its_origin() -> None:
    strict = Sourced(True, Origin(OriginKind.COMMAND_LINE, "--strict-certs"))
    assert decide(TrustSettings(strict=strict)).strict == strict
    assert decide(TrustSettings()).strict.value is False


_PATHS = st.none() | st.sampled_from(["", "one.pem", "two.pem"])


def _sourced(value: str | None, origin: Origin) -> Sourced[str] | None:
    return None if value is None else Sourced(value, origin)


@given(truststore=st.sampled_from([None, True, False]), cert=_PATHS, requests=_PATHS, curl=_PATHS)
def test_one_bundle_at_most_and_everything_set_is_accounted_for(
    truststore: bool | None, cert: str | None, requests: str | None, curl: str | None
) -> None:
    decision = decide(
        TrustSettings(
            truststore=None if truststore is None else Sourced(truststore, FEATURE),
            cert=_sourced(cert, VARIABLE),
            requests_ca_bundle=_sourced(requests, REQUESTS),
            curl_ca_bundle=_sourced(curl, CURL),
        )
    )
    kinds = [source.kind for source in decision.sources]
    bundles = [source for source in decision.sources if source.kind is StoreKind.BUNDLE]
    assert len(bundles) <= 1
    assert (StoreKind.SYSTEM in kinds) is bool(truststore)
    assert (StoreKind.CERTIFI in kinds) is (not truststore and not bundles)
    accounted = [source.origin for source in bundles]
    accounted += [each.setting.origin for each in decision.overridden]
    expected = [
        origin for value, origin in ((cert, VARIABLE), (requests, REQUESTS), (curl, CURL)) if value
    ]
    assert accounted == expected
