"""One emulator with the deployed app for all integration tests; each test has a lineage of its own."""

import itertools
from collections.abc import Iterator

import pytest

from infra.local.session import Session, open_session

_numbers = itertools.count()


@pytest.fixture(scope="session")
def session(tmp_path_factory) -> Iterator[Session]:
    """The deployed app in the emulator."""
    with open_session(tmp_path_factory.mktemp("state"), {}, lambda text: None) as opened:
        yield opened


@pytest.fixture
def lineage() -> str:
    """A lineage that no other test uses."""
    return f"test-{next(_numbers)}"
