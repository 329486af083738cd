"""The zip functions: each with its folder, role and log group, and only the permissions that it uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from aws_cdk import ArnFormat, Aws, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_sqs as sqs
from codec_evolution.contracts import LIVE_ALIAS
from codec_evolution.record import Elite
from constructs import Construct

from infra.assets import ARCHITECTURE, RUNTIME, Layers, function_code
from infra.capabilities.aliases import live_alias
from infra.capabilities.function_sizes import FIRST_IMAGE, SIZES
from infra.capabilities.grants import OPERATORS_PREFIX, QUERY, Grants
from infra.capabilities.log_groups import log_group
from infra.capabilities.roles import acknowledge_wildcard, allow, role_of, service_role
from infra.data_stack import DataStack
from infra.nag import acknowledge
from infra.settings import (
    BENCHMARK_CALL_S,
    BENCHMARK_MEMORY_MB,
    Settings,
)

SHIPPED_DIR = "/opt"
"""Where Lambda unpacks the layer with prompts and version 0."""
OPENED = ("execution", "cycle_id", "cycles", "due", "paused", "release", "attempts")
CONCLUDED = (
    *("version", "incumbent", "incumbent_attempt", "prepared_version", "clip_set", "looks"),
    *("paused", "paused_at", "paused_reason"),
)
"""Attributes of the loop's items that OpenCycle and Conclude change or compare."""

PINNED = ("FrameworkTool", "Conclude")
"""The functions of which a version of the state machine invokes the version that it was deployed with.

The others are invoked by their alias, because framework tools and PublishImage move it.
"""

AMENDABLE = ("Plan",)
"""The functions whose code the planner may amend; FrameworkTool publishes it."""

PLANNED = (
    *(f"attempts/*/{name}.json" for name in ("model_usage", "proposal", "transcript", "trials")),
    "memory/*",
    "sources/*",
)
"""Patterns of what Plan stores. What the adoption rule reads (curves, releases, reports) is never among them."""

IMAGE_LOCK = "framework/overlay/sandbox_container/requirements.lock"
"""The sandbox image's requirements as amended by framework tools."""

PLANNER = ("planner", "planner_provider", "planner_models", "planner_max_tokens")
"""Settings of the planner that OpenCycle needs as well as Plan."""

ISLANDS = ("lineage", "islands", "migration_cycles")
"""Settings of the lineages."""

GET = "dynamodb:GetItem"
PUT = "dynamodb:PutItem"
UPDATE = "dynamodb:UpdateItem"
"""Actions on tables."""


