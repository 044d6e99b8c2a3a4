"""What the chart makes of a repository that is followed; test_chart_install lets it follow one."""

import helm_python as helm
import pytest
from charts import render
from charts.render import CHART

from cdl.cli.gitops import command
from cdl.kube import rbac
from cdl.settings import Settings
from tests.architecture.tree import ROOT
from tests.kube.chart import environments, objects, of_kind, pods, values_of

FORGE = {"url": "https://gitlab.example:8929", "projects": ["team/news"], "tokenSecret": {"name": "cdl-forge"}}
PLAIN = {"name": "news", "repo": "https://gitlab.example/team/news.git", "namespace": "news"}
CLUSTER = {"ClusterRole", "ClusterRoleBinding"}


def following(*repositories, **more):
    return objects("values.yaml", gitops={"repositories": list(repositories)}, **more)


def of(documents, name):
    """The pod of a repository."""
    (spec,) = (spec for who, _, spec in pods(documents) if who == f"cdl-gitops-{name}")
    return spec


def words(documents, name):
    (container,) = of(documents, name)["containers"]
    assert container["command"] == ["cdl"]
    return container["args"]


def test_nothing_is_followed_unless_somebody_says_so():
    assert [d for d in objects("values.yaml") if "gitops" in d["metadata"]["name"]] == []


def test_the_program_understands_what_it_is_told():
    documents = objects("ci/gitops.yaml")
    for entry in values_of("ci/gitops.yaml")["gitops"]["repositories"]:
        verb, *options = words(documents, entry["name"])
        told = command.make_context(verb, list(options)).params
        assert verb == command.name
        assert {name: told[name] for name in ("repo", "namespace", "name")} == {
            name: entry[name] for name in ("repo", "namespace", "name")
        }
        wished = {"branch": "main", "path": ".", "interval": "30s", "prune": True, "drift": "correct"}
        assert {name: told[name] for name in wished} == {name: entry.get(name, wished[name]) for name in wished}
        assert (told["webhook"], bool(told["git_token_file"])) == (
            ("0.0.0.0:8090", True) if "webhookToken" in entry else ("", False)
        )


def test_every_setting_it_is_told_is_one():
    known = {f"CDL_{name.upper()}" for name in Settings.model_fields} | {"HOME"}
    told = {v["name"] for name, v in environments(objects("ci/gitops.yaml")) if name.startswith("cdl-gitops")}
    assert told - known == set()
    assert "CDL_IN_CLUSTER" in told


def forge_of(documents, name):
    """What the pods of a Deployment are told of the forge."""
    told = [v for who, v in environments(documents) if who == name and v["name"].startswith("CDL_FORGE")]
    return {v["name"]: v["value"] if "value" in v else v["valueFrom"]["secretKeyRef"] for v in told}


def test_the_operator_and_who_reports_know_the_forge_and_nobody_else():
    entry = {**PLAIN, "forgeProject": "team/news"}
    roles = {"validator": "maintainer", "lawyer": ""}
    documents = following(entry, {**PLAIN, "name": "other"}, forge={**FORGE, "roles": roles})
    known = forge_of(documents, "cdl-operator").pop("CDL_FORGE_APPLIERS")
    assert known == "system:serviceaccount:cdl-system:cdl-gitops-news", "whoever else says so is not believed"
    told = {
        "CDL_FORGE": "https://gitlab.example:8929",
        "CDL_FORGE_PROJECTS": "team/news",
        "CDL_FORGE_ROLES": "lawyer=,validator=maintainer",
        "CDL_FORGE_TOKEN": {"name": "cdl-forge", "key": "token"},
    }
    operator = {**told, "CDL_FORGE_APPLIERS": known}
    knowing = {name: found for name, _, _ in pods(documents) if (found := forge_of(documents, name))}
    assert knowing == {"cdl-operator": operator, "cdl-gitops-news": told}
    plain = {name.removeprefix("CDL_").lower(): value for name, value in told.items() if isinstance(value, str)}
    assert Settings(**plain).roles == {"validator": "maintainer"}
    assert Settings(**plain).lent_to == ("team/news",)


