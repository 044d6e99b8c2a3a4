"""The CRDs are what the models say, and what an API server accepts."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from cdl.api.v1alpha1 import KINDS
from cdl.kube.crds import FOLDERS, definition, file_name, main, render, schema
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document, release_document

ROOT = Path(__file__).parents[3]
WORDS = {
    "type", "properties", "required", "items", "additionalProperties", "description", "default", "enum", "format",
    "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems",
    "maxItems", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
}  # fmt: skip
EVERY_KIND = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def nodes(node, path=""):
    """Every schema below a node, with its path."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in node:
        yield from nodes(node["items"], f"{path}[]")
    if "additionalProperties" in node:
        yield from nodes(node["additionalProperties"], f"{path}{{}}")


def closed(node):
    """The schema with nothing allowed beside it, as JSON Schema of draft 4 reads it."""
    made = {k: v for k, v in node.items() if not k.startswith("x-") and k != "default"}
    if "properties" in node:
        made["properties"] = {k: closed(v) for k, v in node["properties"].items()}
        made["additionalProperties"] = False
    for below in ("items", "additionalProperties"):
        if below in node:
            made[below] = closed(node[below])
    return made


def strict(kind):
    made = closed(schema(kind))
    made["properties"]["metadata"] = {"type": "object"}
    return jsonschema.Draft4Validator(made)


@pytest.mark.parametrize(("folder", "rules"), FOLDERS.items(), ids=FOLDERS)
@EVERY_KIND
def test_the_committed_file_is_what_the_models_say(kind, folder, rules):
    committed = (ROOT / "manifests" / folder / file_name(kind)).read_text(encoding="utf-8")
    assert committed == render(kind, rules=rules), f"run `make generate` and commit manifests/{folder}"
    assert ("x-kubernetes-validations" in committed) is rules
    assert yaml.safe_load(committed) == definition(kind, rules=rules)


def test_the_module_writes_every_kind(tmp_path, capsys):
    main(tmp_path)
    for folder in FOLDERS:
        assert sorted(p.name for p in (tmp_path / folder).iterdir()) == sorted(file_name(k) for k in KINDS.values())
    assert len(capsys.readouterr().out.splitlines()) == len(FOLDERS) * len(KINDS)


@EVERY_KIND
def test_every_node_is_structural(kind):
    for path, node in nodes(schema(kind)):
        assert node.keys() <= WORDS, f"{path}: {node.keys() - WORDS}"
        free = node.get("x-kubernetes-preserve-unknown-fields", False)
        assert free or isinstance(node.get("type"), str), f"{path} has no type"
        assert not ("properties" in node and "additionalProperties" in node), path
        if node.get("type") == "array":
            assert "items" in node, path
        if "x-kubernetes-list-map-keys" in node:
            keys = set(node["x-kubernetes-list-map-keys"])
            assert keys <= set(node["items"]["required"]), f"{path}: the key must be required"


@EVERY_KIND
def test_every_field_is_explained(kind):
    silent = [p for p, node in nodes(schema(kind)) if "description" not in node and not p.endswith(("[]", "{}"))]
    assert silent == [".metadata"]  # the API server explains it, and refuses a schema that does


@EVERY_KIND
def test_every_default_is_allowed(kind):
    for path, node in nodes(schema(kind)):
        if "default" in node:
            jsonschema.Draft4Validator(closed(node)).validate(node["default"])
            assert not path.startswith(".status."), f"{path}: only the platform writes a status"


def test_a_resource_waits_for_its_first_look_but_a_release_has_nobody_to_wait_for():
    unseen = {name: schema(kind)["properties"]["status"].get("default") for name, kind in KINDS.items()}
    assert unseen.pop("Release") is None
    assert set(map(str, unseen.values())) == {"{'observedGeneration': -1}"}


@pytest.mark.parametrize("document", [pipeline_document(), experiment_document(), deployment_document()])
def test_a_resource_nobody_looked_at_is_read(document):
    resource = KINDS[document["kind"]].read(document | {"status": {"observedGeneration": -1}})
    assert resource.status == type(resource.status)(observed_generation=-1)