class Functions(Grants):
    """OpenCycle, Plan, FrameworkTool, Conclude, Commit and CloseCycle; PublishImage; Widgets and Actions.

    Attributes
    ----------
    aliases : dict[str, lambda_.IFunction]
        The alias ``live`` of each function, by the function's name; nothing else is invoked.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        data: DataStack,
        layers: Layers,
        settings: Settings,
        state_machine_name: str,
        schedule_names: Sequence[str],
    ) -> None:
        super().__init__(scope, construct_id, data=data, settings=settings)
        self._layers = layers
        self.functions: dict[str, lambda_.Function] = {}
        self.aliases: dict[str, lambda_.IFunction] = {}
        self._open_cycle(state_machine_name)
        self._plan()
        self._framework_tool()
        self._publish_image()
        self._conclude()
        self._commit()
        self._close_cycle()
        self._actions(state_machine_name, schedule_names)
        self._widgets()

    def _open_cycle(self, state_machine_name: str) -> None:
        function = self._function(
            "OpenCycle",
            {
                **self._loop_names(),
                "FRAMEWORK_MODIFICATIONS_TABLE": self._data.framework_modifications.table_name,
                **self._settings.variables(
                    *PLANNER,
                    *ISLANDS,
                    "slots",
                    "daily_budget_usd",
                    "max_attempts_per_day",
                    "framework_tools",
                    "library_codecs",
                ),
                "SHIPPED_DIR": SHIPPED_DIR,
            },
        )
        self._allow_table(function, self._data.evolution_record, [GET])
        self._allow_writes(function, self._data.evolution_record, [PUT])
        self._allow_table(function, self._data.loop_control, [GET])
        self._allow_writes(function, self._data.loop_control, [UPDATE], OPENED)
        self._allow_table(function, self._data.framework_modifications, [GET, UPDATE], ["by_status"])
        self._allow_objects(
            function,
            read=[f"attempts/*/{name}.json" for name in ("model_usage", "proposal")],
            write=["attempts/*/record.json", "releases/*"],
        )
        execution = Stack.of(self).format_arn(
            service="states",
            resource="execution",
            resource_name=f"{state_machine_name}:*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        allow(function, ["states:DescribeExecution"], [execution])
        acknowledge_wildcard(
            role_of(function),
            f"Resource::arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:{state_machine_name}:*",
            "The lease names any execution of this one state machine; executions have no other grouping to name.",
        )

    def _plan(self) -> None:
        settings = self._settings
        function = self._function(
            "Plan",
            {
                **self._loop_names(),
                "FRAMEWORK_MODIFICATIONS_TABLE": self._data.framework_modifications.table_name,
                "ANTHROPIC_SECRET_ARN": self._data.anthropic_secret.secret_arn,
                **settings.variables(
                    *PLANNER,
                    "lineage",
                    "planner_effort",
                    "planner_base_url",
                    "probes_per_attempt",
                    "search_seed",
                    "search_effort",
                    "daily_budget_usd",
                    "benchmark_cpu_s",
                ),
                "BENCHMARK_CALL_S": str(BENCHMARK_CALL_S),
                "BENCHMARK_MEMORY_MB": str(BENCHMARK_MEMORY_MB),
                "SHIPPED_DIR": SHIPPED_DIR,
            },
        )
        self._allow_table(
            function, self._data.evolution_record, [GET, QUERY], ["by_status", "by_version", "by_source"]
        )
        self._allow_table(function, self._data.loop_control, [GET, QUERY])
        self._allow_writes(function, self._data.loop_control, [UPDATE], ["spent_usd"])
        self._allow_table(function, self._data.framework_modifications, [QUERY])
        self._allow_objects(
            function, read=["attempts/*", "curves/*", "memory/*", "releases/*", "sources/*"], write=PLANNED
        )
        self._deny_operators(function)
        self._deny_other_writes(function, PLANNED)
        if settings.planner_provider == "bedrock":
            self._allow_bedrock(function)
        else:
            allow(function, ["secretsmanager:GetSecretValue"], [self._data.anthropic_secret.secret_arn])

    def _framework_tool(self) -> None:
        """The function's host, benchmark and publishing rights are added by `FrameworkHost.serve`."""
        function = self._function(
            "FrameworkTool",
            {
                "FRAMEWORK_MODIFICATIONS_TABLE": self._data.framework_modifications.table_name,
                "LOOP_CONTROL_TABLE": self._data.loop_control.table_name,
                "ARTIFACT_BUCKET": self._data.artifacts.bucket_name,
                **self._settings.variables("framework_tools", "lineage"),
                "SHIPPED_DIR": SHIPPED_DIR,
            },
        )
        self._allow_table(
            function, self._data.framework_modifications, [GET, QUERY, PUT, UPDATE], ["by_status"]
        )
        self._allow_table(function, self._data.loop_control, [GET])
        self._allow_writes(function, self._data.loop_control, [UPDATE], ["release"])
        self._allow_objects(
            function,
            read=["framework/*", "modifications/*"],
            write=[
                "framework/images/*",
                "framework/overlay/*",
                "framework/requests/*",
                "modifications/*",
                "releases/*",
            ],
        )
        self._deny_operators(function)

    def _publish_image(self) -> None:
        """The function's rights on builds and on the benchmark are added by `SandboxImage.serve`."""
        function = self._function(
            "PublishImage",
            {
                "FRAMEWORK_MODIFICATIONS_TABLE": self._data.framework_modifications.table_name,
                "ARTIFACT_BUCKET": self._data.artifacts.bucket_name,
                "FRAMEWORK_TOOL_FUNCTION": self.aliases["FrameworkTool"].function_arn,
            },
        )
        self._allow_table(function, self._data.framework_modifications, [GET, UPDATE])
        self._allow_objects(function, read=[IMAGE_LOCK])
        allow(function, ["lambda:InvokeFunction"], [self.aliases["FrameworkTool"].function_arn])

    def _conclude(self) -> None:
        function = self._function(
            "Conclude",
            {
                **self._loop_names(),
                **self._settings.variables("lineage", "confirm_looks_per_day", "daily_budget_usd"),
            },
        )
        # Put, not update: an attempt is written once.
        self._allow_table(function, self._data.evolution_record, [GET])
        self._allow_writes(function, self._data.evolution_record, [PUT])
        self._allow_table(function, self._data.loop_control, [GET])
        self._allow_writes(function, self._data.loop_control, [PUT], sorted(Elite.model_fields))
        self._allow_writes(function, self._data.loop_control, [UPDATE], CONCLUDED)
        self._allow_objects(
            function,
            read=["attempts/*", "curves/*", f"{OPERATORS_PREFIX}held_out/curves/*", "sources/*"],
            write=[
                *(f"attempts/*/{name}.json" for name in ("look", "record", "report")),
                "curves/*",
                f"{OPERATORS_PREFIX}held_out/*",
                "pictures/*",
            ],
        )

    def _commit(self) -> None:
        function = self._function(
            "Commit",
            {
                **self._loop_names(),
                "FRAMEWORK_MODIFICATIONS_TABLE": self._data.framework_modifications.table_name,
                "GITHUB_SECRET_ARN": self._data.github_secret.secret_arn,
                **self._settings.variables("github_repository", "github_branch", "github_api_url"),
            },
        )
        self._allow_table(function, self._data.evolution_record, [GET], ["by_version"])
        self._allow_writes(
            function,
            self._data.evolution_record,
            [UPDATE],
            ["deployment_status", "github_committed", "github_commit_hash"],
        )
        self._allow_table(function, self._data.framework_modifications, [GET, QUERY, UPDATE], ["by_status"])
        self._allow_table(function, self._data.loop_control, [GET])
        self._allow_writes(function, self._data.loop_control, [UPDATE], ["committed_version"])
        self._allow_objects(function, read=["modifications/*", "sources/*"])
        self._deny_operators(function)
        allow(function, ["secretsmanager:GetSecretValue"], [self._data.github_secret.secret_arn])

    def _close_cycle(self) -> None:
        function = self._function("CloseCycle", {"LOOP_CONTROL_TABLE": self._data.loop_control.table_name})
        self._allow_writes(function, self._data.loop_control, [UPDATE], ["execution", "due"])

    def _actions(self, state_machine_name: str, schedule_names: Sequence[str]) -> None:
        stack = Stack.of(self)
        machine = stack.format_arn(
            service="states",
            resource="stateMachine",
            resource_name=state_machine_name,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        function = self._function(
            "Actions",
            {
                "LOOP_CONTROL_TABLE": self._data.loop_control.table_name,
                "STATE_MACHINE_ARN": machine,
                "STATE_MACHINE_ALIAS": LIVE_ALIAS,
                "SCHEDULE_NAME": ",".join(schedule_names),
                **self._settings.variables("lineage"),
                "FRAMEWORK_TOOL_FUNCTION": self.aliases["FrameworkTool"].function_arn,
            },
        )
        allow(function, ["lambda:InvokeFunction"], [self.aliases["FrameworkTool"].function_arn])
        self._allow_table(function, self._data.loop_control, [GET])
        self._allow_writes(
            function, self._data.loop_control, [UPDATE], ["paused", "paused_at", "paused_reason"]
        )
        allow(function, ["states:StartExecution"], [f"{machine}:{LIVE_ALIAS}"])
        schedules = [
            stack.format_arn(service="scheduler", resource="schedule", resource_name=f"default/{name}")
            for name in schedule_names
        ]
        allow(function, ["scheduler:GetSchedule", "scheduler:UpdateSchedule"], schedules)

    def first_image(self) -> lambda_.Function:
        """Create FirstImage; `SandboxImage.deployed` adds its rights."""
        return self._function(FIRST_IMAGE, {})

    def keep_lost_events(self, queue: sqs.IQueue) -> None:
        """Send to a queue what PublishImage and FrameworkTool, when invoked asynchronously, fail at for good."""
        for name in ("PublishImage", "FrameworkTool"):
            destination = cast(lambda_.IDestination, destinations.SqsDestination(queue))
            self.aliases[name].configure_async_invoke(on_failure=destination, retry_attempts=2)

    def allow_switching_schedule(self, role: iam.IRole) -> None:
        """Let Actions and FrameworkTool pass a schedule's role when they change the schedule."""
        for name in ("Actions", "FrameworkTool"):
            role_of(self.functions[name]).add_to_principal_policy(
                iam.PolicyStatement(
                    actions=["iam:PassRole"],
                    resources=[role.role_arn],
                    conditions={"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}},
                )
            )

    def _widgets(self) -> None:
        function = self._function(
            "Widgets",
            {
                **self._loop_names(),
                "FRAMEWORK_MODIFICATIONS_TABLE": self._data.framework_modifications.table_name,
                **self._settings.variables(
                    "lineage", "daily_budget_usd", "github_repository", "github_api_url"
                ),
                "CONSOLE_URL": f"https://{Aws.REGION}.console.aws.amazon.com",
                "ACTIONS_ARN": self.aliases["Actions"].function_arn,
            },
        )
        self._allow_table(function, self._data.evolution_record, [GET, QUERY], ["by_version"])
        self._allow_table(function, self._data.loop_control, [GET, QUERY])
        self._allow_table(function, self._data.framework_modifications, [GET, QUERY], ["by_status"])
        self._allow_objects(function, read=["attempts/*", "modifications/*", "pictures/*"])
        self._deny_operators(function)

    def _loop_names(self) -> dict[str, str]:
        return {
            "EVOLUTION_RECORD_TABLE": self._data.evolution_record.table_name,
            "LOOP_CONTROL_TABLE": self._data.loop_control.table_name,
            "ARTIFACT_BUCKET": self._data.artifacts.bucket_name,
        }

    def _function(self, name: str, environment: Mapping[str, str]) -> lambda_.Function:
        folder = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).strip("_")
        group = log_group(self, name)
        role = service_role(self, f"{name}Role", "lambda.amazonaws.com")
        group.grant_write(role)
        shipped = [self._layers.shipped] if "SHIPPED_DIR" in environment else []
        function = lambda_.Function(
            self,
            name,
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            handler="handler.lambda_handler",
            code=function_code(folder, amendable=name in AMENDABLE),
            layers=[self._layers.common, self._layers.dependencies, *shipped],
            role=role,
            log_group=group,
            logging_format=lambda_.LoggingFormat.JSON,
            memory_size=SIZES[name].memory_mb,
            timeout=Duration.seconds(SIZES[name].timeout_s),
            environment=dict(environment),
            tracing=lambda_.Tracing.ACTIVE,
            # A cycle that runs during a deployment still invokes the versions before it.
            current_version_options=lambda_.VersionOptions(removal_policy=RemovalPolicy.RETAIN)
            if name in PINNED
            else None,
        )
        acknowledge_wildcard(
            role,
            "Resource::*",
            "X-Ray offers no resource to name; the statement only lets a function add traces.",
        )
        acknowledge(
            function,
            "L1",
            "The functions, the locked wheels and the benchmark image share one Python version, which Lambda "
            "supports; they move to a newer one together.",
        )
        self.functions[name] = function
        self.aliases[name] = live_alias(self, name, function)
        return function
