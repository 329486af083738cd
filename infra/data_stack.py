"""What must outlive the app: tables, artifacts and secrets. Destroying the app leaves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from aws_cdk import Aws, CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from codec_evolution.framework import modifications
from codec_evolution.record import LISTED
from constructs import Construct

from infra.nag import acknowledge

OLD_VERSION_DAYS = 90
"""How long the bucket keeps an object's older versions; no current one ever expires."""

STRING, NUMBER = dynamodb.AttributeType.STRING, dynamodb.AttributeType.NUMBER


class DataStack(Stack):
    """The three tables, the artifact bucket and the two secrets."""

    def __init__(self, scope: Construct, construct_id: str, *, tags: Mapping[str, str]) -> None:
        super().__init__(
            scope,
            construct_id,
            description="Codec evolution: record, artifacts and secrets",
            tags=tags,
            termination_protection=True,
        )
        self.evolution_record = _table(
            self,
            "EvolutionRecord",
            ("lineage", "attempt_id"),
            [
                _index("by_status", ["lineage", "status"], ("attempt_id", STRING), LISTED),
                _index("by_version", ["lineage"], ("adopted_version", NUMBER), LISTED),
                _index("by_source", ["source_key"], ("attempt_id", STRING), LISTED),
            ],
        )
        self.loop_control = _table(self, "LoopControl", ("lineage", "item"), [])
        self.framework_modifications = _table(
            self,
            "FrameworkModifications",
            ("host", "modification_id"),
            [
                _index("by_status", ["host", "status"], ("modification_id", STRING), modifications.LISTED),
                _index("by_file", ["host", "file"], ("modification_id", STRING), modifications.LISTED),
            ],
        )
        self.artifacts = _bucket(self)
        self.anthropic_secret = _secret(self, "AnthropicSecret", "Anthropic API key, read by the planner")
        self.github_secret = _secret(self, "GithubSecret", "GitHub token or GitHub App key, read by Commit")
        self._outputs()

    def _outputs(self) -> None:
        for name, value in {
            "EvolutionRecordTable": self.evolution_record.table_name,
            "LoopControlTable": self.loop_control.table_name,
            "FrameworkModificationsTable": self.framework_modifications.table_name,
            "ArtifactBucket": self.artifacts.bucket_name,
            "AnthropicSecretArn": self.anthropic_secret.secret_arn,
            "GithubSecretArn": self.github_secret.secret_arn,
        }.items():
            CfnOutput(self, name, value=value)
        console = f"https://{Aws.REGION}.console.aws.amazon.com/dynamodbv2/home?region={Aws.REGION}"
        for name, table in {
            "EvolutionRecordUrl": self.evolution_record,
            "LoopControlUrl": self.loop_control,
            "FrameworkModificationsUrl": self.framework_modifications,
        }.items():
            CfnOutput(self, name, value=f"{console}#item-explorer?table={table.table_name}")


def _table(
    scope: Construct,
    name: str,
    keys: tuple[str, str],
    indexes: list[dynamodb.GlobalSecondaryIndexPropsV2],
) -> dynamodb.TableV2:
    return dynamodb.TableV2(
        scope,
        name,
        partition_key=dynamodb.Attribute(name=keys[0], type=STRING),
        sort_key=dynamodb.Attribute(name=keys[1], type=STRING),
        billing=dynamodb.Billing.on_demand(),
        point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
            point_in_time_recovery_enabled=True
        ),
        deletion_protection=True,
        removal_policy=RemovalPolicy.RETAIN,
        global_secondary_indexes=indexes,
    )


def _index(
    name: str, partition: list[str], sort: tuple[str, dynamodb.AttributeType], columns: Sequence[str]
) -> dynamodb.GlobalSecondaryIndexPropsV2:
    keys = {*partition, sort[0]}
    return dynamodb.GlobalSecondaryIndexPropsV2(
        index_name=name,
        partition_keys=[dynamodb.Attribute(name=key, type=STRING) for key in partition],
        sort_keys=[dynamodb.Attribute(name=sort[0], type=sort[1])],
        projection_type=dynamodb.ProjectionType.INCLUDE,
        non_key_attributes=[column for column in columns if column not in keys],
    )


def _bucket(scope: Construct) -> s3.Bucket:
    bucket = s3.Bucket(
        scope,
        "Artifacts",
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        encryption=s3.BucketEncryption.S3_MANAGED,
        enforce_ssl=True,
        versioned=True,
        lifecycle_rules=[
            s3.LifecycleRule(
                noncurrent_version_expiration=Duration.days(OLD_VERSION_DAYS),
                abort_incomplete_multipart_upload_after=Duration.days(7),
            )
        ],
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        removal_policy=RemovalPolicy.RETAIN,
    )
    acknowledge(
        bucket,
        "S1",
        "Only this app's own functions may read the bucket, and CloudTrail data events are the operator's choice; "
        "a second bucket for access logs would tell nothing that they do not.",
    )
    return bucket


def _secret(scope: Construct, name: str, description: str) -> secretsmanager.Secret:
    secret = secretsmanager.Secret(scope, name, description=description, removal_policy=RemovalPolicy.RETAIN)
    # Empty until the operator stores the credential; a generated value would pass for one.
    resource = cast(secretsmanager.CfnSecret, secret.node.default_child)
    resource.add_property_deletion_override("GenerateSecretString")
    acknowledge(
        secret,
        "SMG4",
        "The credential is issued by another company and put here by the operator; there is no interface by which "
        "Secrets Manager could rotate it.",
    )
    return secret
