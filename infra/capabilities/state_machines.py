"""State machines of the app: each is a standard one, logged and traced."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.capabilities.log_groups import log_group
from infra.capabilities.roles import acknowledge_wildcard


def state_machine(
    scope: Construct, definition: sfn.IChainable, *, name: str, timeout: Duration
) -> sfn.StateMachine:
    """Create a state machine in JSONata, with its log group.

    Parameters
    ----------
    name
        Physical name.
    timeout
        Of one execution.
    """
    machine = sfn.StateMachine(
        scope,
        "StateMachine",
        state_machine_name=name,
        state_machine_type=sfn.StateMachineType.STANDARD,
        query_language=sfn.QueryLanguage.JSONATA,
        definition_body=sfn.DefinitionBody.from_chainable(definition),
        timeout=timeout,
        tracing_enabled=True,
        logs=sfn.LogOptions(
            # The prefix keeps the log service's resource policy below its size limit.
            destination=log_group(scope, "", log_group_name=f"/aws/vendedlogs/states/{name}"),
            level=sfn.LogLevel.ALL,
            # Payloads hold candidates; the execution history shows them when needed.
            include_execution_data=False,
        ),
    )
    acknowledge_wildcard(
        machine.role,
        "Resource::*",
        "Log delivery and X-Ray offer no resources to name; both statements are the ones that Step "
        "Functions documents for a logged and traced state machine.",
    )
    return machine
