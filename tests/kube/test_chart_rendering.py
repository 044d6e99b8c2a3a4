"""The chart without a cluster: every values file is right, and every pod in it keeps the rules."""

import base64
import ipaddress
import json
import tarfile

import helm_python as helm
import jsonschema
import pytest
import yaml
from charts import render
from charts.render import CHART
from cryptography import x509

from cdl.api.v1alpha1 import KINDS
from cdl.kube import rbac, webhooks
from cdl.kube.crds import definition
from tests.architecture.tree import ROOT
from tests.kube.chart import NAMES, environments, objects, of_kind, pods, selects, values_of

SCHEMA = json.loads((CHART / "values.schema.json").read_text())


@pytest.fixture(params=NAMES)
def variant(request):
    return request.param


@pytest.fixture
def documents(variant):
    return objects(variant)


def test_what_is_made_from_the_chart_is_current():
    files = render.told() | render.made()
    stale = [str(path) for path, text in files.items() if (ROOT / path).read_text() != text]
    assert stale == [], "run `python charts/render.py` and commit"


def test_the_chart_carries_the_definitions_of_the_models():
    """With rules, because Helm renders for a current server unless it is told another; without: test_chart_install."""
    documents = of_kind(objects("values.yaml"), "CustomResourceDefinition")
    assert {d["metadata"]["name"] for d in documents} == {f"{kind}.cdl.dev" for kind in rbac.ALL}
    assert {d["spec"]["names"]["kind"]: d["spec"] for d in documents} == {
        name: definition(kind, rules=True)["spec"] for name, kind in KINDS.items()
    }
    assert {d["metadata"]["annotations"]["helm.sh/resource-policy"] for d in documents} == {"keep"}


def test_definitions_may_be_somebody_elses_business():
    assert of_kind(objects("values.yaml", definitions={"install": False}), "CustomResourceDefinition") == []


def test_helm_finds_no_fault(variant):
    for version in ("v1.20.0", "v1.30.0"):
        report = helm.lint(CHART, values_of(variant), strict=True, namespace="cdl-system", kube_version=version)
        assert [m for m in report["messages"] if m["severity"] > 1] == []


def test_a_packed_chart_is_whole(tmp_path):
    packed = helm.package(CHART, destination=tmp_path)
    with tarfile.open(packed) as archive:
        names = {member.name for member in archive.getmembers() if member.isfile()}
    folders = ("crds", "crds-cel")
    assert {f"cdl/files/{folder}/cdl.dev_{kind}.yaml" for folder in folders for kind in rbac.ALL} <= names
    assert {"cdl/values.schema.json", "cdl/files/rbac.yaml", "cdl/templates/NOTES.txt"} <= names
    assert not [name for name in names if "/ci/" in name]


def test_no_object_is_there_twice(documents):
    names = [(d["kind"], d["metadata"].get("namespace"), d["metadata"]["name"]) for d in documents]
    assert len(names) == len(set(names))


