"""Lowers a synthesised template to what the emulator can run, as a pure function.

Python and image functions become ``provided.al2023`` functions. Their bootstrap starts AWS's own runtime client
(``awslambdaric``) from our environment in the checkout's folders. Resource types that the emulator lacks are left out
by name; any type that is neither supported nor left out is an error.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import re
import shlex
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codec_sandbox.clip_directory import CLIP_DIRECTORY, CLIPS_VARIABLE
from codec_sandbox.template import TEMPLATE_VARIABLE

from infra.errors import UserError
from infra.local import maps, rights

PACKAGE_BUCKET = "codec-evolution-local-packages"
"""Bucket of the lowered functions' code and of the templates."""

RUNTIME = "provided.al2023"
"""Lambda runtime of every lowered function."""

LOCAL_IMAGE_VARIABLES = {CLIPS_VARIABLE: str(CLIP_DIRECTORY), TEMPLATE_VARIABLE: ""}
"""Of image functions; an image holds its clips itself."""

LEFT_OUT = frozenset(
    {
        "AWS::CloudWatch::CompositeAlarm",
        "AWS::CodeBuild::Project",
        "AWS::EC2::FlowLog",
        "AWS::EC2::Instance",
        "AWS::S3::BucketPolicy",
        "AWS::SQS::QueuePolicy",
        "AWS::SSM::Document",
        "AWS::StepFunctions::StateMachineAlias",
        "AWS::StepFunctions::StateMachineVersion",
    }
)
"""Types that the emulator lacks, would only pretend to run (CodeBuild), or that require TLS (the policies)."""

SUPPORTED = frozenset(
    {
        "AWS::CDK::Metadata",
        "AWS::CloudWatch::Alarm",
        "AWS::CloudWatch::Dashboard",
        "AWS::DynamoDB::GlobalTable",
        "AWS::EC2::InternetGateway",
        "AWS::EC2::LaunchTemplate",
        "AWS::EC2::Route",
        "AWS::EC2::RouteTable",
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::Subnet",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::VPC",
        "AWS::EC2::VPCEndpoint",
        "AWS::EC2::VPCGatewayAttachment",
        "AWS::ECR::Repository",
        "AWS::Events::Rule",
        "AWS::IAM::InstanceProfile",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::KMS::Alias",
        "AWS::KMS::Key",
        "AWS::Lambda::Alias",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::Function",
        "AWS::Lambda::LayerVersion",
        "AWS::Lambda::Permission",
        "AWS::Lambda::Version",
        "AWS::Logs::LogGroup",
        "AWS::SNS::Subscription",
        "AWS::SNS::Topic",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::Queue",
        "AWS::SSM::Parameter",
        "AWS::Scheduler::Schedule",
        "AWS::Scheduler::ScheduleGroup",
        "AWS::SecretsManager::Secret",
        "AWS::StepFunctions::StateMachine",
    }
)
"""Types that the pinned emulator supports and that this app uses or may use."""

NAMED_ANYWAY = frozenset({"AWS::CodeBuild::Project", "AWS::EC2::Instance", "AWS::SSM::Document"})
"""Types that are left out although functions and permissions refer to them.

The local host takes the place of instance and documents; no image is built locally, and the host says so.
"""

_PUBLIC_PARAMETER = "/aws/service/"
_CDK_HASH = re.compile(r"[0-9a-f]{32}$")
"""The end of a version's logical id in the CDK: a hash of the function as it would be on AWS."""


@dataclass(frozen=True)
class Lowered:
    """A template for the emulator.

    Attributes
    ----------
    template : dict[str, Any]
        The lowered CloudFormation template.
    packages : dict[str, bytes]
        Zip archives to put into `PACKAGE_BUCKET` before deploying, by object key.
    buckets : list[str]
        Buckets to create before deploying, if they are missing.
    """

    template: dict[str, Any]
    packages: dict[str, bytes]
    buckets: list[str]


