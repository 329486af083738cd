"""The orchestrator host: an instance behind SSM Run Command, or the same program as a process on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

import codec_evolution
from codec_evolution.adapters.clients import client_config
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.host.config import ConfigError, HostConfig
from codec_evolution.host.ledger import Ledger
from codec_evolution.ports import Host, HostAway

INLINE_BYTES = 48 * 1024
"""Of a base64 call; a larger one travels through the bucket, because Run Command carries 64 KB of parameters."""
CALL_TIMEOUT_S = 240
"""Of one call; together with `WAKE_TIMEOUT_S` below the function's own 480 s."""
WAKE_TIMEOUT_S = 150
"""How long a stopped instance may take until its agent answers; half a minute is usual, more if it is just stopping."""
WAKE_POLL_S = 3.0
"""Seconds between two looks at an instance that starts."""
RUNNING, STARTING, UNKNOWN = "running", "pending", ""
"""States of an instance before it was asked to start; `UNKNOWN` if it refused, as it does while it stops."""
DELIVERY_TIMEOUT_S = 60
"""How long Run Command tries to reach the instance."""
POLL_S = (0.5, 1.0, 2.0, 3.0)
"""Seconds between questions how a command stands; the last one repeats."""
REQUESTS, RESULTS = "framework/requests", "framework/results"
"""Prefixes in the bucket of large calls and of answers; the host's role is limited to them."""
ENDED = ("Success", "Cancelled", "TimedOut", "Failed", "Undeliverable", "Terminated", "DeliveryTimedOut")


class LocalHost:
    """The host program as a process on this machine; implements `ports.Host`.

    Parameters
    ----------
    config
        The host's settings, a JSON file that `infra.local.host` writes.
    """

    def __init__(self, config: Path) -> None:
        self._config = config

    def call(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Run the program once; raises `HostAway` when it is not set up or does not end in time."""
        layer = Path(codec_evolution.__file__).resolve().parents[1]
        try:
            done = subprocess.run(
                [sys.executable, "-s", "-S", "-P", "-m", "codec_evolution.host", str(self._config)],
                input=json.dumps(document).encode("ascii"),
                capture_output=True,
                env={"PYTHONPATH": str(layer), "PATH": "/usr/local/bin:/usr/bin:/bin"},
                timeout=CALL_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise HostAway(f"the host program did not end within {CALL_TIMEOUT_S} s") from None
        if done.returncode:
            raise HostAway(done.stderr.decode("utf-8", "replace")[-500:].strip())
        return json.loads(done.stdout)

    def answered(self, modification_id: str) -> dict[str, Any] | None:
        """Return the answer that the host's ledger holds; raises `HostAway` when the host is not set up."""
        try:
            state = Path(HostConfig.load(self._config).state)
        except ConfigError as error:
            raise HostAway(str(error)) from None
        return Ledger(state / "ledger").settled(modification_id)


class SsmHost:
    """The host program on an instance, with one SSM document for each tool; implements `ports.Host`.

    Parameters
    ----------
    parameter
        Name of the Systems Manager parameter that holds the instance's id. It is read by every call, because a
        deployment may replace the instance while this process lives.
    documents
        Names of the SSM documents, by tool.
    bucket
        Carries large calls and all answers, below ``framework/``.
    log_group
        Receives the output of Run Command itself.
    """

    def __init__(
        self, parameter: str, documents: Mapping[str, str], bucket: ArtifactBucket, log_group: str
    ) -> None:
        self._parameter = parameter
        self._documents = documents
        self._bucket = bucket
        self._log_group = log_group
        self._ssm = boto3.client("ssm", config=client_config())
        self._ec2 = boto3.client("ec2", config=client_config())

    def call(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Start the instance if it is stopped, send one command and wait for its answer; raises `HostAway`."""
        name = _name(str(document["modification_id"]))
        text = json.dumps(document)
        request = base64.b64encode(text.encode("ascii")).decode("ascii")
        parameters = {"Request": [request], "Result": [name]}
        if len(request) > INLINE_BYTES:
            self._bucket.put_text(f"{REQUESTS}/{name}.json", text)
            parameters["Request"] = ["bucket"]
        try:
            instance = self._ssm.get_parameter(Name=self._parameter)["Parameter"]["Value"]
            self._wake(instance)
            command = self._ssm.send_command(
                InstanceIds=[instance],
                DocumentName=self._documents[str(document["tool"])],
                Parameters=parameters,
                TimeoutSeconds=DELIVERY_TIMEOUT_S,
                CloudWatchOutputConfig={
                    "CloudWatchOutputEnabled": True,
                    "CloudWatchLogGroupName": self._log_group,
                },
            )["Command"]["CommandId"]
            status = self._await(command, instance)
        except (ClientError, BotoCoreError) as error:
            raise HostAway(f"Run Command: {error}") from None
        answer = self._bucket.get_json(f"{RESULTS}/{name}.json")
        if status != "Success" or answer is None:
            raise HostAway(f"command {command} ended as {status}; see log group {self._log_group}")
        return answer

    def answered(self, modification_id: str) -> dict[str, Any] | None:
        """Return the result that the host left in the bucket."""
        return self._bucket.get_json(f"{RESULTS}/{_name(modification_id)}.json")

    def _wake(self, instance: str) -> None:
        """Start an instance that is stopped, and wait until its agent answers; raises `HostAway`."""
        began, deadline = datetime.now(UTC), time.monotonic() + WAKE_TIMEOUT_S
        state = self._start(instance)
        # Systems Manager takes an agent for online some minutes after it is gone: only a later sign of life counts.
        since = None if state == RUNNING else began
        while not (state and self._answers(instance, since)):
            if time.monotonic() >= deadline:
                raise HostAway(f"the instance {instance} did not come up within {WAKE_TIMEOUT_S} s")
            time.sleep(WAKE_POLL_S)
            state = state or self._start(instance)

    def _start(self, instance: str) -> str:
        """Ask an instance to start, which changes nothing if it runs, and return its state before that."""
        try:
            started = self._ec2.start_instances(InstanceIds=[instance])["StartingInstances"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "IncorrectInstanceState":
                return UNKNOWN
            raise
        return RUNNING if started[0]["PreviousState"]["Name"] == RUNNING else STARTING

    def _answers(self, instance: str, since: datetime | None) -> bool:
        """Tell whether the agent is online, by a sign of life that is not older than `since`."""
        found = self._ssm.describe_instance_information(
            Filters=[{"Key": "InstanceIds", "Values": [instance]}]
        )["InstanceInformationList"]
        return any(
            each["PingStatus"] == "Online" and (since is None or each["LastPingDateTime"] >= since)
            for each in found
        )

    def _await(self, command: str, instance: str) -> str:
        deadline, tries = time.monotonic() + CALL_TIMEOUT_S, 0
        while time.monotonic() < deadline:
            time.sleep(POLL_S[min(tries, len(POLL_S) - 1)])
            tries += 1
            try:
                found = self._ssm.get_command_invocation(CommandId=command, InstanceId=instance)
            except self._ssm.exceptions.InvocationDoesNotExist:
                continue  # it exists only a moment after it was sent
            if found["Status"] in ENDED:
                return str(found["Status"])
        return f"unfinished after {CALL_TIMEOUT_S} s"


def _name(modification_id: str) -> str:
    """Return the name of a call's objects, which matches the pattern of the document's parameter."""
    return hashlib.sha256(modification_id.encode()).hexdigest()


if TYPE_CHECKING:
    _local: type[Host] = LocalHost
    _ssm: type[Host] = SsmHost