def test_every_object_says_whose_it_is(documents):
    cluster_wide = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
    cluster_wide |= {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"}
    for document in documents:
        metadata = document["metadata"]
        assert metadata["labels"]["app.kubernetes.io/part-of"] == "cdl"
        assert ("namespace" in metadata) == (document["kind"] not in cluster_wide), metadata["name"]


# --- values


def test_every_value_is_explained():
    text = (CHART / "values.yaml").read_text()
    rows = list(render.described(yaml.compose(text), text.splitlines(), "", ""))
    assert [name for name, _, meaning in rows if len(meaning) < 10] == []
    assert len(rows) > 40


def open_places(node, path="values"):
    """Objects of the schema that name their properties and still take others."""
    if isinstance(node, dict):
        if "properties" in node and node.get("type") == "object" and node.get("additionalProperties") is not False:
            yield path
        for name, child in node.items():
            yield from open_places(child, f"{path}.{name}")


def test_the_schema_is_strict_and_is_one():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert list(open_places(SCHEMA)) == []


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"scope": "Galaxy"}, "/scope"),
        ({"scope": "Namespaced"}, "/namespaces"),
        ({"definitions": {"install": "once"}}, "/definitions/install"),
        ({"image": {"tag": "latest"}}, "/image/tag"),
        ({"image": {"names": {"operator": "Cdl Operator"}}}, "/image/names/operator"),
        ({"engines": {"pachyderm": {"mode": "sometimes"}}}, "/engines/pachyderm/mode"),
        ({"engines": {"pachyderm": {"address": "http://pachd:30650"}}}, "/engines/pachyderm/address"),
        ({"engines": {"pachyderm": {"credentials": {"secret": "A Secret"}}}}, "/engines/pachyderm/credentials/secret"),
        ({"engines": {"determined": {"address": ""}}}, "/engines/determined/address"),
        ({"engines": {"determined": {"password": "secret"}}}, "/engines/determined"),
        ({"engines": {"determined": {"embedded": {"slots": 0}}}}, "/engines/determined/embedded/slots"),
        ({"engines": {"seldon": {"embedded": {"service": {"nodePort": 80}}}}}, "/engines/seldon/embedded/service"),
        ({"home": {"size": "big"}}, "/home/size"),
        ({"home": {"accessModes": []}}, "/home/accessModes"),
        ({"operator": {"replicas": 0}}, "/operator/replicas"),
        ({"operator": {"resources": {"limits": {"memory": "a lot"}}}}, "/operator/resources/limits/memory"),
        ({"operator": {"resources": {"limits": {"nvidia.com/gpu": 1}}}}, "/operator/resources/limits"),
        ({"admission": {"certificate": {"source": "found"}}}, "/admission/certificate/source"),
        ({"metrics": {"port": 65536}}, "/metrics/port"),
        ({"rights": {"bindings": [{"role": "king", "namespace": "x", "subjects": [{}]}]}}, "/rights/bindings/0/role"),
        ({"networkPolicy": {"apiServerPorts": []}}, "/networkPolicy/apiServerPorts"),
        ({"networkPolicy": {"predictionsFrom": ["everywhere"]}}, "/networkPolicy/predictionsFrom/0"),
        ({"operater": {}}, "operater"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused_by_its_path(wrong, path):
    with helm.Chart.load(CHART) as chart, pytest.raises(helm.HelmValuesError) as refusal:
        chart.validate_schema(chart.merge_values(wrong))
    assert path in str(refusal.value).replace(".", "/")


def test_with_every_engine_off_there_is_nothing_to_install():
    off = {name: {"mode": "off"} for name in ("pachyderm", "determined", "seldon")}
    with pytest.raises(helm.HelmError, match="every engine is off"):
        render.rendering({"engines": off})


# --- pods: what the Pod Security Standard "restricted" asks for, written down here a second time

ALLOWED_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected"}
ALLOWED_VOLUMES.add("secret")
FORBIDDEN_OF_PODS = ("hostNetwork", "hostPID", "hostIPC")


def unrestricted(spec):
    """What the standard would refuse in a pod."""
    security = spec.get("securityContext", {})
    faults = [name for name in FORBIDDEN_OF_PODS if spec.get(name)]
    faults += [f"volume {v['name']}" for v in spec.get("volumes", ()) if not (v.keys() - {"name"}) <= ALLOWED_VOLUMES]
    faults += ["sysctls"] if security.get("sysctls") else []
    for container in [*spec.get("initContainers", ()), *spec["containers"]]:
        own = container.get("securityContext", {})
        seccomp = own.get("seccompProfile", security.get("seccompProfile", {}))
        capabilities = own.get("capabilities", {})
        checks = {
            "runs as root": own.get("runAsNonRoot", security.get("runAsNonRoot")) is True,
            "runs as user 0": own.get("runAsUser", security.get("runAsUser")) != 0,
            "gains privileges": own.get("allowPrivilegeEscalation") is False,
            "is privileged": not own.get("privileged"),
            "keeps capabilities": "ALL" in capabilities.get("drop", ()),
            "adds capabilities": set(capabilities.get("add", ())) <= {"NET_BIND_SERVICE"},
            "has no seccomp profile": seccomp.get("type") in {"RuntimeDefault", "Localhost"},
            "takes ports of the host": not any(port.get("hostPort") for port in container.get("ports", ())),
            "unmasks /proc": own.get("procMount", "Default") == "Default",
        }
        faults += [f"{container['name']} {fault}" for fault, kept in checks.items() if not kept]
    return faults


def test_every_pod_is_restricted(documents):
    assert {name: faults for name, _, spec in pods(documents) if (faults := unrestricted(spec))} == {}


@pytest.mark.parametrize(
    "change",
    [
        {"hostNetwork": True},
        {"securityContext": {}},
        {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]},
        {"containers": [{"name": "x", "image": "x"}]},
    ],
    ids=str,
)
def test_a_pod_that_is_not_restricted_is_found(change):
    _, _, spec = next(pods(objects("values.yaml")))
    assert unrestricted(spec | change)


