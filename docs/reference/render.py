"""Writes the reference pages again from the code: `make generate`. A test compares them with what lies in git."""

import ast
import inspect
import json
from functools import partial
from itertools import pairwise
from pathlib import Path

import click
from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from cdl import cli
from cdl.api import conditions
from cdl.reconcile.plan import stage
from cdl.reconcile.release.diff import ReleaseDiff
from cdl.settings import Settings

HERE = Path(__file__).parent
MADE = "<!-- Made from {source} by `make generate`; change that. -->\n"


def explained(enumeration: type) -> list[tuple[str, str]]:
    """Each member's value with the sentence that stands below it."""
    (definition,) = ast.parse(inspect.getsource(enumeration)).body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    rows = []
    for member, sentence in pairwise(body):
        match member, sentence:
            case ast.Assign(value=ast.Constant(value=str(value))), ast.Expr(value=ast.Constant(value=str(text))):
                rows.append((value, " ".join(text.split())))
    return rows


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def conditions_page() -> str:
    """What a resource may say of itself."""
    kinds = [(f"`{value}`", text) for value, text in explained(conditions.ConditionType)]
    reasons = [(f"`{value}`", text) for value, text in explained(conditions.Reason)]
    return (
        f"# Conditions and reasons\n\n{MADE.format(source='src/cdl/api/conditions.py')}\n"
        "`Ready` is worked out from the others. `Reconciling` and `Stalled` are there only while they hold.\n\n"
        f"## Conditions\n\n{table(('condition', 'what it claims'), kinds)}\n"
        f"## Reasons\n\n{table(('reason', 'what happened'), reasons)}"
    )


def settings_page() -> str:
    """What cdl may be told from outside."""
    prefix = Settings.model_config.get("env_prefix", "")

    def default(field: FieldInfo) -> str:
        if field.default_factory is not None:
            return "depends on the machine"
        return "" if field.default in ("", None) else f"`{field.default}`"

    rows = [
        (f"`{prefix}{name.upper()}`", default(field), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return (
        f"# Settings\n\n{MADE.format(source='src/cdl/settings.py')}\n"
        f"Environment variables, read once by each command.\n\n{table(('variable', 'default', 'meaning'), rows)}"
    )


def commands_page() -> str:
    """What a person may type."""
    parts = [f"# Commands\n\n{MADE.format(source='src/cdl/cli')}"]
    group = cli.main
    context = click.Context(group, info_name="cdl")
    for verb in group.list_commands(context):
        command = group.get_command(context, verb)
        if command is None:
            continue
        inner = click.Context(command, info_name=verb, parent=context)
        usage = " ".join(command.collect_usage_pieces(inner))
        parts.append(f"\n## cdl {verb}\n\n`cdl {verb} {usage}`\n\n{inspect.cleandoc(command.help or '')}\n")
        options = [option for option in command.params if isinstance(option, click.Option)]
        records = [record for option in options if (record := option.get_help_record(inner))]
        if records:
            rows = [(f"`{names}`", text) for names, text in records]
            parts.append(f"\n{table(('option', 'meaning'), rows)}")
    return "".join(parts)


def plan_page() -> str:
    """What `cdl plan -o json` says."""
    verdicts = [(f"`{value}`", text) for value, text in explained(stage.Verdict)]
    changes = [(f"`{value}`", text) for value, text in explained(stage.Change)]
    head = (
        f"# Plan as JSON\n\n{MADE.format(source='src/cdl/reconcile/plan/stage.py')}\n"
        "What `cdl plan FOLDER -o json` prints; what is absent is left out. [How to use it](../how-to/plan.md);"
        " [types and all, as a JSON schema](plan.schema.json).\n"
    )
    parts = [head]
    for model in (stage.Plan, stage.ResourcePlan, stage.Stage, stage.Estimate):
        rows = [(f"`{field.alias or name}`", field.description or "") for name, field in fields_of(model)]
        parts.append(f"\n## {model.__name__}\n\n{table(('field', 'meaning'), rows)}")
    parts.append(f"\n## verdict\n\n{table(('value', 'meaning'), verdicts)}")
    parts.append(f"\n## change\n\n{table(('value', 'meaning'), changes)}")
    return "".join(parts)


def fields_of(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    """The fields of a model, by the names that JSON has."""
    return [(to_camel(name), field) for name, field in model.model_fields.items()]


def schema_of(model: type[BaseModel]) -> str:
    """The JSON schema of what a verb prints."""
    return json.dumps(model.model_json_schema(by_alias=True, mode="serialization"), indent=2) + "\n"


PAGES = {
    "conditions.md": conditions_page,
    "settings.md": settings_page,
    "commands.md": commands_page,
    "plan.md": plan_page,
    "plan.schema.json": partial(schema_of, stage.Plan),
    "diff.schema.json": partial(schema_of, ReleaseDiff),
}

if __name__ == "__main__":
    for name, render in PAGES.items():
        (HERE / name).write_text(render())
