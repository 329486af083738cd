"""The orchestrator host: one instance that edits its own checkout of the framework, through SSM Run Command only.

It has no key pair and no inbound rule, and its role can neither update a function nor read a credential. One document
per tool passes one JSON argument to the host program; the guard on the host decides. With ``framework_host=on_demand``
FrameworkTool starts the instance when a tool is called, and the instance stops itself when no call came for a while,
which takes no right of anybody.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import jsii
from aws_cdk import ArnFormat, AssetHashType, BundlingOptions, DockerImage, Duration, ILocalBundling, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_ssm as ssm
from codec_evolution.framework.tool_specs import HOST_TOOLS
from constructs import Construct

from infra.assets import ROOT
from infra.capabilities.host_findings import acknowledge_host_rights, acknowledge_instance
from infra.capabilities.log_groups import log_group
from infra.capabilities.roles import acknowledge_versions, acknowledge_wildcard, allow, role_of, service_role
from infra.data_stack import DataStack
from infra.settings import Settings

PREFIX = "framework/"
"""The host's part of the artifact bucket."""

CALL_TIMEOUT_S = 230
"""Of one command; FrameworkTool waits 240 s for it."""

DISK_GIB = 16
REQUEST_PATTERN = "^(bucket|[A-Za-z0-9+/=]+)$"
RESULT_PATTERN = "^[0-9a-f]{64}$"
"""What Systems Manager accepts as the documents' parameters.

The agent compiles them with RE2, which repeats nothing more than 1000 times; `hosts.INLINE_BYTES` bounds a request.
"""

BOOT_TIMEOUT = Duration.minutes(15)
"""How long a deployment waits for the signal that a new instance is set up."""

SCRIPTS = Path(__file__).with_name("host_files")
"""Folder of `HOST_FILES`, and of the script ``install`` that runs at the first boot."""

HOST_FILES = (
    *("call", "restore", "idle", "orchestrator.service"),
    *("idle.service", "idle.timer", "patch.service", "patch.timer"),
)
"""What the script `install` installs."""

FRAMEWORK = ("functions", "layers", "prompts", "sandbox_container", "tests")
LEFT_OUT = ("__pycache__", "windows", "downloads")
"""Folders that make up the checkout, and names that are left out of them."""

_AGENT_ACTIONS = [
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
    "ec2messages:AcknowledgeMessage",
    "ec2messages:DeleteMessage",
    "ec2messages:FailMessage",
    "ec2messages:GetEndpoint",
    "ec2messages:GetMessages",
    "ec2messages:SendReply",
]


@jsii.implements(ILocalBundling)
class _FrameworkBundler:
    """Copies the framework's files, keeping their paths."""

    def try_bundle(self, output_dir: str, *_: Any, **__: Any) -> bool:
        for path in framework_files():
            target = Path(output_dir) / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        return True


