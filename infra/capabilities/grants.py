"""Permissions of functions on the tables, the artifacts and the models: each names what the function owns."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.capabilities.roles import acknowledge_wildcard, allow, role_of
from infra.data_stack import DataStack
from infra.settings import Settings

OPERATORS_PREFIX = "operators/"
"""Prefix of the held-out figures; no function that a model steers may read below it."""

QUERY = "dynamodb:Query"
"""The action that reads an index."""


def objects_finding(data: DataStack, pattern: str) -> str:
    """Return cdk-nag's name for objects of the artifact bucket: the rendered cross-stack reference."""
    return (
        f'Resource::{{"Fn::GetStackOutput":{{"StackName":"{data.stack_name}","Region":{{"Ref":"AWS::Region"}},'
        f'"OutputName":"PublishOutputFnGetAttArtifacts82DD59A1Arn203AF0AE"}}}}/{pattern}'
    )


class Grants(Construct):
    """A construct whose functions use the data stack."""

    def __init__(self, scope: Construct, construct_id: str, *, data: DataStack, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        self._data = data
        self._settings = settings

    def _allow_table(
        self,
        function: lambda_.Function,
        table: dynamodb.TableV2,
        actions: Sequence[str],
        indexes: Sequence[str] = (),
    ) -> None:
        allow(function, actions, [table.table_arn])
        if indexes:
            allow(function, [QUERY], [f"{table.table_arn}/index/{name}" for name in indexes])

    def _allow_writes(
        self,
        function: lambda_.Function,
        table: dynamodb.TableV2,
        actions: Sequence[str],
        attributes: Sequence[str] = (),
    ) -> None:
        """Let a function write items of the deployment's lineages; with `attributes`, only these and the keys."""
        conditions = {"dynamodb:LeadingKeys": list(self._settings.lineages)}
        if attributes:
            conditions["dynamodb:Attributes"] = ["lineage", "item", *attributes]
            if table is self._data.evolution_record:
                conditions["dynamodb:Attributes"] = ["lineage", "attempt_id", *attributes]
        role_of(function).add_to_principal_policy(
            iam.PolicyStatement(
                actions=list(actions),
                resources=[table.table_arn],
                conditions={"ForAllValues:StringEquals": conditions},
            )
        )

    def _allow_objects(
        self, function: lambda_.Function, *, read: Sequence[str] = (), write: Sequence[str] = ()
    ) -> None:
        """Let a function read and write artifacts whose keys match these patterns."""
        bucket = self._data.artifacts
        for action, patterns in {"s3:GetObject": read, "s3:PutObject": write}.items():
            if patterns:
                allow(function, [action], [bucket.arn_for_objects(pattern) for pattern in patterns])
        for pattern in sorted({each for each in (*read, *write) if "*" in each}):
            acknowledge_wildcard(
                role_of(function),
                objects_finding(self._data, pattern),
                "Artifacts are keyed by attempt, content or call, so their names are not known here.",
            )
        if read:
            # Without it, S3 answers 403 instead of 404 for a missing object.
            allow(function, ["s3:ListBucket"], [bucket.bucket_arn])

    def _deny_other_writes(self, function: lambda_.Function, own: Sequence[str]) -> None:
        """Deny every object but a function's own, so that no later statement lets its code write what judges it."""
        role_of(function).add_to_principal_policy(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                actions=["s3:PutObject"],
                not_resources=[self._data.artifacts.arn_for_objects(pattern) for pattern in own],
            )
        )

    def _deny_operators(self, function: lambda_.Function) -> None:
        role_of(function).add_to_principal_policy(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                actions=["s3:GetObject"],
                resources=[self._data.artifacts.arn_for_objects(f"{OPERATORS_PREFIX}*")],
            )
        )

    def _allow_bedrock(self, function: lambda_.Function) -> None:
        """Let a function call models on Bedrock's Messages API, in its own account and region."""
        projects = Stack.of(self).format_arn(service="bedrock-mantle", resource="project", resource_name="*")
        allow(function, ["bedrock-mantle:CreateInference", "bedrock-mantle:CountTokens"], [projects])
        acknowledge_wildcard(
            role_of(function),
            "Resource::arn:<AWS::Partition>:bedrock-mantle:<AWS::Region>:<AWS::AccountId>:project/*",
            "Which project serves a call is the account's choice; the actions are inference and counting its tokens.",
        )
