"""A store that says how often it was written, for who settles a world in it."""

from cdl.local import LocalStore


class Counted(LocalStore):
    """A local store that says how often it was written."""

    @property
    def writes(self):
        return self.changed_since(0)[0]