@dataclass(frozen=True)
class Checkout:
    """The interpreter, folders and variables with which local functions run.

    Attributes
    ----------
    assembly : Path
        Folder of the cloud assembly, to which asset paths are relative.
    python : Path
        Interpreter with ``awslambdaric`` and everything that the handlers import.
    environment : Mapping[str, str]
        Overrides of environment variables; each applies only to functions that have the variable.
    handlers : Mapping[str, str]
        Handlers of this machine that take the place of a function's own, by the name of its folder.
    """

    assembly: Path
    python: Path
    environment: Mapping[str, str]
    handlers: Mapping[str, str] = field(default_factory=dict)


def lower(template: Mapping[str, Any], manifest: Mapping[str, Any], checkout: Checkout) -> Lowered:
    """Lower one stack's template.

    Parameters
    ----------
    template : Mapping[str, Any]
        The synthesised template; it is not changed.
    manifest : Mapping[str, Any]
        The stack's asset manifest (``<stack>.assets.json``).
    checkout : Checkout
        Interpreter, folders and overrides.

    Raises
    ------
    UserError
        If a type is unknown, a resource refers to one that is left out, or a function's code is not an asset of the
        manifest.
    """
    lowered = copy.deepcopy(dict(template))
    _fix_parameters(lowered)
    resources: dict[str, Any] = lowered["Resources"]
    layers = {name: each for name, each in resources.items() if each["Type"] == "AWS::Lambda::LayerVersion"}
    packages = dict(
        _lower_function(name, each["Properties"], layers, manifest, checkout)
        for name, each in resources.items()
        if each["Type"] == "AWS::Lambda::Function"
    )
    rights.widen(resources)
    maps.make_inline(resources)
    buckets = _buckets(resources)
    lowered = _replaced(lowered, _stand_ins(resources, buckets))
    resources = lowered["Resources"]
    gone = {name for name, each in resources.items() if _is_left_out(each)}
    for name in [name for name, each in resources.items() if each["Type"] in NAMED_ANYWAY]:
        resources.update({other: _without(each, name) for other, each in resources.items() if other != name})
    _leave_out(lowered, {*layers, *buckets, *gone})
    _check_types(resources)
    return Lowered(_with_versions_by_content(lowered), packages, sorted(buckets.values()))


def _fix_parameters(template: Mapping[str, Any]) -> None:
    """Give a value to parameters that name a public parameter of AWS: the emulator has none of those."""
    for parameter in template.get("Parameters", {}).values():
        if str(parameter.get("Default", "")).startswith(_PUBLIC_PARAMETER):
            parameter.update(Type="String", Default="ami-00000000000000000")


def _check_types(resources: Mapping[str, Any]) -> None:
    if unknown := sorted({each["Type"] for each in resources.values()} - SUPPORTED):
        types = ", ".join(unknown)
        raise UserError(f"no local form is known for {types}: support it or leave it out by name")


def _lower_function(
    name: str,
    properties: dict[str, Any],
    layers: Mapping[str, Any],
    manifest: Mapping[str, Any],
    checkout: Checkout,
) -> tuple[str, bytes]:
    image = _image_folder(properties, manifest, checkout.assembly)
    if image is not None:
        folder, handler = image, _image_handler(image)
    elif str(properties.get("Runtime", "")).startswith("python"):
        folder = _asset_folder(name, properties["Code"].get("S3Key"), manifest, checkout.assembly)
        handler = checkout.handlers.get(folder.name, properties["Handler"])
    else:
        raise UserError(f"{name} has the runtime {properties.get('Runtime')!r}, which cannot run locally")
    paths = [folder]
    for layer in properties.get("Layers", []):
        archive = layers[layer["Ref"]]["Properties"]["Content"].get("S3Key")
        paths.append(_asset_folder(layer["Ref"], archive, manifest, checkout.assembly) / "python")
    package = _package(folder, [path for path in paths if path.is_dir()], checkout.python)
    key = f"{hashlib.sha256(package).hexdigest()}.zip"
    # The Map bounds concurrency; throttling by the emulator would look like a dead sandbox.
    for gone in ("PackageType", "ImageConfig", "Layers", "ReservedConcurrentExecutions"):
        properties.pop(gone, None)
    properties.update(Runtime=RUNTIME, Handler=handler, Code={"S3Bucket": PACKAGE_BUCKET, "S3Key": key})
    variables: dict[str, str] = properties.setdefault("Environment", {}).setdefault("Variables", {})
    variables |= LOCAL_IMAGE_VARIABLES if image else {}
    variables.update({key: value for key, value in checkout.environment.items() if key in variables})
    return key, package


