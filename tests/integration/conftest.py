"""One emulator with the deployed app for all integration tests; each test has a lineage of its own."""

import itertools
from collections.abc import Iterator

import pytest
from codec_sandbox.template import TEMPLATE_VARIABLE
from codec_sandbox.template_process import template

from infra.local.session import Session
from tests.support.measuring import measuring_session

_numbers = itertools.count()


@pytest.fixture(scope="session")
def session(tmp_path_factory, short_clips) -> Iterator[Session]:
    """The deployed app in the emulator."""
    with measuring_session(tmp_path_factory.mktemp("state"), {}) as opened:
        yield opened


@pytest.fixture(scope="session")
def zygote_template() -> Iterator[str]:
    """The socket of a template that forks zygotes."""
    with template() as path:
        yield path


@pytest.fixture(scope="module")
def forked_zygotes(zygote_template) -> Iterator[None]:
    """Spare each sandbox of a module's tests the import of the libraries, as a run spares its functions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TEMPLATE_VARIABLE, zygote_template)
        yield


@pytest.fixture
def lineage() -> str:
    """A lineage that no other test uses."""
    return f"test-{next(_numbers)}"
