"""The tools that change the deployed system: `create_alarm`, `modify_aws_config`, `deploy_lambda_function`.

This host has no right to make these changes. It judges the call and hands out what was allowed, under ``aws`` in its
answer; FrameworkTool makes the change.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from typing import Any

from codec_evolution.host import machine
from codec_evolution.host.call import Call, only
from codec_evolution.host.context import Effect, HostContext, consent
from codec_evolution.host.guard import CODE
from codec_evolution.host.refusal import FAILED, HostRefusal

STATISTICS = ("Sum", "Average", "Minimum", "Maximum")
COMPARISONS = ("at_least", "at_most")
PERIODS_MINUTES = (1, 5, 15, 60, 360, 1440)
"""What an alarm's arguments may be."""
DAY_MINUTES = 1440
"""CloudWatch evaluates at most a day at once."""
MAX_THRESHOLD = 1e9
"""Of an alarm, above or below zero."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{2,39}")
_DIMENSION = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_ALARM = {
    *("name", "metric", "dimension", "statistic", "comparison", "threshold", "period_minutes", "periods"),
}


def alarm(call: Call, context: HostContext) -> Effect:
    """Allow a new alarm; raises `HostRefusal` with the rules ``alarm-*``."""
    given = call.arguments
    only(given, _ALARM)
    rules = context.guard.aws
    name, metric = given["name"], given["metric"]
    named = isinstance(name, str) and bool(_NAME.fullmatch(name))
    _demand("alarm-name", named, "name must be 3 to 40 letters and digits, a letter first")
    _demand_one("alarm-metric", "metric", metric, sorted(rules.metrics))
    _demand_dimension(rules.metrics[metric], given["dimension"])
    _demand_one("alarm-statistic", "statistic", given["statistic"], STATISTICS)
    _demand_one("alarm-comparison", "comparison", given["comparison"], COMPARISONS)
    _demand_threshold(given["threshold"])
    _demand_periods(given["period_minutes"], given["periods"])
    request = {
        **{name: given[name] for name in sorted(_ALARM)},
        "dimension_name": rules.metrics[metric],
        "most": rules.most_alarms,
        "reason": call.reason,
    }
    return _allowed(call, context, request, resource=f"alarm {name}", always=False)


def configure(call: Call, context: HostContext) -> Effect:
    """Allow a new value of a setting; raises `HostRefusal` with the rules ``config-*``."""
    only(call.arguments, {"key", "value"})
    key, value = call.arguments["key"], call.arguments["value"]
    config = context.guard.aws.config
    if not isinstance(key, str) or key not in config:
        raise HostRefusal(
            "config-never",
            f"no tool may change {str(key)[:80]!r}; the settings are {', '.join(sorted(config))}",
        )
    if not _is_whole(value) or not config[key].allow(value):
        raise HostRefusal("config-bounds", f"{key} must be {config[key]}, not {str(value)[:40]}")
    return _allowed(call, context, {"key": key, "value": value}, resource=key, always=True)


def deploy(call: Call, context: HostContext) -> Effect:
    """Allow one function's approved code; raises `HostRefusal` with the rules ``function-never``, ``never-changed``."""
    only(call.arguments, {"function_name"})
    name = call.arguments["function_name"]
    deployable = context.guard.aws.deployable
    if not isinstance(name, str) or name not in deployable:
        raise HostRefusal(
            "function-never",
            f"no tool may deploy {str(name)[:80]!r}; its code is not what the tools may change. The functions are "
            f"{', '.join(sorted(deployable))}",
        )
    machine.verify_never(context)
    files = machine.tiered(context)
    code = {path: facts["sha256"] for path, facts in files.items() if facts["tier"] == CODE}
    request = {"function_name": name, "code_sha256": code}
    bound = hashlib.sha256(json.dumps(code, sort_keys=True).encode("ascii")).hexdigest()
    return _allowed(call, context, request, resource=f"function {name}", always=False, file_sha256=bound)


def _allowed(
    call: Call,
    context: HostContext,
    request: dict[str, Any],
    *,
    resource: str,
    always: bool,
    file_sha256: str = "",
) -> Effect:
    """Return what FrameworkTool carries out, once a person has approved it.

    Parameters
    ----------
    always
        Whether a person must approve it even where the operator set ``framework_autonomy = code``.
    """
    facts = {"resource": resource, "aws": request}
    asks = always or context.config.autonomy != "code"
    question = f"this changes the deployed system ({resource}); a person must approve it." if asks else ""
    consent(call, context, question, rule="aws-change", file_sha256=file_sha256, facts=facts)
    return Effect(f"{resource}: allowed", facts=facts)


def _demand_dimension(name: str, value: Any) -> None:
    if not name:
        _demand("alarm-dimension", value == "", "this metric has no dimension beside the lineage")
        return
    fits = isinstance(value, str) and bool(_DIMENSION.fullmatch(value))
    _demand(
        "alarm-dimension", fits, f"dimension must be a value of {name}: 1 to 100 letters, digits and _.:-"
    )


def _demand_threshold(value: Any) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    fits = number and abs(value) <= MAX_THRESHOLD
    _demand("alarm-threshold", fits, f"threshold must be a number within {MAX_THRESHOLD:g}")


def _demand_periods(minutes: Any, periods: Any) -> None:
    whole = _is_whole(minutes) and _is_whole(periods)
    _demand(
        "alarm-period",
        whole and minutes in PERIODS_MINUTES and 1 <= periods <= DAY_MINUTES // minutes,
        f"period_minutes must be one of {', '.join(map(str, PERIODS_MINUTES))}, and all periods at most a day",
    )


def _demand_one(rule: str, name: str, value: Any, known: Sequence[str]) -> None:
    _demand(rule, isinstance(value, str) and value in known, f"{name} must be one of {', '.join(known)}")


def _demand(rule: str, holds: bool, message: str) -> None:
    if not holds:
        raise HostRefusal(rule, message, FAILED)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