def test_every_container_is_kept_small_and_cannot_write_its_image(documents):
    for name, _, spec in pods(documents):
        for container in spec["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert "memory" in container["resources"]["limits"], name
            assert {"/tmp"} <= {m["mountPath"] for m in container.get("volumeMounts", ())} or name == "cdl-test"


def test_every_server_is_watched(documents):
    for document in of_kind(documents, "Deployment", "StatefulSet"):
        for container in document["spec"]["template"]["spec"]["containers"]:
            assert {"startupProbe", "livenessProbe"} <= container.keys(), document["metadata"]["name"]
            names = {port["name"] for port in container["ports"]}
            probes = [container[probe] for probe in container if probe.endswith("Probe")]
            assert {(p.get("httpGet") or p["tcpSocket"])["port"] for p in probes} <= names


def test_only_who_asks_the_api_server_has_a_token(documents):
    holders = {name for name, _, spec in pods(documents) if spec["automountServiceAccountToken"]}
    assert {name.split("-")[1] for name in holders} <= {"operator", "admission", "gitops"}
    for account in of_kind(documents, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def test_every_pod_has_a_policy_for_both_directions(documents, variant):
    policies = [p["spec"] for p in of_kind(documents, "NetworkPolicy")]
    for name, labels, _ in pods(documents):
        mine = [p for p in policies if selects(p["podSelector"], labels)]
        directions = {direction for policy in mine for direction in policy["policyTypes"]}
        assert directions == {"Ingress", "Egress"} or variant == "ci/plain.yaml", name


def test_an_engine_without_a_password_is_asked_by_the_platform_alone():
    documents = objects("values-embedded.yaml")
    ports = {"cdl-pachd": {30650}, "cdl-determined": {8080}, "cdl-seldon": {8001}}
    for name, closed in ports.items():
        (policy,) = [p for p in of_kind(documents, "NetworkPolicy") if p["metadata"]["name"] == name]
        for rule in policy["spec"]["ingress"]:
            if closed & {port["port"] for port in rule["ports"]}:
                (peer,) = rule["from"]
                (chosen,) = peer["podSelector"]["matchExpressions"]
                assert all(value.startswith(("operator", "determined")) for value in chosen["values"])


def test_policies_name_ports_by_number_and_addresses_that_are_some(documents):
    for policy in of_kind(documents, "NetworkPolicy"):
        rules = [*policy["spec"].get("ingress", ()), *policy["spec"].get("egress", ())]
        assert all(isinstance(port["port"], int) for rule in rules for port in rule.get("ports", ()))
        for peer in (p for rule in rules for p in [*rule.get("from", ()), *rule.get("to", ())] if "ipBlock" in p):
            ipaddress.ip_network(peer["ipBlock"]["cidr"])


def test_every_service_leads_to_a_port_of_a_pod(documents):
    for service in of_kind(documents, "Service"):
        chosen = [spec for _, labels, spec in pods(documents) if service["spec"]["selector"].items() <= labels.items()]
        names = {port["name"] for spec in chosen for c in spec["containers"] for port in c.get("ports", ())}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names, service["metadata"]["name"]


def test_every_budget_leaves_one_and_none_blocks_a_drain(documents):
    copies = {d["metadata"]["name"]: d["spec"]["replicas"] for d in of_kind(documents, "Deployment")}
    for budget in of_kind(documents, "PodDisruptionBudget"):
        assert budget["spec"]["minAvailable"] == 1
        assert copies[budget["metadata"]["name"]] > 1


# --- secrets and settings


def test_no_password_is_written_down(documents):
    for name, variable in environments(documents):
        if any(word in variable["name"] for word in ("PASSWORD", "TOKEN", "SECRET", "CREDENTIAL")):
            assert "secretKeyRef" in variable.get("valueFrom", {}), (name, variable["name"])
    secrets = of_kind(documents, "Secret")
    assert {(secret["metadata"]["name"], secret["type"]) for secret in secrets} <= {
        ("cdl-admission-tls", "kubernetes.io/tls")
    }


def test_a_token_for_pachyderm_comes_from_its_secret_where_there_is_one():
    def shown(**pachyderm):
        documents = objects("values.yaml", engines={"pachyderm": pachyderm})
        return [v["valueFrom"]["secretKeyRef"] for _, v in environments(documents) if v["name"] == "CDL_PACHD_TOKEN"]

    assert shown() == []
    assert shown(credentials={"secret": "pachd-robot"}) == [{"name": "pachd-robot", "key": "token"}]
    assert shown(mode="embedded", credentials={"secret": "pachd-robot"}) == []


# --- rights and webhooks


def test_the_api_server_is_told_what_cdl_up_tells_it():
    documents = objects("values.yaml")
    (secret,) = of_kind(documents, "Secret")
    authority = base64.b64decode(secret["data"]["ca.crt"])
    wanted = webhooks.configurations(webhooks.at_service(render.NAMESPACE, "cdl-admission", authority))
    said = {d["kind"]: d["webhooks"] for d in documents if d["kind"].endswith("WebhookConfiguration")}
    assert said == {document["kind"]: document["webhooks"] for document in wanted}


def test_the_certificate_is_for_the_service_and_vouched_for_by_the_authority():
    (secret,) = of_kind(objects("values.yaml"), "Secret")
    authority, own = (
        x509.load_pem_x509_certificate(base64.b64decode(secret["data"][name])) for name in ("ca.crt", "tls.crt")
    )
    own.verify_directly_issued_by(authority)
    names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "cdl-admission.cdl-system.svc" in names.get_values_for_type(x509.DNSName)


def rights(documents):
    """Rules and bindings by kind, namespace and name, without labels."""
    kinds = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
    return {
        (d["kind"], d["metadata"].get("namespace"), d["metadata"]["name"]): [d.get("rules"), d.get("subjects")]
        for d in of_kind(documents, *kinds)
    }


def test_the_rights_are_those_of_the_table():
    assert rights(objects("values.yaml")) == rights(rbac.documents(render.NAMESPACE))


def test_the_rights_are_those_of_the_table_in_every_namespace_served():
    namespaces = ("team-one", "team-two")
    said = rights(objects("values.yaml", scope="Namespaced", namespaces=list(namespaces)))
    assert said == rights(rbac.documents(render.NAMESPACE, namespaces))


def test_a_limited_installation_takes_nothing_of_the_cluster_but_admission():
    documents = objects("ci/namespaced.yaml")
    assert {d["metadata"]["name"] for d in of_kind(documents, "ClusterRole")} == {"cdl-admission-cdl-system"}
    (binding,) = [d for d in of_kind(documents, "RoleBinding") if d["metadata"]["name"] == "cdl-data-scientist-0"]
    assert binding["roleRef"]["kind"] == "Role"


# --- what values do


def arguments(documents):
    found = {}
    for name, _, spec in pods(documents):
        if name.startswith("cdl-operator"):
            found[name] = spec["containers"][0]["args"]
    return found


def test_an_engine_that_is_off_leaves_its_kind_alone():
    assert arguments(objects("ci/plain.yaml")) == {"cdl-operator": ["DataPipeline"]}


def test_each_kind_may_have_a_deployment_of_its_own():
    kinds = ("DataPipeline", "Experiment", "ModelDeployment")
    assert arguments(objects("ci/several.yaml")) == {f"cdl-operator-{kind.lower()}": [kind] for kind in kinds}


def test_images_come_from_the_registry_that_is_named():
    images = {c["image"] for _, _, spec in pods(objects("ci/several.yaml")) for c in spec["containers"]}
    assert images == {"registry.example:5000/team/cdl/operator:1.2.3"}


def test_the_one_card_goes_to_the_trials():
    documents = objects("values-microk8s-gpu.yaml")
    holders = {
        name: spec
        for name, _, spec in pods(documents)
        if any("nvidia.com/gpu" in c["resources"]["limits"] for c in spec["containers"])
    }
    (spec,) = holders.values()
    assert list(holders) == ["cdl-determined"]
    assert spec["runtimeClassName"] == "nvidia"
    assert spec["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert "--slots=1" in spec["containers"][0]["args"]
    (claim,) = of_kind(documents, "PersistentVolumeClaim")
    assert claim["spec"]["storageClassName"] == "microk8s-hostpath"
    ports = [p["nodePort"] for s in of_kind(documents, "Service") for p in s["spec"]["ports"] if "nodePort" in p]
    assert ports == [30803]


def test_external_engines_are_what_the_microk8s_file_can_be_changed_to():
    both = values_of("values-microk8s-gpu.yaml")
    external = values_of("values-external.yaml")
    merged = {**both, "engines": {n: {**both["engines"][n], **external["engines"][n]} for n in both["engines"]}}
    documents = objects("values.yaml", **merged)
    assert of_kind(documents, "StatefulSet") == []


# --- the history


def test_where_the_history_is_kept_comes_from_a_secret_and_only_where_there_is_one():
    def shown(**database):
        documents = objects("values.yaml", database=database)
        (spec,) = (spec for name, _, spec in pods(documents) if name == "cdl-operator")
        told = {
            v["name"]: v["valueFrom"]["secretKeyRef"]["key"] for v in spec["containers"][0]["env"] if "valueFrom" in v
        }
        return told.get("CDL_DATABASE"), spec.get("initContainers", [])

    assert shown() == (None, [])
    assert shown(secret="history") == ("url", [])
    key, (tables,) = shown(secret="history", ownerKey="owner")
    assert key == "url"
    told = {v["name"]: v["valueFrom"]["secretKeyRef"] for v in tables["env"] if "valueFrom" in v}
    assert told == {
        "CDL_DATABASE": {"name": "history", "key": "url"},
        "CDL_DATABASE_OWNER": {"name": "history", "key": "owner"},
    }
    assert (tables["command"], tables["args"]) == (["cdl"], ["audit", "prepare"])
    assert tables["securityContext"]["readOnlyRootFilesystem"]


def test_the_operator_itself_never_sees_who_may_change_the_tables():
    documents = objects("ci/several.yaml")
    assert "CDL_DATABASE" in {variable["name"] for _, variable in environments(documents)}
    assert "CDL_DATABASE_OWNER" not in {variable["name"] for _, variable in environments(documents)}


def test_the_operator_may_reach_the_database_that_it_was_given():
    def reached(**values):
        policies = of_kind(objects("values.yaml", **values), "NetworkPolicy")
        (policy,) = (p for p in policies if p["metadata"]["name"] == "cdl-operator")
        return {port["port"] for rule in policy["spec"]["egress"] for port in rule.get("ports", ())}

    assert reached(database={"secret": "history", "port": 6432}) - reached() == {6432}


def test_the_key_that_signs_is_mounted_from_its_secret():
    (spec,) = (
        s for name, _, s in pods(objects("values.yaml", signing={"secret": "cdl-key"})) if name == "cdl-operator"
    )
    container = spec["containers"][0]
    (address,) = (v["value"] for v in container["env"] if v["name"] == "CDL_SIGNING_KEY")
    (mount,) = (m for m in container["volumeMounts"] if m["name"] == "signing")
    assert address == f"{mount['mountPath']}/release.pem"
    assert mount["readOnly"]
    (volume,) = (v for v in spec["volumes"] if v["name"] == "signing")
    assert volume["secret"]["secretName"] == "cdl-key"