def test_a_pipeline_is_believed_about_commits_where_it_is_named():
    pipeline = "system:serviceaccount:news:pipeline"
    assert forge_of(following(forge=FORGE), "cdl-operator")["CDL_FORGE_APPLIERS"] == ""
    entry = {**PLAIN, "forgeProject": "team/news"}
    told = forge_of(following(entry, forge={**FORGE, "appliers": [pipeline]}), "cdl-operator")
    assert Settings(forge_appliers=told["CDL_FORGE_APPLIERS"]).appliers == (
        pipeline,
        "system:serviceaccount:cdl-system:cdl-gitops-news",
    )


def test_merge_requests_are_understood_as_well():
    entry = {**PLAIN, "forgeProject": "team/news", "mergeRequests": True, "previews": 3}
    verb, *options = words(following(entry, forge=FORGE), "news")
    told = command.make_context(verb, list(options)).params
    assert (told["forge_project"], told["merge_requests"], told["most"]) == ("team/news", True, 3)


def test_tokens_are_files_of_secrets_that_lie_where_they_are_looked_for():
    spec = of(objects("ci/gitops.yaml"), "news")
    (container,) = spec["containers"]
    told = command.make_context("gitops", list(container["args"][1:])).params
    mounted = {m["mountPath"]: m for m in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    kept = {"git_token_file": ("cdl-git-news", "token"), "webhook_token_file": ("cdl-webhook-news", "secret")}
    for option, (secret, key) in kept.items():
        mount = mounted[str(told[option].parent)]
        assert mount["readOnly"]
        found = volumes[mount["name"]]["secret"]
        assert (found["secretName"], found["items"]) == (secret, [{"key": key, "path": told[option].name}])
    plain = of(objects("ci/gitops.yaml"), "clothes")
    assert [volume for volume in plain["volumes"] if "secret" in volume] == []


def test_of_the_shared_volume_it_sees_the_packed_code_where_the_operator_sees_it():
    documents = objects("ci/gitops.yaml")
    (container,) = of(documents, "news")["containers"]
    (mount,) = [m for m in container["volumeMounts"] if m["name"] == "home"]
    (operator,) = (spec for name, _, spec in pods(documents) if name == "cdl-operator")
    (whole,) = [m for m in operator["containers"][0]["volumeMounts"] if m["name"] == "home"]
    assert mount["mountPath"] == f"{whole['mountPath']}/{mount['subPath']}"
    home = {v["name"]: v.get("value") for v in container["env"]}["CDL_HOME"]
    assert mount["mountPath"] == f"{home}/artifacts"
    (copy,) = [m for m in container["volumeMounts"] if m["mountPath"] == home]
    assert {v["name"]: v for v in of(documents, "news")["volumes"]}[copy["name"]]["emptyDir"]


def rights(documents, name):
    return {
        (d["kind"], d["metadata"].get("namespace"), d["metadata"]["name"]): [d.get("rules"), d.get("subjects")]
        for d in of_kind(documents, "Role", "RoleBinding", *CLUSTER)
        if d["metadata"]["name"] == f"cdl-gitops-{name}"
    }


def test_the_rights_are_those_of_the_table_in_its_namespace_alone():
    documents = following(PLAIN, {**PLAIN, "name": "other", "namespace": "clothes"})
    for name, namespace in (("news", "news"), ("other", "clothes")):
        found = rights(documents, name)
        assert found == rights(rbac.followed(name, namespace, render.NAMESPACE), name)
        assert {(kind, where) for kind, where, _ in found} == {("Role", namespace), ("RoleBinding", namespace)}
    accounts = {d["metadata"]["name"] for d in of_kind(documents, "ServiceAccount")}
    assert {"cdl-gitops-news", "cdl-gitops-other"} <= accounts


def test_only_merge_requests_take_rights_of_the_whole_cluster():
    entry = {**PLAIN, "forgeProject": "team/news", "mergeRequests": True}
    found = rights(following(entry, forge=FORGE), "news")
    assert found == rights(rbac.followed("news", "news", render.NAMESPACE, previews=True), "news")
    assert {kind for kind, _, _ in found} == CLUSTER


def test_a_webhook_has_a_service_and_a_door_and_without_one_nobody_gets_in():
    documents = objects("ci/gitops.yaml")
    services = {d["metadata"]["name"]: d["spec"] for d in of_kind(documents, "Service")}
    assert services["cdl-gitops-news"]["ports"] == [
        {"name": "webhook", "port": 80, "targetPort": "webhook", "protocol": "TCP"}
    ]
    assert "cdl-gitops-clothes" not in services
    policies = {d["metadata"]["name"]: d["spec"] for d in of_kind(documents, "NetworkPolicy")}
    counts, knocks = ([{"port": port, "protocol": "TCP"}] for port in (8080, 8090))
    assert [rule["ports"] for rule in policies["cdl-gitops-clothes"]["ingress"]] == [counts]
    assert [rule["ports"] for rule in policies["cdl-gitops-news"]["ingress"]] == [counts, knocks]


@pytest.mark.parametrize(
    ("repo", "forge", "port"),
    [("https://git.example/a.git", {}, 443), ("http://git.example/a.git", {}, 80),
     ("https://git.example:8443/a/b.git", {}, 8443), ("https://git.example/a.git", FORGE, 8929)],
)  # fmt: skip
def test_it_reaches_its_repository_the_forge_and_the_api_server(repo, forge, port):
    entry = {**PLAIN, "repo": repo} | ({"forgeProject": "team/news"} if forge else {})
    policies = of_kind(following(entry, **({"forge": forge} if forge else {})), "NetworkPolicy")
    (policy,) = (p for p in policies if p["metadata"]["name"] == "cdl-gitops-news")
    reached = {found["port"] for rule in policy["spec"]["egress"] for found in rule["ports"]}
    assert {port, 53, 443, 6443, 16443} <= reached
    assert len(reached) <= 6
    (policy,) = (p for p in policies if p["metadata"]["name"] == "cdl-operator")
    asked = {found["port"] for rule in policy["spec"]["egress"] for found in rule["ports"]}
    assert (8929 in asked) == bool(forge)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"gitops": {"repositories": [{**PLAIN, "mergeRequests": True}]}}, "news: mergeRequests needs forgeProject"),
        ({"gitops": {"repositories": [{**PLAIN, "forgeProject": "a/b"}]}, "forge": FORGE},
         "news: forgeProject a/b is none of forge.projects"),
        ({"gitops": {"repositories": [PLAIN]}, "scope": "Namespaced", "namespaces": ["one"]},
         "news: namespace news is none of those served"),
        ({"gitops": {"repositories": [{**PLAIN, "forgeProject": "team/news", "mergeRequests": True}]}, "forge": FORGE,
          "scope": "Namespaced", "namespaces": ["news"]}, "news: mergeRequests makes namespaces, which needs scope"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_said(values, sentence):
    with pytest.raises(helm.HelmError, match=sentence):
        render.rendering(values)


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"gitops": {"repositories": [{"name": "news", "namespace": "news"}]}}, "/gitops/repositories/0"),
        ({"gitops": {"repositories": [{**PLAIN, "repo": "git@host:a.git"}]}}, "/gitops/repositories/0/repo"),
        ({"gitops": {"repositories": [{**PLAIN, "repo": "https://me:pw@host/a"}]}}, "/gitops/repositories/0/repo"),
        ({"gitops": {"repositories": [{**PLAIN, "name": "News"}]}}, "/gitops/repositories/0/name"),
        ({"gitops": {"repositories": [{**PLAIN, "branch": "--upload-pack=x"}]}}, "/gitops/repositories/0/branch"),
        ({"gitops": {"repositories": [{**PLAIN, "path": "/etc"}]}}, "/gitops/repositories/0/path"),
        ({"gitops": {"repositories": [{**PLAIN, "interval": "soon"}]}}, "/gitops/repositories/0/interval"),
        ({"gitops": {"repositories": [{**PLAIN, "gitToken": {"token": "glpat-x"}}]}}, "/repositories/0/gitToken"),
        ({"forge": {"url": "gitlab.example"}}, "/forge/url"),
        ({"forge": {"url": "https://gitlab.example"}}, "/forge/projects"),
        ({"forge": {**FORGE, "tokenSecret": {"name": ""}}}, "/forge/tokenSecret/name"),
        ({"forge": {**FORGE, "roles": {"validator": "a,b=c"}}}, "/forge/roles/validator"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused(values, path):
    with helm.Chart.load(CHART) as chart, pytest.raises(helm.HelmValuesError) as refusal:
        chart.validate_schema(chart.merge_values(values))
    assert path in str(refusal.value).replace(".", "/")


def test_its_image_has_git():
    text = (ROOT / "docker" / "operator.Dockerfile").read_text()
    last = text.rpartition("\nFROM ")[2]
    assert "install --yes --no-install-recommends ca-certificates git" in last
    (container,) = of(objects("ci/gitops.yaml"), "news")["containers"]
    assert container["image"].startswith("cdl/operator:")
