"""Changes of the deployed system: made once, with the value before as their backup, and undone by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codec_evolution import artifacts
from codec_evolution.framework.modifications import Facts, Modification
from codec_evolution.ports import AwsResource, ChangeRefused, Objects


@dataclass(frozen=True)
class AwsChanges:
    """Makes and undoes what the host allowed.

    Attributes
    ----------
    resources
        The kinds of resources, by the tool that changes them.
    """

    resources: Mapping[str, AwsResource]
    objects: Objects

    def note(self, call: Modification, request: Mapping[str, Any]) -> Facts:
        """Store the value before the change, once, and return it; raises `ChangeRefused`.

        It is stored when approval is asked for, so that what a person saw is what is replaced.
        """
        before = self._before(call, request)
        now = f"{call.message} It is {before} now." if before else call.message
        return Facts(value_before=before, message=now)

    def make(self, call: Modification, request: Mapping[str, Any]) -> Facts:
        """Make a change and return its values; raises `ChangeRefused`."""
        before = self._before(call, request)
        after = self._resource(call).change(request, before)
        said = f"{call.resource or call.summary}: {after}" + (f", before {before}" if before else "")
        return Facts(value_before=before, value=after, message=said)

    def undo(self, call: Modification) -> None:
        """Put the value before an applied change back; raises `ChangeRefused`."""
        result = self.objects.get_json(artifacts.modification(call.modification_id, "result.json")) or {}
        if "aws" not in result:
            raise ChangeRefused("aws-request", f"{call.modification_id} has no stored request to undo")
        self._resource(call).undo(result["aws"], call.value_before, call.value)

    def _before(self, call: Modification, request: Mapping[str, Any]) -> str:
        key = artifacts.modification(call.modification_id, "before.json")
        known = self.objects.get_json(key)
        if known is None:
            known = {"value": self._resource(call).current(request)}
            self.objects.put_json(key, known)
        return str(known["value"])

    def _resource(self, call: Modification) -> AwsResource:
        return self.resources[call.tool]