def _image_folder(properties: Mapping[str, Any], manifest: Mapping[str, Any], assembly: Path) -> Path | None:
    if "ImageUri" not in properties["Code"]:
        return None
    uri = json.dumps(properties["Code"]["ImageUri"])
    for digest, image in manifest.get("dockerImages", {}).items():
        if digest in uri:
            return assembly / image["source"]["directory"]
    raise UserError(f"the image {uri} is not an asset of this stack")


def _image_handler(folder: Path) -> str:
    commands = [line for line in (folder / "Dockerfile").read_text().splitlines() if line.startswith("CMD ")]
    try:
        return str(json.loads(commands[-1][len("CMD ") :])[0])
    except (IndexError, ValueError):
        raise UserError(f'{folder / "Dockerfile"} does not end with CMD ["<module>.<function>"]') from None


def _asset_folder(name: str, key: str | None, manifest: Mapping[str, Any], assembly: Path) -> Path:
    for asset in manifest.get("files", {}).values():
        if any(place["objectKey"] == key for place in asset["destinations"].values()):
            return assembly / asset["source"]["path"]
    raise UserError(f"the code of {name} is not an asset of this stack")


def _package(folder: Path, paths: list[Path], python: Path) -> bytes:
    bootstrap = "\n".join(
        [
            "#!/bin/sh",
            'package=$(readlink -f "$0")',
            f"cd {shlex.quote(str(folder))} || exit 1",
            f"export LAMBDA_TASK_ROOT={shlex.quote(str(folder))}",
            # As on AWS, the function's own package precedes its layers.
            f'export PYTHONPATH="$(dirname "$package")":{shlex.quote(":".join(str(path) for path in paths))}',
            f'exec {shlex.quote(str(python))} -m awslambdaric "$_HANDLER"',
            "",
        ]
    )
    with zipfile.ZipFile(archive := io.BytesIO(), "w") as writer:
        entry = zipfile.ZipInfo("bootstrap", (1980, 1, 1, 0, 0, 0))
        entry.external_attr = 0o755 << 16
        writer.writestr(entry, bootstrap)
    return archive.getvalue()


