"""The manifests: valid by Kubernetes' own schemas, and the parts name each other rightly."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from services.kit.rpc.addresses import PORTS, AddressSettings
from services.kit.telemetry import metrics
from services.roles import ROLES

ROOT = Path(__file__).parents[3]
K8S = ROOT / "deploy" / "k8s"
SCHEMAS = json.loads((ROOT / "tests/fixtures/kubernetes/schemas.json").read_text())
BASE_PORT = AddressSettings.model_fields["base_port"].default


def documents(overlay: str) -> dict[str, dict[str, Any]]:
    """Every object of a kustomization's own files, by kind and name."""
    found: dict[str, dict[str, Any]] = {}
    kustomization = yaml.safe_load((K8S / overlay / "kustomization.yaml").read_text())
    for resource in kustomization["resources"]:
        path = K8S / overlay / resource
        if path.is_dir():
            continue
        for document in yaml.safe_load_all(path.read_text()):
            name = f"{document['kind']}/{document['metadata']['name']}"
            assert name not in found, f"{name} is there twice"
            found[name] = document
    return found


BASE, PRODUCTION = documents("base"), documents("production")
DEPLOYMENTS = {d["metadata"]["name"]: d for d in BASE.values() if d["kind"] == "Deployment"}


def pod(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["spec"]["template"]["spec"]
    return found


def containers(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod(document).get("initContainers", ()), *pod(document)["containers"]]


@pytest.mark.parametrize("name", [*BASE, *PRODUCTION])
def test_kubernetes_own_schema_holds(name: str) -> None:
    document = (BASE | PRODUCTION)[name]
    kind = SCHEMAS["kinds"][f"{document['apiVersion']}/{document['kind']}"]
    schema = {"$ref": f"#/$defs/{kind}", "$defs": SCHEMAS["$defs"]}
    errors = Draft202012Validator(schema).iter_errors(document)
    assert [f"{error.json_path}: {error.message[:200]}" for error in errors] == []


def test_every_file_belongs_to_a_kustomization() -> None:
    for overlay in ("base", "production"):
        listed = set(yaml.safe_load((K8S / overlay / "kustomization.yaml").read_text())["resources"])
        assert {p.name for p in (K8S / overlay).glob("*.yaml")} - {"kustomization.yaml"} == {
            name for name in listed if name.endswith(".yaml")
        }


def test_every_role_has_a_deployment_with_its_ports_and_a_service_of_its_name() -> None:
    run = {role: d for d in DEPLOYMENTS.values() for c in containers(d) for role in c.get("args", ()) if role in ROLES}
    assert sorted(run) == sorted(ROLES)
    for role, port in PORTS.items():
        name = role.replace("_", "-")
        deployment, service = DEPLOYMENTS[name], BASE[f"Service/{name}"]
        (container,) = containers(deployment)
        numbers = {p["name"]: p["containerPort"] for p in container["ports"]}
        assert numbers["internal"] == BASE_PORT + port
        assert numbers.get("public", BASE_PORT + port + 1) == BASE_PORT + port + 1
        assert {p["name"]: p["port"] for p in service["spec"]["ports"]} == numbers
        assert service["spec"]["clusterIP"] == "None"
        assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
        assert container["readinessProbe"]["exec"]["command"] == ["python", "-m", "services.probe", role]


def test_nobody_is_root_and_nothing_is_writable_but_what_is_mounted() -> None:
    for name, document in BASE.items():
        if document["kind"] not in ("Deployment", "Job"):
            continue
        security = pod(document)["securityContext"]
        assert (security["runAsNonRoot"], security["runAsUser"]) == (True, 65532), name
        assert pod(document)["automountServiceAccountToken"] is False, name
        for container in containers(document):
            locked = container["securityContext"]
            assert locked == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["limits"]["memory"], name
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted <= {volume["name"] for volume in pod(document)["volumes"]}, name


def test_each_deployment_survives_a_drained_node_and_has_a_certificate() -> None:
    for name, document in DEPLOYMENTS.items():
        budget = BASE[f"PodDisruptionBudget/{name}"]
        assert budget["spec"]["selector"] == document["spec"]["selector"]
        assert document["spec"]["replicas"] >= 2
        assert f"mesh-{name}" in json.dumps(pod(document)["volumes"])


def test_what_scales_is_there() -> None:
    for name, document in PRODUCTION.items():
        if name.startswith("HorizontalPodAutoscaler/"):
            target = document["spec"]["scaleTargetRef"]
            assert f"{target['kind']}/{target['name']}" in BASE


def test_only_auth_has_the_secret_that_signs_tokens() -> None:
    assert [name for name, document in BASE.items() if "jwt-secret" in json.dumps(document)] == ["Deployment/auth"]


def test_workers_are_scaled_by_a_metric_that_there_is() -> None:
    text = (K8S / "production" / "autoscaling.yaml").read_text()
    named = set(re.findall(r"(lintel_\w+)\{", text))
    assert named
    assert named <= {family.name for family in metrics.REGISTRY.collect()}
