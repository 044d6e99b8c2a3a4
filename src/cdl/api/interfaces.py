"""Interfaces for labelling, made of a list of choices, in Label Studio's XML."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

if TYPE_CHECKING:
    from collections.abc import Sequence

TEMPLATES = {"text-classification": ("Text", "text"), "image-classification": ("Image", "image")}
"""Each with the tag that shows an item, and the field of a task that it shows."""
QUESTION = "label"
"""What the one question is called; of several in somebody's own interface, the one of this name counts."""
SEVERAL = ";"
"""Parts choices that were made at once."""
LONGEST = 500
"""Characters of a choice."""


def interface(template: str, choices: Sequence[str]) -> str:
    """Give the interface that asks which of these choices an item is.

    Raises:
        ValueError: there is no such template, or the choices are none; the text is one sentence.
    """
    if template not in TEMPLATES:
        raise ValueError(f"template: found {template!r}, allowed: {', '.join(TEMPLATES)}")
    if len(choices) < 2:
        raise ValueError(f"choices: found {len(choices)}, allowed: two or more")
    for number, choice in enumerate(choices):
        if fault := fault_of(choice):
            raise ValueError(f"choices[{number}]: found {choice[:LONGEST]!r}, {fault}")
        if choice in choices[:number]:
            raise ValueError(f"choices[{number}]: found {choice!r} a second time")
    tag, field = TEMPLATES[template]
    asked = "\n".join(f"    <Choice value={quoteattr(choice)}/>" for choice in choices)
    return (
        f'<View>\n  <{tag} name="{field}" value="${field}"/>\n'
        f'  <Choices name="{QUESTION}" toName="{field}" choice="single" showInLine="true">\n'
        f"{asked}\n  </Choices>\n</View>"
    )


def fault_of(choice: str) -> str:
    """Say why something can be no label; nothing when it can."""
    if not choice.strip():
        return "and a label says something"
    if choice != choice.strip():
        return "and a label has no blanks around it"
    if len(choice) > LONGEST:
        return f"and a label has at most {LONGEST} characters"
    if SEVERAL in choice:
        return "and a semicolon parts several labels"
    if any(unicodedata.category(one) in {"Cc", "Cs", "Cn", "Zl", "Zp"} for one in choice):
        return "and a label has no control characters"
    return ""
