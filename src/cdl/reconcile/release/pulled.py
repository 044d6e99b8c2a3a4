"""What stands beside a release that was pulled: how to load it, with what, and the digest of every file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .card import model_card
from .card_text import markdown
from .statement import member

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .papers import Papers

OURS = "cdl"


def requirements(papers: Papers) -> str:
    """Name everything that was installed where the model was measured, as pip reads it."""
    lock = papers.lock
    head = f"# installed where it was measured: Python {lock.get('python')}, {lock.get('platform')}"
    lines = [f"{name}=={version}" for name, version in sorted(papers.packages.items()) if name != OURS]
    return "\n".join((head, "# a version with a + comes from an index of its own, as PyTorch's +cpu does", *lines, ""))


def sums(files: Mapping[str, str]) -> str:
    """Write digests as `sha256sum -c` reads them."""
    return "".join(f"{sha256}  {path}\n" for path, sha256 in sorted(files.items()))


def card(papers: Papers) -> str:
    """Write the model card."""
    return markdown(model_card(papers))


def readme(papers: Papers, *, imports_ours: bool) -> str:
    """Say what lies here and how to load it."""
    spec = papers.release.spec
    serve = member(papers.release, "code", "serve")
    python = papers.lock.get("python") or member(papers.release, "environment").get("python") or "the same Python"
    ours = (
        f"The code that answers imports `cdl`: install version {papers.builder_version} of it, too.\n"
        if imports_ours
        else "Nothing of cdl is needed, and no platform has to run.\n"
    )
    how = LOADING.format(python=python, ours=ours) if serve else "It has no code that answers: only weights.\n"
    standing = "Approved" if papers.release.approved else "NOT approved: read CARD.md before you use it"
    return README.format(model=spec.model, version=spec.version, digest=spec.digest, standing=standing, how=how)


README = """# {model}@{version}

{standing}. Digest of all members: `{digest}`

{how}
| path | what |
|---|---|
| `checkpoint/` | the weights, each file verified by the digest that the release has for it |
| `code/serve/`, `code/model/` | the code that answers, and the code that trained |
| `requirements.txt` | everything that was installed where it was measured |
| `release.json` | the release itself: data, code, run, evaluation and environment by their digests |
| `documents/` | the whole configuration, the evaluator's report, the lock, signed statements as far as there are |
| `CARD.md` | what it was measured to do, its limits |
| `SHA256SUMS` | of every file: `sha256sum -c SHA256SUMS` |
"""
LOADING = """With Python {python}:

```sh
python -m venv .venv && .venv/bin/pip install -r requirements.txt
.venv/bin/python load.py FILE.txt
```

```python
from load import load

model = load()  # checks every file first
```

The class is called as its server calls it: `model.predict(batch, names)`. {ours}"""
