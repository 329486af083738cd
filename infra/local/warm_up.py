"""Starts environments of the benchmark before a run needs them.

Each imports torch before it answers, and the emulator starts one only when all others of the function are busy. A run
would wait for the first when it begins to measure, and for the others when the windows fan out.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from codec_evolution.contracts import LIVE_ALIAS

from infra.local.deploy import LocalDeployment

REQUEST = json.dumps({"attempt_id": "warm-up", "control": True, "stages": ["validate"]})
"""Loads version 0 into an encoder and a decoder, and measures nothing."""


MEASURING = "measuring"
"""Stage of an attempt, as of `stage_of`, that begins with the gates and ends with windows side by side."""


class WarmUp:
    """Invokes the benchmark in the background, so that its environments start.

    Parameters
    ----------
    deployment : LocalDeployment
    environments : int
        How many a run uses at the same time.
    """

    def __init__(self, deployment: LocalDeployment, environments: int) -> None:
        self._client = deployment.client("lambda")
        self._function = deployment.functions["Benchmark"]
        self._left = environments
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the first environment."""
        self._start(min(self._left, 1))

    def saw(self, stages: Collection[str]) -> None:
        """Start the others once an attempt is at its gates, which keep one environment and one core busy.

        If the first has not come up by then, the gates have started one themselves.
        """
        if MEASURING in stages:
            coming = sum(thread.is_alive() for thread in self._threads)
            self._start(max(0, self._left - coming))
            self._left = 0

    def _start(self, environments: int) -> None:
        self._left -= environments
        for _ in range(environments):
            self._threads.append(threading.Thread(target=self._invoke, name="warm-up", daemon=True))
            self._threads[-1].start()

    def _invoke(self) -> None:
        request: dict[str, Any] = {"FunctionName": self._function, "Qualifier": LIVE_ALIAS}
        try:
            self._client.invoke(**request, Payload=REQUEST)
        except (BotoCoreError, ClientError):
            return  # the emulator has stopped; a fault of the benchmark shows when it measures
