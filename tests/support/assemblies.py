"""Settings whose templates tests look at. They are few, because the synthesis of each takes seconds."""

from infra.settings import Settings

OTHER_LOOP = Settings(slots=9, planner="search", daily_budget_usd=1.0)
"""Differs from the default in what only the loop heeds."""

OTHER_HOST = Settings(
    slots=9,
    planner="search",
    daily_budget_usd=1.0,
    framework_autonomy="code",
    lineage="blue",
    github_repository="owner/name",
)
"""Differs in what the host heeds as well; it has a repository and a lineage that is not the default one."""

ALL_ALARMS = Settings(
    planner="search", github_repository="owner/name", alarm_email="operator@example.org", audit="on"
)
"""Every alarm is there, somebody is told, and adopted versions are audited."""

OTHER_SERVICES = Settings(framework_host="always", image_build="codebuild", planner_provider="bedrock")
"""A host that never stops, an image that the account builds, a model that Bedrock serves."""
