"""Builds the sandbox image in CodeBuild: with a package for candidates after a person's approval, or at a deployment.

FrameworkTool starts a build when an operator approves; neither the host nor the planner can. The end of the build
starts PublishImage, which checks the image and moves the benchmark's alias, or leaves the alias where it was.

With ``image_build=codebuild`` a custom resource, the function FirstImage, has the image of the deployed sources built
before the benchmark is created or updated.
"""

from __future__ import annotations

import hashlib
import json
from typing import cast

from aws_cdk import Aws, CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_sqs as sqs
from codec_evolution.adapters.images import KEPT_TAG
from constructs import Construct

from infra.assets import NOT_CODE, ROOT
from infra.base_image import base_image
from infra.capabilities.grants import objects_finding
from infra.capabilities.log_groups import log_group
from infra.capabilities.roles import acknowledge_versions, acknowledge_wildcard, allow, role_of, service
from infra.data_stack import DataStack
from infra.nag import acknowledge
from infra.settings import PYTHON_VERSION

LOCKS = "framework/images"
"""Prefix of the approved lock files; FrameworkTool writes them and the build reads them."""

PUSH = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
]
"""Actions for pushing an image to the repository."""

BUILD_TIMEOUT = Duration.minutes(40)
FIRST_TIMEOUT = Duration.minutes(16)
"""How long a deployment waits for FirstImage, which itself lives for at most 15 minutes."""
QUEUED_TIMEOUT = Duration.minutes(30)
KEPT_IMAGES = 10
"""Older images are deleted: of those that the benchmark ran, and of all others."""

ENDED = ["SUCCEEDED", "FAILED", "FAULT", "TIMED_OUT", "STOPPED"]
"""States in which a build is over."""

BUILD_SPEC = {
    "version": "0.2",
    "env": {"exported-variables": ["IMAGE", "BASE_IMAGE"]},
    "phases": {
        "pre_build": {
            "on-failure": "ABORT",
            "commands": [
                '[ -n "$IMAGE_TAG" ] || [ "${#LOCK_SHA256}" -eq 64 ]',
                '[ -n "$IMAGE_TAG" ] || '
                'aws s3 cp --quiet "s3://$BUCKET/$LOCKS/$LOCK_SHA256/requirements.lock" requirements.lock',
                '[ -n "$IMAGE_TAG" ] || echo "$LOCK_SHA256  requirements.lock" | sha256sum --check --strict',
                'aws ecr get-login-password | docker login --username AWS --password-stdin "${REPOSITORY%%/*}"',
            ],
        },
        "build": {
            "on-failure": "ABORT",
            "commands": [
                'TAG="${IMAGE_TAG:-$LOCK_SHA256-$CODEBUILD_BUILD_NUMBER}"',
                'docker pull --quiet --platform linux/amd64 "$BASE_IMAGE"',
                # By its digest: what is recorded as the base is what the image is built on.
                "export BASE_IMAGE=$(docker inspect --format '{{index .RepoDigests 0}}' \"$BASE_IMAGE\")",
                '[ -n "$BASE_IMAGE" ]',
                # Lambda takes one plain manifest, no index with attestations.
                'docker build --provenance=false --platform linux/amd64 --build-arg PYTHON_VERSION="$PYTHON_VERSION" '
                '--build-arg BASE_IMAGE="$BASE_IMAGE" --tag "$REPOSITORY:$TAG" .',
                'docker push --quiet "$REPOSITORY:$TAG"',
                "export IMAGE=$(docker inspect --format '{{index .RepoDigests 0}}' \"$REPOSITORY:$TAG\")",
                '[ -n "$IMAGE" ]',
            ],
        },
    },
}
"""The hash ensures that the lock file is the approved one; everything else is the source as deployed.

With a tag, which only FirstImage gives, the lock file is that of the source, too.
"""


