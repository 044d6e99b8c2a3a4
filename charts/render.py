# ruff: noqa: INP001 - a script beside the chart it reads
"""Writes again what is made from the chart: its README.md and the kustomize base. `python charts/render.py`.

The base is the chart's rendering with its default values. One thing is left out: the certificate of admission, which
Helm makes up at every rendering; manifests/README.md says how to get one.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import helm_python as helm
import yaml

from cdl.kube import rbac, webhooks

HERE = Path(__file__).parent
ROOT = HERE.parent
CHART = HERE / "cdl"
BASE = Path("manifests") / "base"
SAMPLES = Path("manifests") / "samples"
NAMESPACE = "cdl-system"
CASES = ("bbc_news", "fashion_mnist")
MADE = "# Made from charts/cdl by `python charts/render.py`; change that.\n"
GROUPS = ("admission", "engines", "gitops", "network", "operator", "rights")

Node = dict[str, object]


def rendering(values: Node | None = None, **how: str) -> dict[str, list[Node]]:
    """Every object of the chart by the template it comes from."""
    helm.disable_logging()
    with helm.Chart.load(CHART) as chart:
        texts = chart.render(values or {}, **{"name": "cdl", "namespace": NAMESPACE, **how})
    found = {
        path.removeprefix("cdl/templates/"): [document for document in yaml.safe_load_all(text) if document]
        for path, text in texts.items()
        if path.endswith(".yaml")
    }
    return {path: documents for path, documents in found.items() if documents}


def without_certificate(document: Node) -> Node | None:
    """The object as it may lie in git: nothing for a Secret, no authority in a webhook."""
    if document["kind"] == "Secret":
        return None
    webhooks = document.get("webhooks")
    for webhook in webhooks if isinstance(webhooks, list) else []:
        webhook["clientConfig"].pop("caBundle", None)
    return document


def without_helm(document: Node) -> Node:
    """The object without what only means something to Helm."""
    plain = yaml.safe_load(
        re.sub(r"^ *helm\.sh/(chart|resource-policy): .*\n", "", yaml.safe_dump(document), flags=re.MULTILINE)
    )
    metadata = plain["metadata"]
    metadata["labels"]["app.kubernetes.io/managed-by"] = "kustomize"
    if not metadata.get("annotations", True):
        del metadata["annotations"]
    if "template" in plain.get("spec", {}):
        plain["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "kustomize"
    return plain


def based() -> Iterator[tuple[str, list[Node]]]:
    """The objects of the base by the file they lie in."""
    namespace: Node = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }
    yield "namespace.yaml", [namespace]
    objects = rendering()
    for group in GROUPS:
        documents = [d for path, found in sorted(objects.items()) if path.startswith(f"{group}/") for d in found]
        kept = [without_helm(kept) for document in documents if (kept := without_certificate(document))]
        if kept:
            yield f"{group}.yaml", kept


def dumped(documents: list[Node], made: str = MADE) -> str:
    """The objects as the text of a file."""
    return made + "---\n".join(yaml.safe_dump(d, sort_keys=False, width=120, allow_unicode=True) for d in documents)


def kustomization(resources: list[str], made: str = MADE) -> str:
    """The file that names the files of a folder."""
    head: Node = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources}
    return dumped([head], made)


def sample(case: str) -> str:
    """The resources of a use case for `kubectl apply`, their code as archives where a cluster can fetch them."""
    folder = ROOT / "use_cases" / case / "resources"
    documents = [
        document for path in sorted(folder.glob("*.yaml")) for document in yaml.safe_load_all(path.read_text())
    ]
    for document in documents:
        code = document["spec"].get("code", {})
        for part in ("archive", "serve"):
            if part in code:
                uri = code[part]["uri"].removeprefix("file:../")
                code[part]["uri"] = f"https://artifacts.example/{case}/{uri}.tar.gz"
    made = f"# Made from use_cases/{case}/resources by `python charts/render.py`; change those.\n"
    return dumped(documents, made)


def described(node: yaml.MappingNode, lines: list[str], path: str, above: str) -> Iterator[tuple[str, object, str]]:
    """Each value with its default and the comment above it, or above what it is part of."""
    for key, value in node.value:
        name = f"{path}{key.value}"
        comment = []
        row = key.start_mark.line - 1
        while row >= 0 and (found := re.match(r"\s*# (.*)", lines[row])):
            comment.insert(0, found.group(1))
            row -= 1
        text = " ".join(comment)
        if isinstance(value, yaml.MappingNode) and value.value and not text:
            yield from described(value, lines, f"{name}.", above)
        else:
            yield name, yaml.safe_load(yaml.serialize(value)), text


def values_table() -> str:
    """Every value of the chart, as a table."""
    text = (CHART / "values.yaml").read_text()
    root = yaml.compose(text)
    rows = ["| value | default | meaning |", "|---|---|---|"]
    for name, default, meaning in described(root, text.splitlines(), "", ""):
        shown = yaml.safe_dump(default, default_flow_style=True, width=10_000).removesuffix("\n...\n").strip()
        rows.append(f"| `{name}` | `{shown}` | {meaning} |")
    return "\n".join(rows) + "\n"


def roles_table() -> str:
    """What each role allows and why, as a table."""
    rows = ["| role | may | what | because |", "|---|---|---|---|"]
    for role, table in rbac.TABLE.items():
        for row in table:
            what = ", ".join(row.resources) + (f" of {row.group}" if row.group not in {"", rbac.GROUP} else "")
            rows.append(f"| `cdl-{role}` | {', '.join(row.verbs)} | {what} | {row.reason} |")
    return "\n".join(rows) + "\n"


def readme() -> str:
    """The chart's page."""
    page = (HERE / "README.md.in").read_text()
    return page.replace("@VALUES@\n", values_table()).replace("@ROLES@\n", roles_table())


def told() -> dict[Path, str]:
    """What the chart reads of the program: the table of rights, and what an API server is told of admission."""
    configurations = webhooks.configurations(webhooks.at_service("", "cdl-admission", b""))
    for webhook in (webhook for configuration in configurations for webhook in configuration["webhooks"]):
        del webhook["clientConfig"]["caBundle"]
    text = yaml.safe_dump({"configurations": list(configurations)}, sort_keys=False)
    header = "# Made from src/cdl/kube/webhooks.py by `python charts/render.py`; change that.\n"
    return {Path("charts/cdl/files/rbac.yaml"): rbac.render(), Path("charts/cdl/files/webhooks.yaml"): header + text}


def made() -> dict[Path, str]:
    """What is made from the chart, by where it lies."""
    texts = {Path("charts") / "cdl" / "README.md": readme()}
    base = {BASE / name: dumped(documents) for name, documents in based()}
    texts |= base | {BASE / "kustomization.yaml": kustomization([path.name for path in base])}
    samples = {SAMPLES / f"{case}.yaml": sample(case) for case in CASES}
    texts |= samples | {SAMPLES / "kustomization.yaml": kustomization([path.name for path in samples])}
    return texts


if __name__ == "__main__":
    for step in (told, made):  # the chart is rendered with what it was told
        for path, text in step().items():
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_text(text)
            sys.stdout.write(f"{path}\n")
