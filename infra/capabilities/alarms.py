"""Alarms: each describes what to do, and the README has a runbook under its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from aws_cdk import Aws, Duration
from aws_cdk import aws_cloudwatch as cw
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from codec_evolution.loop import metrics
from codec_evolution.record import IDENTICAL_REPORTS
from constructs import Construct

from infra.capabilities.alarm_rule import Rule
from infra.capabilities.lineage_metrics import LineageMetrics
from infra.capabilities.roles import service
from infra.settings import Settings

QUIET = cw.TreatMissingData.NOT_BREACHING
AT_LEAST = cw.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
COMMIT_MINUTES = 30
"""How long an adopted version may wait for its commit."""

CHECKS_AN_HOUR, LEFT_ON_HOURS = 55, 6
"""Status checks of an instance that runs for a whole hour, one a minute, and hours after which it was left on."""

FAILED_SHARE = 80
"""Percentage of an hour's attempts that may fail or be skipped."""


OF_EACH_LINEAGE = (
    *("NoVerdict", "PausedItself", "SandboxLayerLost"),
    *("FailureRate", "IdenticalResults", "Stagnation", "AdoptionWaitsForCommit"),
)
"""Alarms that each island has; budgets, executions and the host are shared, and the first island watches them."""


class Alarms(Construct):
    """All alarms, the topic they notify, and one composite alarm for paging.

    Attributes
    ----------
    topic : sns.Topic
        Every alarm notifies it; subscribe a mail address or a chat.
    alarms : dict[str, cw.Alarm]
        By the name used in the runbook.
    paging : cw.CompositeAlarm
        In alarm when one of the alarms with `Rule.pages` is.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        prefix: str,
        settings: Settings,
        machine: sfn.IStateMachine,
        audit: sfn.IStateMachine,
        missed_ticks: sqs.IQueue,
        services: Mapping[str, Rule],
        host_instance_id: str = "",
    ) -> None:
        super().__init__(scope, construct_id)
        self._machine = machine
        self.topic = self._topic(settings.alarm_email)
        notify = cast(cw.IAlarmAction, actions.SnsAction(cast(sns.ITopic, self.topic)))
        first, *islands = (LineageMetrics(each) for each in settings.lineages)
        rules = {
            **self._rules(settings, first, missed_ticks),
            **self._island_rules(settings, islands, missed_ticks),
            **_audit_rules(audit),
            **services,
            **self._host_rules(first, host_instance_id),
        }
        if settings.framework_host == "always":
            rules.pop("HostLeftOn", None)
        self.alarms = {name: self._alarm(prefix, name, rule) for name, rule in rules.items()}
        for name, alarm in self.alarms.items():
            if rules[name].notifies:
                alarm.add_alarm_action(notify)
                alarm.add_ok_action(notify)
        self.paging = self._paging(prefix, [self.alarms[name] for name, rule in rules.items() if rule.pages])
        self.paging.add_alarm_action(notify)

    def _paging(self, prefix: str, alarms: Sequence[cw.Alarm]) -> cw.CompositeAlarm:
        return cw.CompositeAlarm(
            self,
            "Paging",
            composite_alarm_name=f"{prefix}-Paging",
            alarm_description="One of the alarms that should wake somebody; see which, and its runbook.",
            alarm_rule=cw.AlarmRule.any_of(*alarms),
        )

    def _island_rules(
        self, settings: Settings, islands: Sequence[LineageMetrics], missed_ticks: sqs.IQueue
    ) -> dict[str, Rule]:
        """Return the rules of the other islands: ``Stagnation-2`` has the runbook of ``Stagnation``."""
        return {
            f"{name}-{number}": replace(rule, what=f"Lineage {of.lineage}: {rule.what}")
            for number, of in enumerate(islands, start=2)
            for name, rule in self._rules(settings, of, missed_ticks).items()
            if name in OF_EACH_LINEAGE
        }

    def _rules(self, settings: Settings, of: LineageMetrics, missed_ticks: sqs.IQueue) -> Mapping[str, Rule]:
        rules = {**self._loop_rules(of, missed_ticks), **self._quality_rules(of), **self._money_rules(of)}
        if settings.github_repository:
            rules["AdoptionWaitsForCommit"] = Rule(
                of.own(metrics.COMMITS_WAITING, statistic="Minimum"),
                1,
                "An adopted version has not reached GitHub for half an hour. Look at the log of Commit: the token "
                "may have expired, the repository may be protected, or GitHub is away. It catches up by itself.",
                periods=COMMIT_MINUTES // 5,
                pages=False,
            )
        return rules

    def _loop_rules(self, of: LineageMetrics, missed_ticks: sqs.IQueue) -> dict[str, Rule]:
        five = Duration.minutes(5)
        return {
            "ExecutionsFailed": Rule(
                self._machine.metric_failed(period=five, statistic="Sum"),
                1,
                "A cycle failed outside of what it can conclude. Open the execution in Step Functions and read the "
                "failed state; the next cycle concludes what was left. Pause if it repeats.",
            ),
            "ExecutionsTimedOut": Rule(
                self._machine.metric_timed_out(period=five, statistic="Sum"),
                1,
                "A cycle ran for three hours and was stopped. Look which state hung; lower slots or "
                "benchmark_cpu_s if the benchmark is too slow.",
            ),
            "NoVerdict": Rule(
                of.no_verdict(),
                1,
                "The loop ticks, but no attempt was concluded for half an hour. Look whether one execution hangs, "
                "and at the logs of Plan and Conclude; stopping the execution frees the lease.",
            ),
            "PausedItself": Rule(
                of.own(metrics.PAUSED_ITSELF, statistic="Maximum"),
                1,
                "The loop has paused itself, because its incumbent fails on the windows of the next contest. Read the "
                "reason of the pause, roll back the framework change that it names, then resume.",
            ),
            "MissedTicks": Rule(
                missed_ticks.metric_approximate_number_of_messages_visible(period=five, statistic="Maximum"),
                1,
                "The schedule could not start a cycle; the dead-letter queue MissedTicks holds the reasons. Mend "
                "what they name (most often a permission), then purge the queue.",
            ),
            "SandboxLayerLost": Rule(
                of.layers_lost(),
                1,
                "A kernel layer round the candidates is gone that was there within the hour. Pause, look at layers "
                "in the latest report, and ask whether Lambda's platform or the image has changed.",
            ),
        }

    def _quality_rules(self, of: LineageMetrics) -> dict[str, Rule]:
        return {
            "FailureRate": Rule(
                of.failed_share(),
                FAILED_SHARE,
                f"{FAILED_SHARE} % or more of an hour's attempts failed or were skipped. Look at Failures by kind "
                "and Skips: one kind alone is a limitation of the framework or of the infrastructure.",
                pages=False,
            ),
            "IdenticalResults": Rule(
                of.own(metrics.IDENTICAL, statistic="Sum", period=Duration.hours(1)),
                IDENTICAL_REPORTS,
                "Several candidates measured exactly as the incumbent, or as each other. Compare their source "
                "hashes with the incumbent's: the planner repeats itself, or the wrong source is measured.",
                pages=False,
            ),
            "Stagnation": Rule(
                of.stagnation(),
                1,
                "A day of attempts brought no adoption. Read the latest hypotheses and reasons, consider another "
                "model, prompt or lineage, or pause to save the money.",
                pages=False,
            ),
        }

    def _money_rules(self, of: LineageMetrics) -> dict[str, Rule]:
        used = of.own(metrics.BUDGET_USED, statistic="Maximum")
        return {
            "Budget80": Rule(
                used,
                80,
                "80 % of today's dollars are spent. Nothing breaks: at 100 % no further cycle begins until midnight "
                "UTC. Raise daily_budget_usd or pause if it comes too early.",
                pages=False,
            ),
            "Budget100": Rule(
                used,
                100,
                "Today's dollars are spent and the loop waits for midnight UTC. Look at Dollars by day and Tokens "
                "for what has changed before you raise daily_budget_usd.",
                pages=False,
                # An expected stop: it is shown, and nobody is told.
                notifies=False,
            ),
        }

    def _host_rules(self, of: LineageMetrics, instance_id: str) -> dict[str, Rule]:
        """Return the rules of the orchestrator host, if there is one."""
        if not instance_id:
            return {}
        checks = cw.Metric(
            namespace="AWS/EC2",
            metric_name="StatusCheckFailed",
            dimensions_map={"InstanceId": instance_id},
            statistic="Maximum",
            period=Duration.minutes(5),
            # A label turns it into metric math, which is left out locally, as the instance is.
            label="failed status checks",
        )
        return {
            # A stopped instance has no checks, which is no failure.
            "HostUnhealthy": Rule(
                checks,
                1,
                "The orchestrator host fails its status checks. Look at the instance's system log, then recover or "
                "replace it: what it knows is in the tables and the bucket, and the loop goes on without it.",
                periods=2,
            ),
            "HostAway": Rule(
                of.own(metrics.HOST_AWAY, statistic="Sum"),
                1,
                "A framework tool call found no host: the instance did not start, its agent is not registered, or the "
                "program fails. Read the call's message and the host's command log; a new deployment "
                "replaces the host.",
            ),
            "HostLeftOn": Rule(
                checks.with_(
                    statistic="SampleCount", period=Duration.hours(1), label="checks of a running host"
                ),
                CHECKS_AN_HOUR,
                f"The orchestrator host has run for {LEFT_ON_HOURS} hours, although it stops itself when it has no "
                "calls. Read the journal of codec-evolution-idle.service, and stop the instance by hand.",
                periods=LEFT_ON_HOURS,
                pages=False,
            ),
        }

    def _alarm(self, prefix: str, name: str, rule: Rule) -> cw.Alarm:
        return cw.Alarm(
            self,
            name,
            alarm_name=f"{prefix}-{name}",
            alarm_description=rule.what,
            metric=rule.of,
            threshold=rule.threshold,
            comparison_operator=AT_LEAST,
            evaluation_periods=rule.periods,
            treat_missing_data=QUIET,
        )

    def _topic(self, email: str) -> sns.Topic:
        topic = sns.Topic(self, "Topic", display_name="Codec evolution alarms", enforce_ssl=True)
        # A topic policy replaces the default one, so the alarms need a statement of their own.
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[service("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )
        if email:
            topic.add_subscription(cast(sns.ITopicSubscription, subscriptions.EmailSubscription(email)))
        return topic


def _audit_rules(machine: sfn.IStateMachine) -> dict[str, Rule]:
    return {
        "AuditsFailed": Rule(
            machine.metric_failed(period=Duration.minutes(5), statistic="Sum"),
            1,
            "A full-size audit failed outside of what it can say of its segments; the loop goes on. Open the "
            "execution in Step Functions, mend what the failed state names, and repeat the audit by command.",
            pages=False,
        ),
    }