class SandboxImage(Construct):
    """Repository, build project, and the rule that notifies PublishImage of the end of a build.

    Attributes
    ----------
    project : codebuild.Project
        Started only by FrameworkTool, for an operator, and by FirstImage, for a deployment.
    """

    def __init__(self, scope: Construct, construct_id: str, *, data: DataStack) -> None:
        super().__init__(scope, construct_id)
        self._data, self._bucket = data, data.artifacts
        self.repository = self._repository()
        self._source = assets.Asset(
            self, "Source", path=str(ROOT / "sandbox_container"), exclude=[*NOT_CODE, "clips/downloads"]
        )
        self.project = self._project()

    def deployed(self, builder: lambda_.Function) -> CustomResource:
        """Return the image of the deployed sources, which is built before the resource counts as made.

        Parameters
        ----------
        builder
            FirstImage; it gets the rights to start builds and to look for the image.
        """
        builder.add_environment("IMAGE_PROJECT", self.project.project_name)
        builder.add_environment("IMAGE_REPOSITORY", self.repository.repository_name)
        allow(builder, ["codebuild:StartBuild", "codebuild:BatchGetBuilds"], [self.project.project_arn])
        allow(builder, ["ecr:DescribeImages"], [self.repository.repository_arn])
        image = CustomResource(
            self,
            "Deployed",
            service_token=builder.function_arn,
            resource_type="Custom::SandboxImage",
            properties={"Tag": self.deployed_tag},
            service_timeout=FIRST_TIMEOUT,
        )
        # The roles with their policies: the rights to start a build, and those of the build itself.
        roles = role_of(builder), self.node.find_child("Role")
        image.node.add_dependency(*roles, self.project)
        return image

    @property
    def deployed_tag(self) -> str:
        """The tag of the deployed sources' image: one of those that are kept, by all that determines the image."""
        spec = json.dumps([BUILD_SPEC, PYTHON_VERSION, base_image()])
        digest = hashlib.sha256(f"{self._source.asset_hash}{spec}".encode()).hexdigest()
        return f"{KEPT_TAG}{digest[:40]}"

    def serve(
        self,
        starter: lambda_.Function,
        publisher: lambda_.Function,
        publisher_alias: lambda_.IFunction,
        benchmark: lambda_.Function,
        lost: sqs.IQueue,
    ) -> None:
        """Let one function start builds, and another one publish the built image to the benchmark.

        Parameters
        ----------
        starter
            FrameworkTool.
        publisher, publisher_alias
            PublishImage.
        benchmark
            The function that runs the image.
        lost
            Receives the notices of ended builds that EventBridge could not deliver.
        """
        starter.add_environment("IMAGE_PROJECT", self.project.project_name)
        allow(starter, ["codebuild:StartBuild"], [self.project.project_arn])
        for name, value in {
            "IMAGE_PROJECT": self.project.project_name,
            "BENCHMARK_FUNCTION": benchmark.function_name,
        }.items():
            publisher.add_environment(name, value)
        self._allow_publishing(publisher, benchmark)
        self._notify(publisher_alias, lost)

    def _allow_publishing(self, publisher: lambda_.Function, benchmark: lambda_.Function) -> None:
        versions = f"{benchmark.function_arn}:*"
        allow(publisher, ["codebuild:BatchGetBuilds"], [self.project.project_arn])
        allow(publisher, ["lambda:InvokeFunction"], [versions])
        allow(
            publisher,
            [
                "lambda:GetAlias",
                "lambda:GetFunction",
                "lambda:PublishVersion",
                "lambda:UpdateAlias",
                "lambda:UpdateFunctionCode",
            ],
            [benchmark.function_arn, versions],
        )
        acknowledge_versions(role_of(publisher), benchmark)
        # Lambda requires these of whoever gives a function an image; reverting uses the deployed image.
        deployed = Stack.of(self).format_arn(
            service="ecr",
            resource="repository",
            resource_name=f"cdk-*-container-assets-{Aws.ACCOUNT_ID}-{Aws.REGION}",
        )
        allow(
            publisher,
            ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:GetRepositoryPolicy"],
            [self.repository.repository_arn, deployed],
        )
        allow(publisher, ["ecr:PutImage"], [self.repository.repository_arn])
        acknowledge_wildcard(
            role_of(publisher),
            "Resource::arn:<AWS::Partition>:ecr:<AWS::Region>:<AWS::AccountId>:repository/"
            "cdk-*-container-assets-<AWS::AccountId>-<AWS::Region>",
            "The name of the bootstrap's image repository holds the qualifier that the account was bootstrapped with.",
        )

    def _repository(self) -> ecr.Repository:
        repository = ecr.Repository(
            self,
            "Images",
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            # An image that the first rule selects is never expired by the second.
            lifecycle_rules=[
                ecr.LifecycleRule(rule_priority=1, tag_prefix_list=[KEPT_TAG], max_image_count=KEPT_IMAGES),
                ecr.LifecycleRule(rule_priority=2, max_image_count=KEPT_IMAGES),
            ],
            removal_policy=RemovalPolicy.DESTROY,
            empty_on_delete=True,
        )
        stack = Stack.of(self)
        functions = stack.format_arn(service="lambda", resource="function:*")
        repository.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[service("lambda.amazonaws.com")],
                actions=["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                conditions={"ArnLike": {"aws:SourceArn": functions}},
            )
        )
        return repository

    def _project(self) -> codebuild.Project:
        source, group = self._source, log_group(self, "Build")
        role = self._role(source, group)
        project = codebuild.Project(
            self,
            "Project",
            description="Builds the sandbox image from an approved lock file",
            # The construct would let the role read the whole asset bucket.
            role=role.without_policy_updates(),
            source=codebuild.Source.s3(bucket=source.bucket, path=source.s3_object_key),
            build_spec=codebuild.BuildSpec.from_object(BUILD_SPEC),
            environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxBuildImage.STANDARD_7_0,
                compute_type=codebuild.ComputeType.SMALL,
                privileged=True,
            ),
            environment_variables=self._variables(),
            timeout=BUILD_TIMEOUT,
            queued_timeout=QUEUED_TIMEOUT,
            grant_report_group_permissions=False,
            logging=codebuild.LoggingOptions(cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=group)),
        )
        acknowledge(
            project,
            "CB4",
            "The build has no artifact to encrypt: its image is in the repository and its log in CloudWatch, and its "
            "source is the framework as it was deployed.",
        )
        return project

    def _variables(self) -> dict[str, codebuild.BuildEnvironmentVariable]:
        """Return the variables of a build; those that are empty are set when it is started."""
        values = {
            "BUCKET": self._bucket.bucket_name,
            "LOCKS": LOCKS,
            "REPOSITORY": self.repository.repository_uri,
            "PYTHON_VERSION": PYTHON_VERSION,
            "BASE_IMAGE": base_image(),
            "LOCK_SHA256": "",
            "IMAGE_TAG": "",
            "MODIFICATION_ID": "",
        }
        return {name: codebuild.BuildEnvironmentVariable(value=value) for name, value in values.items()}

    def _role(self, source: assets.Asset, group: logs.LogGroup) -> iam.Role:
        """Create the role of a build: its source, the approved lock files, its log, and pushing to this repository."""
        role = iam.Role(self, "Role", assumed_by=service("codebuild.amazonaws.com"))
        code = Stack.of(self).format_arn(
            service="s3",
            region="",
            account="",
            resource=source.s3_bucket_name,
            resource_name=source.s3_object_key,
        )
        allow(role, ["s3:GetObject", "s3:GetObjectVersion"], [code])
        allow(role, ["s3:GetBucketAcl", "s3:GetBucketLocation"], [source.bucket.bucket_arn])
        allow(role, ["s3:GetObject"], [self._bucket.arn_for_objects(f"{LOCKS}/*")])
        allow(role, ["ecr:GetAuthorizationToken"], ["*"])
        allow(role, PUSH, [self.repository.repository_arn])
        group.grant_write(role)
        acknowledge_wildcard(
            role,
            objects_finding(self._data, f"{LOCKS}/*"),
            "Lock files are keyed by their hash, so their names are not known here; nothing else is below this prefix.",
        )
        acknowledge_wildcard(
            role,
            "Resource::*",
            "GetAuthorizationToken offers no resource to name; what the token may do is said by the other statements.",
        )
        return role

    def _notify(self, publisher: lambda_.IFunction, lost: sqs.IQueue) -> None:
        rule = events.Rule(
            self,
            "BuildEnded",
            description="Tells PublishImage that a build of the sandbox image ended",
            event_pattern=events.EventPattern(
                source=["aws.codebuild"],
                detail_type=["CodeBuild Build State Change"],
                detail={"project-name": [self.project.project_name], "build-status": ENDED},
            ),
        )
        message = events.RuleTargetInput.from_object(
            {"build": events.EventField.from_path("$.detail.build-id")}
        )
        target = targets.LambdaFunction(publisher, event=message, retry_attempts=2, dead_letter_queue=lost)
        rule.add_target(cast(events.IRuleTarget, target))
