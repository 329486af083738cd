"""AWS in this process, for tests whose subject makes its own clients."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from moto import mock_aws


@contextmanager
def aws_in_process(region: str) -> Iterator[None]:
    """Answer every AWS client of this process from memory, also while an emulator runs for other tests.

    The environment is changed outside and put back after: undone inside, it would bring moto's own keys back.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        patch.setenv("AWS_DEFAULT_REGION", region)
        with mock_aws():
            yield
