"""Commit: pushes adopted versions and applied framework changes to the git repository."""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from codec_evolution.adapters.github import GithubRepository
from codec_evolution.adapters.logs import EXECUTION, make_logger
from codec_evolution.adapters.modifications import FrameworkModifications
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.secrets import read_secret
from codec_evolution.adapters.tables import EvolutionRecord, LoopControl
from codec_evolution.adapters.traces import traced
from codec_evolution.contracts import CommitRequest, check_size, parse
from codec_evolution.loop.commit import GithubRefused
from codec_evolution.loop.deployment import Deployer
from codec_evolution.repair.framework_commits import FrameworkCommitter

logger = make_logger("commit")


@traced("commit")
@logger.inject_lambda_context(correlation_id_path=EXECUTION, clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Commit every adopted version and every applied framework change that is not in the repository yet."""
    request = parse(CommitRequest, event, "commit")
    bucket = ArtifactBucket(os.environ["ARTIFACT_BUCKET"])
    deployer = Deployer(
        record=EvolutionRecord(os.environ["EVOLUTION_RECORD_TABLE"]),
        control=LoopControl(os.environ["LOOP_CONTROL_TABLE"]),
        objects=bucket,
        connect=connect,
    )
    deployed = deployer.commit_due(request.lineage)
    logger.info("committed", extra={"committed": deployed.committed, "waiting": deployed.waiting})
    pushed = FrameworkCommitter(
        modifications=FrameworkModifications(os.environ["FRAMEWORK_MODIFICATIONS_TABLE"]),
        objects=bucket,
        connect=connect,
    ).commit_due()
    logger.info("framework", extra={"committed": pushed.committed, "waiting": pushed.waiting})
    answer = {"committed": deployed.committed, "waiting": (deployed.waiting or pushed.waiting)[:500]}
    check_size(answer, "commit")
    return answer


def connect() -> GithubRepository | None:
    """Return the repository of the settings, or None when there is none."""
    name = os.environ["GITHUB_REPOSITORY"]
    if not name:
        return None
    credential = read_secret(os.environ["GITHUB_SECRET_ARN"])
    if not credential:
        raise GithubRefused('the GitHub secret is empty: put {"token": "..."} into it')
    return GithubRepository(
        os.environ["GITHUB_API_URL"], name, credential, branch=os.environ["GITHUB_BRANCH"]
    )