class FrameworkHost(Construct):
    """Network, instance, documents and log of the orchestrator host.

    Attributes
    ----------
    documents : dict[str, ssm.CfnDocument]
        The SSM document of each tool.
    """

    def __init__(self, scope: Construct, construct_id: str, *, data: DataStack, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        self._data, self._bucket = data, data.artifacts
        # What commands did on the host is evidence that must not go with it.
        self.log_group = log_group(self, "Commands", outlives_app=True)
        self._framework = self._asset()
        self.role = self._role()
        self.instance = self._instance(settings)
        # Looked up by each call: a new AMI replaces the instance, but publishes no version of the function.
        self._instance_id = ssm.StringParameter(
            self,
            "InstanceId",
            string_value=self.instance.instance_id,
            description="Codec evolution: the orchestrator host",
        )
        self.documents = {tool: self._document(tool) for tool in HOST_TOOLS}

    def serve(
        self, function: lambda_.Function, benchmark: lambda_.IFunction, published: list[lambda_.Function]
    ) -> None:
        """Let one function send commands to this host, check releases, and publish amended code.

        Parameters
        ----------
        function
            FrameworkTool.
        benchmark
            What checks a release.
        published
            The functions whose code the planner may amend.
        """
        names = {tool: document.ref for tool, document in self.documents.items()}
        for name, value in {
            "FRAMEWORK_HOST": self._instance_id.parameter_name,
            "FRAMEWORK_DOCUMENTS": Stack.of(self).to_json_string(names),
            "FRAMEWORK_LOG_GROUP": self.log_group.log_group_name,
            "BENCHMARK_FUNCTION": benchmark.function_arn,
            "PUBLISHED_FUNCTIONS": ",".join(each.function_name for each in published),
        }.items():
            function.add_environment(name, value)
        self._allow_commands(function)
        _allow_publishing(function, benchmark, published)

    def _allow_commands(self, function: lambda_.Function) -> None:
        stack = Stack.of(self)
        documents = [
            stack.format_arn(service="ssm", resource="document", resource_name=document.ref)
            for document in self.documents.values()
        ]
        instance = stack.format_arn(
            service="ec2", resource="instance", resource_name=self.instance.instance_id
        )
        allow(function, ["ssm:SendCommand"], [*documents, instance])
        allow(function, ["ssm:GetParameter"], [self._instance_id.parameter_arn])
        allow(function, ["ec2:StartInstances"], [instance])
        allow(function, ["ssm:DescribeInstanceInformation", "ssm:GetCommandInvocation"], ["*"])
        acknowledge_wildcard(
            role_of(function),
            "Resource::*",
            "Both actions offer no resource to name; they read the state of agents and commands and start nothing.",
        )

    def _asset(self) -> assets.Asset:
        digest = hashlib.sha256()
        for path in framework_files():
            digest.update(f"\0{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
        return assets.Asset(
            self,
            "Framework",
            path=str(ROOT / "prompts"),
            asset_hash_type=AssetHashType.CUSTOM,
            asset_hash=digest.hexdigest(),
            bundling=BundlingOptions(image=DockerImage.from_registry("scratch"), local=_FrameworkBundler()),
        )

    def _role(self) -> iam.IRole:
        role = service_role(self, "Role", "ec2.amazonaws.com")
        bucket, asset = self._bucket, self._framework
        code = Stack.of(self).format_arn(
            service="s3",
            region="",
            account="",
            resource=asset.s3_bucket_name,
            resource_name=asset.s3_object_key,
        )
        allow(role, _AGENT_ACTIONS, ["*"])
        allow(role, ["s3:GetObject"], [code])
        allow(
            role,
            ["s3:GetObject"],
            [bucket.arn_for_objects(f"{PREFIX}{part}/*") for part in ("requests", "overlay")],
        )
        allow(role, ["s3:PutObject"], [bucket.arn_for_objects(f"{PREFIX}results/*")])
        role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[bucket.bucket_arn],
                conditions={"StringLike": {"s3:prefix": f"{PREFIX}*"}},
            )
        )
        self.log_group.grant(role, "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams")
        # The agent lists the groups before it writes, which IAM authorises against all of them.
        groups = Stack.of(self).format_arn(
            service="logs",
            resource="log-group",
            resource_name="*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        allow(role, ["logs:DescribeLogGroups"], [groups])
        acknowledge_host_rights(role, self._data)
        return role

    def _instance(self, settings: Settings) -> ec2.Instance:
        vpc = self._network()
        data = self._user_data(settings)
        instance = ec2.Instance(
            self,
            "Instance",
            vpc=vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC),
            associate_public_ip_address=True,
            instance_type=ec2.InstanceType("t4g.small"),
            machine_image=ec2.MachineImage.latest_amazon_linux2023(cpu_type=ec2.AmazonLinuxCpuType.ARM_64),
            security_group=self._closed_group(vpc),
            role=self.role,
            http_endpoint=True,
            http_tokens=ec2.HttpTokens.REQUIRED,
            http_put_response_hop_limit=1,
            instance_initiated_shutdown_behavior=ec2.InstanceInitiatedShutdownBehavior.STOP,
            block_devices=[
                ec2.BlockDevice(
                    device_name="/dev/xvda",
                    volume=ec2.BlockDeviceVolume.ebs(
                        DISK_GIB, encrypted=True, volume_type=ec2.EbsDeviceVolumeType.GP3
                    ),
                )
            ],
            user_data=data,
            user_data_causes_replacement=True,
            resource_signal_timeout=BOOT_TIMEOUT,
        )
        # Tells CloudFormation how the boot script ended, so that a host without its program fails the deployment.
        data.add_signal_on_exit_command(instance)
        acknowledge_instance(instance)
        return instance

    def _network(self) -> ec2.Vpc:
        vpc = ec2.Vpc(
            self,
            "Network",
            max_azs=1,
            nat_gateways=0,
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=28)
            ],
        )
        traffic = log_group(self, "HostNetwork", outlives_app=True)
        vpc.add_flow_log("Traffic", destination=ec2.FlowLogDestination.to_cloud_watch_logs(traffic))
        return vpc

    def _closed_group(self, vpc: ec2.Vpc) -> ec2.SecurityGroup:
        closed = ec2.SecurityGroup(
            self,
            "NothingIn",
            vpc=vpc,
            allow_all_outbound=False,
            description="The orchestrator host: nothing in, only HTTPS out",
        )
        closed.add_egress_rule(
            ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "Systems Manager, S3 and package repositories"
        )
        return closed

    def _user_data(self, settings: Settings) -> ec2.UserData:
        """Return the boot script: it installs the program as root, creates its account and restores the checkout."""
        host = {
            "checkout": "/var/lib/codec-evolution/checkout",
            "state": "/var/lib/codec-evolution/state",
            "guard": "/opt/codec-evolution/framework/layers/common/python/codec_evolution/data/guard.toml",
            "manifest": "/opt/codec-evolution/manifest.json",
            "python": "/opt/codec-evolution/venv/bin/python",
            "tools": settings.framework_tools,
            "autonomy": settings.framework_autonomy,
            "approve_commands": False,
            "user": "codec-framework",
            "deployed": "/opt/codec-evolution/framework",
            "restart": "codec-evolution-orchestrator.service",
        }
        files = {name: (SCRIPTS / name).read_text("utf-8") for name in HOST_FILES}
        data = ec2.UserData.for_linux()
        data.add_commands(
            "set -euo pipefail",
            f"export BUCKET={self._bucket.bucket_name} REGION={Stack.of(self).region}",
            f"export CODE=s3://{self._framework.s3_bucket_name}/{self._framework.s3_object_key}",
            f"export HOST_SETTINGS='{json.dumps(host)}' FRAMEWORK_HOST={settings.framework_host}",
            *(_here_document(f"/root/{name}", text) for name, text in files.items()),
            *(SCRIPTS / "install").read_text("utf-8").splitlines(),
        )
        return data

    def _document(self, tool: str) -> ssm.CfnDocument:
        name = "".join(word.capitalize() for word in tool.split("_"))
        content = {
            "schemaVersion": "2.2",
            "description": f"Codec evolution: {tool} on the orchestrator host",
            "parameters": {
                "Request": {
                    "type": "String",
                    "description": "One JSON document in base64, or the word bucket",
                    "allowedPattern": REQUEST_PATTERN,
                    "interpolationType": "ENV_VAR",
                },
                "Result": {
                    "type": "String",
                    "description": "Name of the result in the bucket",
                    "allowedPattern": RESULT_PATTERN,
                    "interpolationType": "ENV_VAR",
                },
            },
            "mainSteps": [
                {
                    "action": "aws:runShellScript",
                    "name": name,
                    "precondition": {"StringEquals": ["platformType", "Linux"]},
                    "inputs": {
                        "timeoutSeconds": str(CALL_TIMEOUT_S),
                        "runCommand": [f"exec /opt/codec-evolution/bin/call {tool}"],
                    },
                }
            ],
        }
        return ssm.CfnDocument(
            self,
            name,
            content=content,
            document_type="Command",
            document_format="JSON",
            target_type="/AWS::EC2::Instance",
            update_method="NewVersion",
        )


