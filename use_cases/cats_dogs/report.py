"""Write the paper's tables 2 to 7 anew, its own figures beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from network import Row
    from paper import Trained

TABLES = (
    ("scratch", 3, "Experiment 1: training from scratch", (2_884_001, 2_884_001, 0)),
    ("weights", 4, "Experiment 2: training with trained weights", (2_884_001, 2_884_001, 0)),
    ("freeze", 5, "Experiment 3: training with frozen convolution layers", (2_884_001, 2_786_561, 97_440)),
)
PAPER = {
    ("base", 30): (0.7928, 0.4454),
    ("scratch", 30): (0.7967, 0.4328),
    ("weights", 1): (0.7837, 0.4603),
    ("freeze", 1): (0.7893, 0.4438),
}
NAMES = {
    "base": "base network",
    "scratch": "from scratch",
    "weights": "loading trained weights",
    "freeze": "freezing the convolution layers",
}


def written(told: Mapping[str, Any], runs: Mapping[str, Trained], rows: Sequence[Row]) -> str:
    """Write the report."""
    parts = [
        "# Transfer learning on cats and dogs, as the paper has it\n",
        _scale(told, runs),
        "## Table 2: the network\n",
        _table(
            ("layer", "output size", "channels", "kernel", "parameters"),
            [(r.layer, r.size, r.channels or "-", r.kernel or "-", f"{r.parameters:,}") for r in rows],
        ),
        f"Total: {sum(r.parameters for r in rows):,}.\n",
    ]
    for name, number, title, paper in TABLES:
        found = runs[name].parameters
        ours = (found.total, found.trainable, found.frozen)
        parts.append(f"## Table {number}: {title}\n")
        lines = zip(("total", "trainable", "frozen"), ours, paper, strict=True)
        parts.append(_table(("parameters", "here", "paper"), [(n, f"{o:,}", f"{p:,}") for n, o, p in lines]))
    parts.append("The paper prints 2,872,001 in its table 4, which does not fit its own table 2.\n")
    last = len(runs["base"].history["loss"])
    parts += [
        "## Table 6: base network and experiment 1 after the same epochs\n",
        _figures(runs, [("base", last), ("scratch", last)]),
        "## Table 7: base network at its end, experiments 2 and 3 after one epoch\n",
        _figures(runs, [("base", last), ("weights", 1), ("freeze", 1), ("scratch", 1)]),
        "## What it shows\n",
        _findings(runs),
        *(f"![figure {number}](figure-{number}.svg)\n" for number in range(8, 13)),
    ]
    return "\n".join(parts)


def _scale(told: Mapping[str, Any], runs: Mapping[str, Trained]) -> str:
    scale, sizes = told["scale"], told["sizes"]
    (base, base_validation), (other, other_validation) = sizes["base"], sizes["transfer"]
    seconds = sum(one.seconds for one in runs.values())
    return (
        f"Scale: base {base} + {base_validation} pictures, transfer {other} + {other_validation}; the paper has "
        f"8,000 + 2,000 in each. {scale['side']}x{scale['side']} pixels. Epochs {', '.join(map(str, scale['epochs']))} "
        f"(paper: 30, 50, 20, 20). Adam, learning rate {scale['learning_rate']:g}, batches of {scale['batch_size']}; "
        f"the paper names none of these. Seed {scale['seed']}, one run each. {told['machine']}, {seconds:.0f} s of "
        "training.\n"
    )


def _figures(runs: Mapping[str, Trained], wanted: Sequence[tuple[str, int]]) -> str:
    lines = []
    for name, epoch in wanted:
        history = runs[name].history
        at = min(epoch, len(history["loss"])) - 1
        paper = PAPER.get((name, epoch))
        lines.append(
            (
                NAMES[name],
                at + 1,
                *(f"{history[key][at]:.4f}" for key in ("accuracy", "loss", "val_accuracy", "val_loss")),
                f"{paper[0]:.4f}, {paper[1]:.4f}" if paper else "-",
            )
        )
    heads = ("model", "epoch", "accuracy", "loss", "validation accuracy", "validation loss", "paper: accuracy, loss")
    return _table(heads, lines)


def _findings(runs: Mapping[str, Trained]) -> str:
    """Say of each sentence of the paper whether this run bears it out."""
    base, scratch, weights, freeze = (runs[name].history for name in ("base", "scratch", "weights", "freeze"))
    first = {name: history["accuracy"][0] for name, history in (("E1", scratch), ("E2", weights), ("E3", freeze))}
    gains = {name: h["accuracy"][-1] - h["accuracy"][0] for name, h in (("E2", weights), ("E3", freeze))}
    ends = {
        name: max(h["val_accuracy"][: len(weights["loss"])])
        for name, h in (("E1", scratch), ("E2", weights), ("E3", freeze))
    }
    said = [
        (
            "Both warm starts are ahead of scratch after one epoch",
            min(first["E2"], first["E3"]) > first["E1"],
            ", ".join(f"{name} {value:.3f}" for name, value in first.items()),
        ),
        (
            "After one epoch they are where the base network ended (within 0.05 of its training accuracy)",
            min(first["E2"], first["E3"]) > base["accuracy"][-1] - 0.05,
            f"base {base['accuracy'][-1]:.3f}, its validation {base['val_accuracy'][-1]:.3f}",
        ),
        (
            "Loading weights gains more afterwards than freezing",
            gains["E2"] > gains["E3"],
            ", ".join(f"{name} +{value:.3f}" for name, value in gains.items()),
        ),
        (
            "On validation too both are ahead of scratch within the same epochs",
            min(ends["E2"], ends["E3"]) > ends["E1"],
            ", ".join(f"{name} {value:.3f}" for name, value in ends.items()),
        ),
    ]
    return _table(
        ("sentence", "here", "figures"), [(s, "holds" if true else "does not hold", f) for s, true, f in said]
    )


def _table(heads: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    parts = [heads, ["---"] * len(heads), *lines]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in parts)
