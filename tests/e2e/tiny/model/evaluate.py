"""Measure the words on notes nobody trained on."""

import words


def chosen(known, text):
    """Name the most probable class."""
    shares = words.probabilities(known, text)
    return words.CLASSES[shares.index(max(shares))]


def evaluate(checkpoint, data):
    """Give accuracy and recall of each class."""
    known, notes = words.load(checkpoint), words.read(data)
    answers = [
        (words.CLASSES[p.index(max(p))], label) for text, label in notes for p in [words.probabilities(known, text)]
    ]
    per_class = {}
    for name in words.CLASSES:
        mine = [answer == label for answer, label in answers if label == name]
        per_class[name] = {"recall": sum(mine) / len(mine), "support": len(mine)}
    correct = "".join("1" if answer == label else "0" for answer, label in answers)
    told = {"perClass": per_class, "classes": list(words.CLASSES), "n": len(answers), "correct": correct}
    return {"metrics": {"accuracy": correct.count("1") / len(answers)}, **told}
