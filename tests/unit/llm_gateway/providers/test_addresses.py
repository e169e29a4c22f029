"""Which base URLs may be used, at save and at connect."""

import ipaddress

import pytest

from services.llm_gateway.providers.addresses import (
    AddressError,
    AddressRules,
    Origin,
    check_address,
    check_base_url,
    check_url,
    parse_allowed,
)
from services.llm_gateway.providers.types import Trust

THEIRS = AddressRules(Trust.ORGANIZATION)
OURS = AddressRules(Trust.OPERATOR)
HOST = Origin("https", "models.example", 443)
METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
]
PRIVATE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.8",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.0.1",
    "169.254.1.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fc00::1",
    "fd12::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "2001:0:1::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "2002:0a00:0001::1",
]
PUBLIC = ["8.8.8.8", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]


@pytest.mark.parametrize("address", METADATA)
@pytest.mark.parametrize("rules", [OURS, THEIRS, AddressRules(Trust.ORGANIZATION, frozenset({HOST}), True)], ids=str)
def test_metadata_is_for_nobody(address: str, rules: AddressRules) -> None:
    with pytest.raises(AddressError, match="metadata"):
        check_address(ipaddress.ip_address(address), HOST, rules)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_the_operators(address: str) -> None:
    found = ipaddress.ip_address(address)
    with pytest.raises(AddressError, match="LINTEL_ALLOWED_MODEL_HOSTS"):
        check_address(found, HOST, THEIRS)
    check_address(found, HOST, OURS)
    check_address(found, HOST, AddressRules(Trust.ORGANIZATION, frozenset({HOST})))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_for_all(address: str) -> None:
    check_address(ipaddress.ip_address(address), HOST, THEIRS)


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("models.example/v1", "http"),
        ("ftp://models.example/v1", "http"),
        ("https://", "http"),
        ("https://models.example:99999/v1", "port"),
        ("https://user@models.example/v1", "user"),
        ("https://user:pass@models.example/v1", "password"),
        ("https://models.example/v1?a=b", "query"),
        ("https://models.example/v1#a", "fragment"),
        ("https://models.example/v1/chat/completions", "endpoint"),
        ("https://models.example/v1/messages/", "endpoint"),
        ("https://models.example/v1/models/gemini:generateContent", "endpoint"),
        ("http://models.example/v1", "https"),
        ("https://models.example:22/v1", "port"),
        ("https://metadata.google.internal/v1", "metadata"),
        ("https://METADATA.google.internal./v1", "metadata"),
        ("https://169.254.169.254/v1", "metadata"),
        ("https://2852039166/v1", "metadata"),
        ("https://0xa9fea9fe/v1", "metadata"),
        ("https://0251.0376.0251.0376/v1", "metadata"),
        ("https://[::ffff:a9fe:a9fe]/v1", "metadata"),
        ("https://127.1/v1", "public"),
        ("https://2130706433/v1", "public"),
        ("https://0x7f.1/v1", "public"),
        ("https://0177.0.0.1/v1", "public"),
        ("https://[::1]/v1", "public"),
        ("https://[fe80::1%25eth0]/v1", "public"),
    ],
)
def test_an_organisations_url_that_is_refused(url: str, word: str) -> None:
    with pytest.raises(AddressError, match=word):
        check_url(url, THEIRS)


def test_what_the_operator_permits() -> None:
    allowed = parse_allowed("http://ollama:11434, https://Models.Example. , http://10.0.0.8:8000/")
    rules = AddressRules(Trust.ORGANIZATION, allowed)
    for url in (
        "http://ollama:11434/v1",
        "https://models.example/v1",
        "https://models.example:443",
        "http://10.0.0.8:8000/v1",
    ):
        check_url(url, rules)
    for url in (
        "http://ollama:11435/v1",
        "http://models.example/v1",
        "http://10.0.0.8:8001/v1",
        "http://10.0.0.9:8000",
    ):
        with pytest.raises(AddressError):
            check_url(url, rules)
    with pytest.raises(AddressError, match="metadata"):
        check_url("http://169.254.169.254", AddressRules(Trust.ORGANIZATION, parse_allowed("http://169.254.169.254")))


def test_this_machine_is_permitted_where_lintel_is_embedded() -> None:
    rules = AddressRules(Trust.ORGANIZATION, loopback=True)
    for url in ("http://localhost:11434/v1", "http://127.0.0.1:8000", "http://[::1]:1234/v1"):
        check_url(url, rules)
    for url in ("http://10.0.0.1:11434/v1", "http://models.example/v1"):
        with pytest.raises(AddressError):
            check_url(url, rules)


@pytest.mark.parametrize("entry", ["ollama:11434", "http://", "http://host/path", "http://a@host", "ftp://host"])
def test_an_entry_of_the_list_that_is_none_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match=entry[:4]):
        parse_allowed(f"https://fine.example,{entry}")


async def test_at_save_each_address_of_the_name_is_looked_at() -> None:
    with pytest.raises(AddressError, match="public"):
        await check_base_url("https://localhost/v1", THEIRS)
    await check_base_url("https://localhost/v1", OURS)
    await check_base_url("https://no-such-host.invalid/v1", THEIRS)
