"""Schemas of what an API server would take: Kubernetes' own, and of the custom resources that the chart makes."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from kubernetes_validate import utils as published
from referencing import Registry, Resource

#: The three newest minor versions that are known.
VERSIONS = published.all_versions()[-3:]
_CUSTOM = ("monitoring.coreos.com/", "cert-manager.io/")


class UnknownKindError(Exception):
    """There is no schema for what was to be held against one."""


class Kinds:
    """Finds faults in manifests; unknown fields are faults."""

    def __init__(self, crds: Path) -> None:
        self._custom: dict[tuple[str, str], jsonschema.Draft202012Validator] = {}
        for file in sorted(crds.glob("*.yaml")):
            for crd in yaml.load_all(file.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
                for version in crd["spec"]["versions"] if crd else []:
                    api = f"{crd['spec']['group']}/{version['name']}"
                    schema = _strict(version["schema"]["openAPIV3Schema"])
                    self._custom[api, crd["spec"]["names"]["kind"]] = jsonschema.Draft202012Validator(schema)

    def faults(self, manifest: dict[str, Any], version: str) -> list[str]:
        """Gives what an API server of that version would refuse. UnknownKindError where nobody can tell."""
        api, kind = manifest["apiVersion"], manifest["kind"]
        if api.startswith(_CUSTOM):
            if (api, kind) not in self._custom:
                raise UnknownKindError(f"{api} {kind}")
            validator = self._custom[api, kind]
        else:
            validator = _validator(version, kind, api)
        name = f"{kind} {manifest['metadata']['name']}"
        return [f"{name}: {fault.json_path}: {fault.message[:300]}" for fault in validator.iter_errors(manifest)]


def _strict(schema: Any) -> Any:
    """An API server drops fields that a custom resource's schema does not name; here they are faults."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _strict(value) for key, value in schema.items()}
    is_open = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    # A field may itself be called `properties`.
    if isinstance(schema.get("properties"), dict) and not is_open:
        made["additionalProperties"] = False
    return made


@cache
def _definitions(version: str) -> "Registry[Any]":
    contents = published.schema_contents(f"kubernetes-json-schema/v{version}-local-strict/_definitions.json", version)
    return Resource.from_contents(contents) @ Registry()


@cache
def _validator(version: str, kind: str, api: str) -> jsonschema.Draft202012Validator:
    # rbac.authorization.k8s.io/v1 is called rbac-v1 there.
    short = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api)
    name = f"kubernetes-json-schema/v{version}-local-strict/{kind.lower()}-{short}.json"
    try:
        schema = published.schema_contents(name, version)
    except FileNotFoundError:
        raise UnknownKindError(f"{api} {kind} in Kubernetes {version}") from None
    registry = Resource.from_contents(schema) @ _definitions(version)
    return jsonschema.Draft202012Validator(schema, registry=registry)