def test_a_release_is_always_up_to_date():
    assert KINDS["Release"].read(release_document()).plain()["status"]["observedGeneration"] == 1


@EVERY_KIND
def test_names_columns_and_the_status_subresource(kind):
    made = definition(kind)["spec"]
    version = made["versions"][0]
    assert (made["group"], version["name"], made["scope"]) == ("cdl.dev", "v1alpha1", "Namespaced")
    assert made["names"]["shortNames"] == [
        {"DataPipeline": "cdldp", "Experiment": "cdlexp", "ModelDeployment": "cdlmd", "Release": "cdlrel"}[
            kind.__name__
        ]
    ]
    assert made["names"]["categories"] == ["cdl"]
    assert version["subresources"] == {"status": {}}
    columns = version["additionalPrinterColumns"]
    always, wide = ([c["name"] for c in columns if bool(c.get("priority")) is p] for p in (False, True))
    assert (always, wide) == SHOWN[kind.__name__]
    for column in columns:
        if not column["jsonPath"].startswith(".metadata."):
            node = schema(kind)
            for part in column["jsonPath"].removeprefix(".").partition("[")[0].split("."):
                node = node["properties"][part]
            assert node["type"] in {column["type"], "array"}, column


SHOWN = {
    "DataPipeline": (["Ready", "Status", "Progress", "Revision", "Age"], ["Dataset", "Message"]),
    "Experiment": (["Ready", "Status", "Progress", "Revision", "Age"], ["Metric", "Release", "Message"]),
    "ModelDeployment": (["Ready", "Status", "Progress", "Revision", "Age"], ["Release", "URL", "Message"]),
    "Release": (["Model", "Version", "Approval", "Age"], ["By", "Served by", "Digest"]),
}


@EVERY_KIND
def test_a_name_is_bounded_as_the_models_bound_it(kind):
    name = schema(kind)["properties"]["metadata"]["properties"]["name"]
    raw = kind.model_json_schema()["$defs"]["Metadata"]["properties"]["name"]
    assert (name["pattern"], name["maxLength"]) == (raw["pattern"], raw["maxLength"])


def test_a_pasted_configuration_is_kept_as_it_is():
    spec = schema(KINDS["Experiment"])["properties"]["spec"]["properties"]
    assert spec["config"]["type"] == "object"
    assert spec["config"]["x-kubernetes-preserve-unknown-fields"] is True
    assert "properties" not in spec["config"]


def documents():
    for path in sorted((ROOT / "use_cases").glob("*/resources/*.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if document and document.get("apiVersion", "").startswith("cdl.dev/"):
                yield pytest.param(document, id=f"{path.parts[-3]}-{path.stem}-{document['kind']}")


@pytest.mark.parametrize("document", list(documents()))
def test_the_use_cases_resources_pass(document):
    strict(KINDS[document["kind"]]).validate(document)


@pytest.mark.parametrize("document", list(documents()))
def test_what_the_models_write_passes_too(document):
    kind = KINDS[document["kind"]]
    strict(kind).validate(kind.read(document).plain())


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("DataPipeline", {"suspend": "yes"}),
        ("DataPipeline", {"interval": "soon"}),
        ("DataPipeline", {"split": {"test": 1}}),
        ("DataPipeline", {"split": {"by": "name"}}),
        ("DataPipeline", {"steps": [{"uses": "checks"}]}),
        ("DataPipeline", {"surprise": 1}),
        ("ModelDeployment", {"model": {"name": "Not a name"}}),
        ("ModelDeployment", {"model": {"name": "news", "version": 0}}),
        ("ModelDeployment", {}),
    ],
)
def test_what_the_models_refuse_the_schema_refuses(kind, change):
    with pytest.raises(jsonschema.ValidationError):
        strict(KINDS[kind]).validate({"metadata": {"name": "news"}, "spec": change})
    with pytest.raises(ValueError, match="validation error"):
        KINDS[kind].read({"metadata": {"name": "news"}, "spec": change})
