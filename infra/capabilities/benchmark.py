"""The benchmark: a container-image function that can reach nothing and may do nothing."""

from __future__ import annotations

from aws_cdk import ArnFormat, Duration, Size, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.assets import ROOT
from infra.base_image import base_image
from infra.capabilities.aliases import live_alias
from infra.capabilities.log_groups import log_group
from infra.capabilities.roles import acknowledge_wildcard, allow, service_role
from infra.settings import PYTHON_VERSION, Settings

NAME = "Benchmark"
"""Name of the function among those that the state machine invokes."""

MEMORY_MB = 3538
"""Two vCPUs: Lambda provides one per 1769 MB."""

CORES = 2
CORES_VARIABLE = "CODEC_SANDBOX_CORES"
"""Workers at a time; the environment may show a third core, of which the function has no share."""

WINDOW_CORES_VARIABLE = "CODEC_SANDBOX_WINDOW_CORES"
"""The same where a request names one window; locally fewer, because other windows are measured beside it."""

PACKAGES_VARIABLE = "CODEC_SANDBOX_PACKAGES"
"""Folder of the packages that a person has approved for candidates: in the image, that of all packages."""

ONE_BLAS_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""For the handler's own numpy: the others would spin, from the import on, beside the workers that are measured."""

TASK_ROOT = "/var/task"
"""Where Lambda's images have the function."""

TIMEOUT_S = 900
"""Lambda's maximum."""

SCRATCH_MB = 1024
"""Size of ``/tmp``."""

_INTERFACE_ACTIONS = [
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
]


class Benchmark(Construct):
    """The sandbox image in subnets without an outbound route, an endpoint or a security group rule.

    Parameters
    ----------
    image
        The image in a repository; None for one that the deploying machine builds.

    Attributes
    ----------
    alias : lambda_.IFunction
        The alias that the state machine invokes.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        image: lambda_.DockerImageCode | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._stack = Stack.of(self)
        self.vpc = self._isolated_network()
        group = log_group(self, NAME)
        role = self._role()
        group.grant_write(role)
        self.function = lambda_.DockerImageFunction(
            self,
            NAME,
            code=image or _built_here(),
            architecture=lambda_.Architecture.X86_64,
            role=role,
            log_group=group,
            logging_format=lambda_.LoggingFormat.JSON,
            memory_size=MEMORY_MB,
            timeout=Duration.seconds(TIMEOUT_S),
            environment={
                **settings.variables("library_codecs"),
                CORES_VARIABLE: str(CORES),
                WINDOW_CORES_VARIABLE: str(CORES),
                PACKAGES_VARIABLE: TASK_ROOT,
                **ONE_BLAS_THREAD,
            },
            ephemeral_storage_size=Size.mebibytes(SCRATCH_MB),
            vpc=self.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            security_groups=[self._closed_group()],
            reserved_concurrent_executions=settings.reserved_concurrency,
        )
        self.alias = live_alias(self, NAME, self.function)

    def _closed_group(self) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self,
            "Closed",
            vpc=self.vpc,
            allow_all_outbound=False,
            description="The benchmark: nothing in, nothing out",
        )

    def _isolated_network(self) -> ec2.Vpc:
        vpc = ec2.Vpc(
            self,
            "Network",
            max_azs=2,
            nat_gateways=0,
            # The default group is unused; restricting it would need a custom resource with rights of its own.
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="Isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24
                )
            ],
        )
        # A candidate that tries to reach the network leaves a line here.
        vpc.add_flow_log(
            "Rejected",
            traffic_type=ec2.FlowLogTrafficType.REJECT,
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(log_group(self, "Network")),
        )
        return vpc

    def _role(self) -> iam.IRole:
        """Create the function's role: its log group, and the network interface that Lambda creates for it.

        Lambda creates the interface with the function's role. The code itself is denied the same actions, by the
        condition key ``lambda:SourceFunctionArn``, which only calls made by the code carry.
        """
        role = service_role(self, f"{NAME}Role", "lambda.amazonaws.com")
        allow(role, _INTERFACE_ACTIONS, ["*"])
        own_code = self._stack.format_arn(
            service="lambda",
            resource="function",
            resource_name=f"{self._stack.stack_name}-*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        role.add_to_principal_policy(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                actions=_INTERFACE_ACTIONS,
                resources=["*"],
                conditions={"ArnLike": {"lambda:SourceFunctionArn": own_code}},
            )
        )
        acknowledge_wildcard(
            role,
            "Resource::*",
            "Lambda needs these EC2 actions to attach the function to its subnets and EC2 offers no narrower "
            "resource; a Deny takes them from the function's own code.",
        )
        return role


def _built_here() -> lambda_.DockerImageCode:
    return lambda_.DockerImageCode.from_image_asset(
        str(ROOT / "sandbox_container"),
        platform=ecr_assets.Platform.LINUX_AMD64,
        build_args={"PYTHON_VERSION": PYTHON_VERSION, "BASE_IMAGE": base_image()},
    )
