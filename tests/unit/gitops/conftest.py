import pytest

from tests.unit.gitops.gitops_rig import follower as made


@pytest.fixture
def follower(tmp_path):
    follower = made(tmp_path)
    yield follower
    follower.store.close()