def _buckets(resources: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of the buckets, which are created outside of the stack.

    When the emulator is killed, it keeps objects but forgets the stack, and a new stack would choose a new name.
    """
    return {
        name: each["Properties"].get("BucketName", f"codec-evolution-local-{name.lower()}")
        for name, each in resources.items()
        if each["Type"] == "AWS::S3::Bucket"
    }


def _stand_ins(resources: Mapping[str, Any], buckets: Mapping[str, str]) -> dict[tuple[str, str], Any]:
    """Return what replaces a reference, by resource and attribute; a `Ref` has the attribute ``Ref``."""
    found: dict[tuple[str, str], Any] = {}
    for name, bucket in buckets.items():
        found[name, "Ref"] = bucket
        found[name, "Arn"] = f"arn:aws:s3:::{bucket}"
    for name, each in resources.items():
        if each["Type"] == "AWS::SecretsManager::Secret":
            # On AWS both are the ARN; the emulator's Ref is the name, which matches no policy.
            found[name, "Ref"] = {"Fn::GetAtt": [name, "Id"]}
        if each["Type"] == "AWS::StepFunctions::StateMachineAlias":
            # The alias of the version of a machine: the machine itself.
            (route,) = each["Properties"]["RoutingConfiguration"]
            version = resources[route["StateMachineVersionArn"]["Ref"]]
            found[name, "Ref"] = version["Properties"]["StateMachineArn"]
    return found


def _replaced(node: Any, stand_ins: Mapping[tuple[str, str], Any]) -> Any:
    if isinstance(node, list):
        return [_replaced(value, stand_ins) for value in node]
    if not isinstance(node, dict):
        return node
    if len(node) == 1 and isinstance(node.get("Ref"), str):
        return stand_ins.get((node["Ref"], "Ref"), node)
    if len(node) == 1 and isinstance(node.get("Fn::GetAtt"), list):
        return stand_ins.get(tuple(node["Fn::GetAtt"]), node)
    return {key: _replaced(value, stand_ins) for key, value in node.items()}


def _is_left_out(resource: Mapping[str, Any]) -> bool:
    if resource["Type"] == "AWS::CloudWatch::Alarm":
        return "Metrics" in resource["Properties"]  # metric math, which the emulator refuses
    return resource["Type"] in LEFT_OUT


def _leave_out(template: dict[str, Any], gone: set[str]) -> None:
    resources = template["Resources"]
    for name in gone:
        del resources[name]
    for name, resource in resources.items():
        needs = resource.pop("DependsOn", [])
        if kept := [each for each in ([needs] if isinstance(needs, str) else needs) if each not in gone]:
            resource["DependsOn"] = kept
        if used := sorted(set(_references(resource)) & gone):
            raise UserError(f"{name} refers to {used[0]}, which is left out locally")
    for name, output in list(template.get("Outputs", {}).items()):
        if set(_references(output)) & gone:
            del template["Outputs"][name]


def _without(node: Any, gone: str) -> Any:
    """Replace references to a resource that the local host takes the place of by a plain name."""
    if isinstance(node, list):
        return [_without(value, gone) for value in node]
    if not isinstance(node, dict):
        return node
    target = node.get("Fn::GetAtt")
    if node.get("Ref") == gone or (isinstance(target, list) and target[0] == gone):
        return f"local-{gone}"
    return {key: _without(value, gone) for key, value in node.items()}


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("Ref"), str):
            yield node["Ref"]
        if "Fn::GetAtt" in node:
            target = node["Fn::GetAtt"]
            yield target[0] if isinstance(target, list) else str(target).split(".")[0]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _with_versions_by_content(template: dict[str, Any]) -> dict[str, Any]:
    """Name each published version after its lowered function alone.

    A changed override then publishes a new version, and a change that the lowering removes (handlers run from the
    checkout) does not publish the same function twice, which Lambda refuses.
    """
    resources = template["Resources"]
    names = {}
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Lambda::Version":
            function = resources[resource["Properties"]["FunctionName"]["Ref"]]
            content = json.dumps(function["Properties"], sort_keys=True).encode()
            names[name] = f"{_CDK_HASH.sub('', name)[:200]}{hashlib.sha256(content).hexdigest()[:32]}"
    renamed: dict[str, Any] = _renamed(template, names)
    renamed["Resources"] = {names.get(name, name): each for name, each in renamed["Resources"].items()}
    return renamed


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    if isinstance(node, list):
        return [_renamed(value, names) for value in node]
    if not isinstance(node, dict):
        return node
    changed = {key: _renamed(value, names) for key, value in node.items()}
    if isinstance(node.get("Ref"), str):
        changed["Ref"] = names.get(node["Ref"], node["Ref"])
    if isinstance(node.get("Fn::GetAtt"), list):
        target, *attribute = node["Fn::GetAtt"]
        changed["Fn::GetAtt"] = [names.get(target, target), *attribute]
    if "DependsOn" in node:
        needs = node["DependsOn"]
        changed["DependsOn"] = [
            names.get(each, each) for each in ([needs] if isinstance(needs, str) else needs)
        ]
    return changed
