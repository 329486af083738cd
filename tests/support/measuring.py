"""A local stack on which tests measure codecs: on the short clips, by sandboxes that one template forks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from codec_sandbox.template import TEMPLATE_VARIABLE
from codec_sandbox.template_process import template

from infra.local.candidate_packages import live_packages
from infra.local.session import Session, open_session
from infra.progress import Progress
from tests.support.short_clips import ON_SHORT_CLIPS


@contextmanager
def measuring_session(
    state_dir: Path, environment: Mapping[str, str], progress: Progress = lambda text: None
) -> Iterator[Session]:
    """Open a session as `codec-evolution run` does, whose sandboxes need not import their libraries one by one."""
    with template(str(live_packages(state_dir))) as socket:
        settings = {**ON_SHORT_CLIPS, TEMPLATE_VARIABLE: socket, **environment}
        with open_session(state_dir, settings, progress) as session:
            yield session
