"""python -m deploy.certificates DIRECTORY NAME=ROLE[+ROLE…] …: certificates for trying out the mesh over a network.

    python -m deploy.certificates certs auth=auth workers=webhooks_worker+review_worker edge=gateway+envoy

makes an authority in DIRECTORY/authority and, for each NAME, DIRECTORY/NAME with ca.pem, cert.pem and key.pem, as
LINTEL_MESH_TLS wants them. What is there already is kept, so more can be added later. In production use an authority
of your own (cert-manager, step-ca, Vault): nothing here renews or revokes.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAYS = 90  # a development certificate that is forgotten ends by itself
AUTHORITY = "authority"
_CLOCKS = timedelta(minutes=5)  # by which another machine's clock may be behind


def main(arguments: Sequence[str] | None = None) -> int:
    """Make what is missing; answers 0, or 2 for a NAME that cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m deploy.certificates", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("directory", type=Path, metavar="DIRECTORY")
    parser.add_argument("names", nargs="+", metavar="NAME=ROLE[+ROLE…]")
    options = parser.parse_args(arguments)
    wanted = [name.partition("=") for name in options.names]
    for name, _, roles in wanted:
        if not name or not roles or name == AUTHORITY or not name.replace("-", "").replace("_", "").isalnum():
            parser.error(f"{name or '(empty)'}: write NAME=ROLE[+ROLE…]")
    make(options.directory, {name: roles.split("+") for name, _, roles in wanted})
    print(f"certificates for {', '.join(name for name, _, _ in wanted)} in {options.directory}", file=sys.stderr)
    return 0


def make(directory: Path, names: dict[str, list[str]]) -> None:
    """Make the authority and a directory for each name, unless they are there; keys are for their owner only."""
    authority = directory / AUTHORITY
    if not (authority / "cert.pem").exists():
        _write(authority, *_authority())
    certificate = x509.load_pem_x509_certificate((authority / "cert.pem").read_bytes())
    key = serialization.load_pem_private_key((authority / "key.pem").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    for name, roles in names.items():
        if not (directory / name / "cert.pem").exists():
            _write(directory / name, *_member(roles, certificate, key))
            (directory / name / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _authority() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Lintel development authority")])
    builder = _builder(name, name, key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return builder.sign(key, hashes.SHA256()), key


def _member(
    roles: Sequence[str], authority: x509.Certificate, authority_key: ec.EllipticCurvePrivateKey
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    names = [role.replace("_", "-") for role in roles]  # a host name has no underscore
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    builder = _builder(subject, authority.subject, key.public_key())
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    both_ways = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = builder.add_extension(x509.ExtendedKeyUsage(both_ways), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    builder = builder.add_extension(issuer, critical=False)
    return builder.sign(authority_key, hashes.SHA256()), key


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS)
        .not_valid_after(now + timedelta(days=DAYS))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write(directory: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "key.pem"
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (directory / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


if __name__ == "__main__":
    sys.exit(main())
