import pytest

from tests.unit.gitops.gitops_rig import Previewed
from tests.unit.gitops.gitops_rig import follower as made


@pytest.fixture
def follower(tmp_path):
    follower = made(tmp_path)
    yield follower
    follower.store.close()


@pytest.fixture
def previewed(follower):
    """A branch that is there, and who follows the merge requests into it."""
    follower.origin.push()
    return Previewed(follower)
