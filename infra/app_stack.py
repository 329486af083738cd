"""The app: composes the capabilities and holds nothing that must outlive it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from aws_cdk import Aws, CfnOutput, Duration, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as targets
from aws_cdk import aws_sqs as sqs
from codec_evolution.loop.islands import island_names
from constructs import Construct

from infra.assets import layers
from infra.capabilities.alarms import Alarms
from infra.capabilities.audit import Audit
from infra.capabilities.aws_tools import serve_aws_tools
from infra.capabilities.benchmark import NAME as BENCHMARK
from infra.capabilities.benchmark import Benchmark
from infra.capabilities.cycle import Cycle
from infra.capabilities.dashboard import Dashboard
from infra.capabilities.framework_host import FrameworkHost
from infra.capabilities.functions import AMENDABLE, FIRST_IMAGE, PINNED, Functions
from infra.capabilities.roles import service_role
from infra.capabilities.sandbox_image import SandboxImage
from infra.capabilities.service_rules import service_rules
from infra.data_stack import DataStack
from infra.nag import acknowledge
from infra.settings import Settings


class AppStack(Stack):
    """Functions, benchmark, state machine, and for each lineage the schedule that starts it once a minute."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        data: DataStack,
        settings: Settings,
        tags: Mapping[str, str],
    ) -> None:
        super().__init__(scope, construct_id, description="Codec evolution: the loop", tags=tags)
        name = f"{construct_id}-Cycle"
        schedules = dict(
            zip(island_names(f"{construct_id}-EveryMinute", settings.islands), settings.lineages, strict=True)
        )
        self.functions = Functions(
            self,
            "Functions",
            data=data,
            layers=layers(self),
            settings=settings,
            state_machine_name=name,
            schedule_names=list(schedules),
        )
        self.sandbox_image = SandboxImage(self, "SandboxImage", data=data)
        self.benchmark = self._benchmark(settings)
        lost = self._dead_letters("LostEvents", "EventBridge and asynchronous invocations")
        self._repair(data, settings, lost)
        self.audit = self._audit(data, settings)
        self.cycle = self._cycle(settings, name)
        missed = self._dead_letters("MissedTicks", "the schedule")
        self._schedules(schedules, missed)
        self._watch(data, settings, missed, lost)
        serve_aws_tools(
            self.functions.functions,
            schedules=list(schedules),
            alarms=self.node.id,
            topic=self.alarms.topic,
        )
        self._links()
        self._names(settings, list(schedules))

    def _cycle(self, settings: Settings, name: str) -> Cycle:
        return Cycle(
            self,
            "Cycle",
            functions={**self.functions.aliases, BENCHMARK: self.benchmark.alias},
            pinned={each: self.functions.functions[each] for each in PINNED},
            settings=settings,
            state_machine_name=name,
            audit=self.audit.state_machine,
        )

    def _audit(self, data: DataStack, settings: Settings) -> Audit:
        return Audit(
            self,
            "Audit",
            data=data,
            settings=settings,
            functions={"Conclude": self.functions.aliases["Conclude"], BENCHMARK: self.benchmark.alias},
            conclude=self.functions.functions["Conclude"],
            state_machine_name=f"{self.node.id}-Audit",
        )

    def _names(self, settings: Settings, schedules: list[str]) -> None:
        """Add outputs with what commands need to find the app."""
        for each, value in {
            "Lineage": settings.lineage,
            "Islands": ",".join(settings.lineages),
            "StateMachineArn": self.cycle.state_machine.state_machine_arn,
            "StateMachineAliasArn": self.cycle.live_arn,
            "AuditMachineArn": self.audit.state_machine.state_machine_arn,
            "ScheduleName": ",".join(schedules),
            "ScheduleInput": json.dumps(_cycle_input(settings.lineage)),
        }.items():
            CfnOutput(self, each, value=value)
        for each, function in {**self.functions.functions, BENCHMARK: self.benchmark.function}.items():
            CfnOutput(self, f"{each}Function", value=function.function_name)

    def _benchmark(self, settings: Settings) -> Benchmark:
        """Add the benchmark, on an image that this machine builds or that CodeBuild builds in the account."""
        if settings.image_build == "local":
            return Benchmark(self, "Sandbox", settings=settings)
        built = self.sandbox_image.deployed(self.functions.first_image())
        # As an imported one: its own policy names Lambda already, and more narrowly than a grant would.
        repository = ecr.Repository.from_repository_attributes(
            self,
            "BuiltImages",
            repository_arn=self.sandbox_image.repository.repository_arn,
            repository_name=self.sandbox_image.repository.repository_name,
        )
        image = lambda_.DockerImageCode.from_ecr(repository, tag_or_digest=self.sandbox_image.deployed_tag)
        benchmark = Benchmark(self, "Sandbox", settings=settings, image=image)
        benchmark.function.node.add_dependency(built)
        CfnOutput(self, "SandboxImageDigest", value=built.get_att_string("Digest"))
        CfnOutput(self, "SandboxBaseImage", value=built.get_att_string("BaseImage"))
        return benchmark

    def _repair(self, data: DataStack, settings: Settings, lost: sqs.Queue) -> None:
        """Add what self-repair needs: the host of the framework tools, and the build of the sandbox image."""
        functions, aliases = self.functions.functions, self.functions.aliases
        self.framework_host = FrameworkHost(self, "FrameworkHost", data=data, settings=settings)
        self.framework_host.serve(
            functions["FrameworkTool"],
            self.benchmark.alias,
            published=[functions[name] for name in AMENDABLE],
        )
        self.sandbox_image.serve(
            starter=functions["FrameworkTool"],
            publisher=functions["PublishImage"],
            publisher_alias=aliases["PublishImage"],
            benchmark=self.benchmark.function,
            lost=cast(sqs.IQueue, lost),
        )
        self.functions.keep_lost_events(cast(sqs.IQueue, lost))

    def _watch(self, data: DataStack, settings: Settings, missed: sqs.Queue, lost: sqs.Queue) -> None:
        """Add the dashboard and the alarms."""
        tables = {
            "EvolutionRecord": data.evolution_record,
            "LoopControl": data.loop_control,
            "FrameworkModifications": data.framework_modifications,
        }
        watched = {**self.functions.functions, BENCHMARK: self.benchmark.function}
        # It works during a deployment only, which says itself when it fails.
        watched.pop(FIRST_IMAGE, None)
        self.alarms = Alarms(
            self,
            "Alarms",
            prefix=self.node.id,
            settings=settings,
            machine=self.cycle.state_machine,
            audit=self.audit.state_machine,
            missed_ticks=missed,
            services=service_rules(
                watched,
                tables,
                self.sandbox_image.project,
                lost,
            ),
            host_instance_id=self.framework_host.instance.instance_id,
        )
        # Dashboards are the account's, not the region's.
        names = island_names(f"{self.node.id}-{Aws.REGION}", settings.islands)
        for construct_id, name, lineage in zip(
            island_names("Dashboard", settings.islands), names, settings.lineages, strict=True
        ):
            Dashboard(
                self,
                construct_id,
                name=name,
                lineage=lineage,
                widgets=self.functions.aliases["Widgets"],
                machine=self.cycle.state_machine,
                alarms=list(self.alarms.alarms.values()),
            )

    def _links(self) -> None:
        """Add outputs with the addresses of the console pages."""
        console = f"https://{Aws.REGION}.console.aws.amazon.com"
        machine, name = self.cycle.state_machine.state_machine_arn, self.node.id
        for output, page in {
            "DashboardUrl": f"cloudwatch/home?region={Aws.REGION}#dashboards/dashboard/{name}-{Aws.REGION}",
            "StateMachineUrl": f"states/home?region={Aws.REGION}#/statemachines/view/{machine}",
            "AlarmsUrl": f"cloudwatch/home?region={Aws.REGION}#alarmsV2:?search={name}",
        }.items():
            CfnOutput(self, output, value=f"{console}/{page}")
        CfnOutput(self, "AlarmTopicArn", value=self.alarms.topic.topic_arn)

    def _dead_letters(self, name: str, source: str) -> sqs.Queue:
        """Create the queue of what its source could not deliver."""
        queue = sqs.Queue(self, name, enforce_ssl=True, retention_period=Duration.days(14))
        acknowledge(
            queue,
            "SQS3",
            f"This queue is a dead-letter queue itself; the rule does not know {source} as a source.",
        )
        return queue

    def _schedules(self, lineages: Mapping[str, str], missed: sqs.Queue) -> None:
        """Create the schedule of each lineage, by the schedule's name."""
        role = service_role(self, "EveryMinuteRole", "scheduler.amazonaws.com")
        self.functions.allow_switching_schedule(role)
        for construct_id, (name, lineage) in zip(
            island_names("EveryMinute", len(lineages)), lineages.items(), strict=True
        ):
            target = self._tick(lineage, role, missed)
            scheduler.Schedule(
                self,
                construct_id,
                # By name, because Actions may switch these schedules and is created before them.
                schedule_name=name,
                description=f"Starts a cycle of {lineage} once a minute; disabled until an operator resumes the loop",
                schedule=scheduler.ScheduleExpression.rate(Duration.minutes(1)),
                enabled=False,
                target=target,
            )

    def _tick(self, lineage: str, role: iam.IRole, missed: sqs.Queue) -> scheduler.IScheduleTarget:
        """Return what a schedule does: start the state machine for its lineage."""
        live = self.cycle.live_arn
        start = targets.Universal(
            service="sfn",
            action="startExecution",
            role=role,
            # The tick's id names the execution, so a tick delivered twice starts one cycle.
            input=scheduler.ScheduleTargetInput.from_object(
                {
                    "StateMachineArn": live,
                    "Name": scheduler.ContextAttribute.execution_id,
                    "Input": json.dumps(_cycle_input(lineage)),
                }
            ),
            policy_statements=[iam.PolicyStatement(actions=["states:StartExecution"], resources=[live])],
            dead_letter_queue=missed,
            # Not retried: the next minute starts the next cycle.
            retry_attempts=0,
            max_event_age=Duration.minutes(1),
        )
        return cast(scheduler.IScheduleTarget, start)


def _cycle_input(lineage: str) -> dict[str, str]:
    """Return the input of an execution that a schedule starts."""
    return {"lineage": lineage}
