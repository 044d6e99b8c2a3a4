"""The one error of this kit whose text is meant for people."""


class TrainingError(Exception):
    """Something the author of a trial or of an experiment can put right; the text says what."""