def framework_files() -> list[Path]:
    """Return every file of the framework that the host's checkout starts with, sorted."""
    found = [
        path
        for name in FRAMEWORK
        for path in (ROOT / name).rglob("*")
        if path.is_file()
        and not any(part in LEFT_OUT or part.startswith(".") for part in path.relative_to(ROOT).parts)
    ]
    return sorted([*found, ROOT / "pyproject.toml"])


def _allow_publishing(
    function: lambda_.Function, benchmark: lambda_.IFunction, published: list[lambda_.Function]
) -> None:
    functions = [each.function_arn for each in published]
    versions = [f"{each}:*" for each in functions]
    allow(function, ["lambda:InvokeFunction"], [benchmark.function_arn, *versions])
    allow(
        function,
        [
            "lambda:GetAlias",
            "lambda:GetFunction",
            "lambda:GetFunctionConfiguration",
            # What the local emulator asks for where AWS asks for GetAlias and UpdateAlias; it only reads.
            "lambda:ListAliases",
            "lambda:PublishVersion",
            "lambda:UpdateAlias",
            "lambda:UpdateFunctionCode",
        ],
        [*functions, *versions],
    )
    for each in published:
        acknowledge_versions(role_of(function), each)


def _here_document(path: str, text: str) -> str:
    return f"cat > {path} <<'END_OF_FILE'\n{text}END_OF_FILE"
