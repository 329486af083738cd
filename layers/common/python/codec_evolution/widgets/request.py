"""The request for a widget, and what a widget may read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from codec_evolution.framework.ports import Modifications
from codec_evolution.loop.shared_state import state_of
from codec_evolution.ports import Control, LoopState, Objects, Record

_SHA = re.compile(r"[0-9a-f]{7,64}")
# The execution of one slot is named after its Map, too.
_EXECUTION = re.compile(r"arn:[a-z-]+:states:[a-z0-9-]+:[0-9]+:execution:[\w-]+(/[\w-]+)?:[\w.-]+", re.ASCII)
NARROW_PX = 620
"""Below this width a table becomes a list of cards."""


class WidgetRequestError(ValueError):
    """The view is unknown, or a parameter is missing or out of range; the message names it."""


class WidgetRequest(BaseModel):
    """The parameters of a widget; further ones that CloudWatch sends are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    view: str
    lineage: str = Field(default="", max_length=64)
    """Empty for the deployment's own lineage."""
    limit: int = Field(default=20, ge=1, le=100)
    theme: Literal["light", "dark"] = "light"
    width: int = Field(default=900, ge=200, le=4000)
    """Available width in pixels."""

    @property
    def narrow(self) -> bool:
        """Whether the widget is too narrow for a table."""
        return self.width < NARROW_PX


@dataclass(frozen=True)
class Links:
    """Base addresses of links; an empty one makes no link.

    Attributes
    ----------
    repository
        The web page of the git repository.
    console
        The AWS console of the region.
    region
        The region of that console.
    """

    repository: str = ""
    console: str = ""
    region: str = ""

    def commit(self, sha: str) -> str:
        """Return the page of a commit, or an empty string if this is no hash: the link would lead elsewhere."""
        return f"{self.repository}/commit/{sha}" if self.repository and _SHA.fullmatch(sha) else ""

    def execution(self, arn: str) -> str:
        """Return the console page of an execution, or an empty string if this is not the ARN of one."""
        if not self.console or not _EXECUTION.fullmatch(arn):
            return ""
        return f"{self.console}/states/home?region={self.region}#/v2/executions/details/{arn}"


@dataclass(frozen=True)
class WidgetContext:
    """Everything that a widget may read.

    Attributes
    ----------
    lineage
        The lineage that is shown unless a widget names one; the first of the islands.
    actions
        The ARN of the function that the buttons call.
    now
        Returns the current time, ISO 8601 in UTC.
    """

    record: Record
    control: Control
    objects: Objects
    modifications: Modifications
    lineage: str
    daily_budget_usd: float
    links: Links
    actions: str
    now: Callable[[], str]

    def state(self, lineage: str) -> LoopState:
        """Return a lineage's state, with the pause that holds for it."""
        return state_of(self.control, lineage, self.lineage)


def read_request(event: Mapping[str, Any]) -> WidgetRequest:
    """Read the event of a custom widget: its parameters, and theme and width from its context.

    Raises
    ------
    WidgetRequestError
        A parameter is missing or out of range; the message names it.
    """
    context = event.get("widgetContext") or {}
    drawn = {name: context[name] for name in ("theme", "width") if context.get(name)}
    try:
        return WidgetRequest.model_validate({**drawn, **event})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WidgetRequestError(f"{where}: {first['msg']}") from None


def github_web_url(api_url: str, repository: str) -> str:
    """Return the web page of a repository, or an empty string for a server on this machine."""
    if not repository or not api_url.startswith("https://"):
        return ""
    host = (
        api_url.removesuffix("/")
        .removesuffix("/api/v3")
        .replace("https://api.github.com", "https://github.com")
    )
    return f"{host}/{repository}"
