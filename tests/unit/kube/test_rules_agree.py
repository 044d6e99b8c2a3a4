"""One rule, one sentence: from the model, and from the expression that a current API server evaluates."""

from __future__ import annotations

from copy import deepcopy

import pytest
from pydantic import ValidationError

from cdl.api.refusal import explain
from cdl.api.rules import RULES, STAYS, changed
from cdl.api.v1alpha1 import KINDS
from cdl.kube.crds import RULES_WORD, schema
from cdl.kube.rules import broken, evaluated
from tests.unit.kube.rule_examples import CHANGES, EXAMPLES


def in_model(document):
    try:
        KINDS[document["kind"]].read(document)
    except ValidationError as error:
        return explain(error)
    return ()


@pytest.mark.parametrize(("document", "path", "message"), EXAMPLES.values(), ids=EXAMPLES)
def test_models_and_expressions_agree(document, path, message):
    told, evaluated = in_model(document), broken(document["kind"], document)
    if not message:
        assert (told, evaluated) == ((), ())
        return
    assert evaluated == (f"{path}: {message}",)
    assert len(told) == 1
    assert told[0].startswith(f"{path}: ")
    assert told[0].endswith(message)


@pytest.mark.parametrize(("old", "new", "path", "message"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_judged_by_what_was(old, new, path, message):
    refused = (f"{path}: {message}",) if message else ()
    for judge in (broken, evaluated):
        assert judge(new["kind"], new) == ()
        assert judge(new["kind"], new, old) == refused
        assert judge(new["kind"], new, new) == ()
    assert changed(new["kind"], new, old) == refused


def rules_in(node):
    yield from (rule["message"] for rule in node.get(RULES_WORD, ()))
    for child in node.get("properties", {}).values():
        yield from rules_in(child)
    for below in ("items", "additionalProperties"):
        if isinstance(node.get(below), dict):
            yield from rules_in(node[below])


@pytest.mark.parametrize("kind", KINDS)
def test_every_rule_is_broken_by_an_example(kind):
    refused = [m for d, _, m in EXAMPLES.values() if d["kind"] == kind]
    refused += [m for _, new, _, m in CHANGES.values() if new["kind"] == kind]
    there = list(rules_in(schema(KINDS[kind], rules=True)))
    assert {m for m in refused if m} == set(there)
    assert len(there) <= len([m for m in refused if m])


def test_the_definitions_carry_every_rule_and_older_servers_get_none():
    for kind, model in KINDS.items():
        there = list(rules_in(schema(model, rules=True)))
        assert {rule.message for rule in RULES if rule.kind == kind} <= set(there)
        assert list(rules_in(schema(model))) == []


def test_a_rule_about_updates_is_known_by_its_expression():
    """Stores without CEL know what this one expression means, at a place that is no item of a list."""
    about = [rule for rule in RULES if rule.about_updates]
    assert [rule.place for rule in about] == ["spec.model.name", "spec"]
    assert {rule.expression for rule in about} == {STAYS}


def test_an_item_of_a_list_is_found_again_by_its_key():
    """No rule of ours compares items yet; the way there must be right before one does."""
    from cdl.kube import rules

    node = {
        "items": {"properties": {"name": {}, "seed": {RULES_WORD: [{"rule": "self == oldSelf", "message": "stays"}]}}},
        "x-kubernetes-list-map-keys": ["name"],
    }
    old = [{"name": "a", "seed": 1}, {"name": "b", "seed": 2}]
    new = [{"name": "b", "seed": 2}, {"name": "c", "seed": 9}, {"name": "a", "seed": 3}]

    def told(node):
        return [
            path
            for path, below, value, before in rules._walk(node, deepcopy(new), old, "x")
            for rule in below.get(RULES_WORD, ())
            if not rules._holds(rule["rule"], value, before)
        ]

    assert told(node) == ["x[2].seed"]
    assert told({"items": node["items"]}) == []
