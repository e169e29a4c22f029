"""The Compose files: valid by the published schema, every role run and watched, no secret in them, nobody is root."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from services.roles import ROLES

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "tests/fixtures/compose/compose-spec.json").read_text())
FILES = {name: yaml.safe_load((ROOT / "deploy" / name).read_text()) for name in ("compose.yaml", "compose.prod.yaml")}
ONE, PRODUCTION = FILES["compose.yaml"], FILES["compose.prod.yaml"]
ENGINES = {"postgres", "rabbitmq", "mongodb"}


def roles_of(service: dict[str, Any]) -> list[str]:
    is_ours = "lintel" in service["image"].lower() and "entrypoint" not in service
    return list(service["command"]) if is_ours else []


@pytest.mark.parametrize("name", FILES)
def test_the_published_schema_holds(name: str) -> None:
    assert [f"{e.json_path}: {e.message}" for e in Draft7Validator(SCHEMA).iter_errors(FILES[name])] == []


@pytest.mark.parametrize("name", FILES)
def test_every_role_runs_once_and_is_watched(name: str) -> None:
    run = {role: service for service in FILES[name]["services"].values() for role in roles_of(service)}
    assert sorted(run) == sorted(ROLES)
    for service in FILES[name]["services"].values():
        if roles := roles_of(service):
            assert service["healthcheck"]["test"][:4] == ["CMD", "python", "-m", "services.probe"]
            assert service["healthcheck"]["test"][4] in roles


@pytest.mark.parametrize("name", FILES)
def test_ours_are_locked_down(name: str) -> None:
    for label, service in FILES[name]["services"].items():
        if label in ENGINES:
            continue
        assert service["read_only"] is True, label
        assert service["cap_drop"] == ["ALL"], label
        assert service["security_opt"] == ["no-new-privileges:true"], label


def test_one_machine_publishes_what_the_install_document_does() -> None:
    ports = {port for service in ONE["services"].values() for port in service.get("ports", ())}
    assert {port.rpartition(":")[2] for port in ports} == {"3001", "3332", "5432", "5672", "15672", "27017"}
    assert all(port.startswith("127.0.0.1:") for label in ENGINES for port in ONE["services"][label]["ports"])


def test_only_auth_has_the_secret_that_signs_tokens() -> None:
    for services in (ONE["services"], PRODUCTION["services"]):
        holders = [label for label, service in services.items() if "API_JWT_SECRET" in json.dumps(service)]
        assert holders == ["auth"]


def test_production_has_replicas_limits_and_secrets_as_files() -> None:
    for label, service in PRODUCTION["services"].items():
        if not roles_of(service):
            continue
        assert service["deploy"]["resources"]["limits"]["memory"], label
        assert "LINTEL_MESH_TLS" in service["environment"], label
        given = set(service["secrets"])
        assert given <= set(PRODUCTION["secrets"]), label
        for variable, value in service["environment"].items():
            if str(value).startswith("/run/secrets/") and variable.endswith("_FILE"):
                assert value.removeprefix("/run/secrets/") in given, f"{label}: {variable}"
    assert PRODUCTION["services"]["review-worker"]["deploy"]["replicas"] >= 2
    urls = [re.findall(r"/run/secrets/(\w+_database_url)", json.dumps(s)) for s in PRODUCTION["services"].values()]
    by_service = {url for found in urls for url in found}
    assert by_service == {
        f"{name}_database_url" for name in ("owner", "auth", "orgs", "llm_gateway", "webhooks", "review")
    }


@pytest.mark.parametrize("name", FILES)
def test_no_value_of_a_secret_stands_in_a_file(name: str) -> None:
    text = (ROOT / "deploy" / name).read_text()
    assert not re.search(r"(PASSWORD|SECRET|TOKEN|KEY)\w*: *[\"']?[A-Za-z0-9+]{12,}", text)
    assert not re.search(r"://[^:@/$\s]+:[^@$\s{]+@", text)
