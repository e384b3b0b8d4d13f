"""The objects for Kubernetes fit each other, and their pods have the least rights."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest

from tests.deploy.processes import BASE, EXAMPLE, ROOT, objects, of_kubernetes, pods, read_yaml

EXAMPLE_FILE = read_yaml(f"{EXAMPLE}/kustomization.yaml")
PODS = {pod["containers"][0]["name"]: pod for pod in pods()}


def files_of(pod: Any) -> set[str]:
    """The paths of all secrets that a container of this pod can read."""
    keys = {
        secret["name"]: {PurePosixPath(path).name for path in secret["files"]}
        for secret in EXAMPLE_FILE["secretGenerator"]
    }
    secrets = {each["name"]: each["secret"] for each in pod["volumes"] if "secret" in each}
    return {
        f"{mount['mountPath']}/{key}"
        for mount in pod["containers"][0]["volumeMounts"]
        if (secret := secrets.get(mount["name"]))
        for key in {item["key"] for item in secret.get("items", [])} or keys[secret["secretName"]]
    }


def test_each_process_is_given_exactly_the_secrets_that_it_reads() -> None:
    for process in of_kubernetes():
        read = {path for name, path in process.environ.items() if name.endswith("_FILE")}
        assert read == files_of(PODS[process.verb]), process.name


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_the_least_rights(name: str) -> None:
    pod = PODS[name]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 10001
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    mounted = {each["name"] for each in container["volumeMounts"]}
    assert mounted == {each["name"] for each in pod["volumes"]}
    assert pod["terminationGracePeriodSeconds"] > 15


def test_web_and_worker_are_probed_and_keep_one_pod_through_an_eviction() -> None:
    for name in ("web", "worker"):
        container = PODS[name]["containers"][0]
        asked = {
            key: probe["httpGet"]["path"] for key, probe in container.items() if "Probe" in key
        }
        assert asked == {
            "startupProbe": "/healthz",
            "livenessProbe": "/healthz",
            "readinessProbe": "/readyz",
        }
    labels = [
        each["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"]
        for each in objects()
        if each["kind"] == "PodDisruptionBudget"
    ]
    assert labels == ["web", "worker"]


def test_every_file_of_the_base_is_part_of_it() -> None:
    files = {path.name for path in (ROOT / BASE).iterdir()} - {"kustomization.yaml"}
    assert files == set(read_yaml(f"{BASE}/kustomization.yaml")["resources"])
