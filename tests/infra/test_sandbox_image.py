"""The build of the sandbox image: who starts it, what it may do, and what its commands do."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from codec_evolution import artifacts
from codec_evolution.adapters.images import KEPT_TAG, WAIT
from codec_evolution.adapters.publish import CHECK_TIMEOUT_S, NOT_YET_WAITS_S
from codec_evolution.framework.modifications import IMAGE_LOCK

from infra.assets import ROOT
from infra.base_image import base_image
from infra.capabilities import functions
from infra.capabilities.sandbox_image import BUILD_SPEC, LOCKS
from tests.infra.test_environment import reads, variables
from tests.support.assemblies import OTHER_SERVICES
from tests.support.aws_calls import actions_of
from tests.support.policies import ACCOUNT, REGION, decision
from tests.support.templates import allowed as allowed_actions

Resources = dict[str, dict[str, Any]]


def of_type(resources: Resources, kind: str) -> list[dict[str, Any]]:
    return [each["Properties"] for each in resources.values() if each["Type"] == kind]


def allowed(resources: Resources, action: str) -> dict[str, list[Any]]:
    """Return the resources of an action by the start of the policy's name."""
    return {
        name.split("Role")[0]: _list(each["Resource"])
        for name, policy in resources.items()
        if policy["Type"] == "AWS::IAM::Policy"
        for each in policy["Properties"]["PolicyDocument"]["Statement"]
        if each["Effect"] == "Allow" and action in _list(each["Action"])
    }


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.fixture
def project(app_resources: Resources) -> dict[str, Any]:
    (found,) = of_type(app_resources, "AWS::CodeBuild::Project")
    return found


def test_neither_host_nor_planner_starts_a_build(app_resources):
    starters = allowed(app_resources, "codebuild:StartBuild")
    assert list(starters) == ["FunctionsFrameworkTool"]
    assert [list(each) for each in starters["FunctionsFrameworkTool"]] == [["Fn::GetAtt"]]


def test_only_the_publisher_changes_the_benchmark_and_it_changes_nothing_else(app_resources):
    updaters = allowed(app_resources, "lambda:UpdateFunctionCode")
    assert "SandboxBenchmark" in json.dumps(updaters["FunctionsPublishImage"])
    assert "SandboxBenchmark" not in json.dumps(updaters["FunctionsFrameworkTool"])
    assert "Functions" not in json.dumps(updaters["FunctionsPublishImage"])


def test_a_build_reads_its_source_and_approved_lock_files_and_pushes_to_one_repository(app_resources):
    statements = [
        each
        for name, policy in app_resources.items()
        if policy["Type"] == "AWS::IAM::Policy" and name.startswith("SandboxImageRole")
        for each in policy["Properties"]["PolicyDocument"]["Statement"]
    ]
    services = {action.split(":")[0] for each in statements for action in _list(each["Action"])}
    assert services == {"s3", "logs", "ecr"}
    wide = [_list(each["Action"]) for each in statements if each["Resource"] == "*"]
    assert wide == [["ecr:GetAuthorizationToken"]]
    reads = [json.dumps(each["Resource"]) for each in statements if "s3:GetObject" in _list(each["Action"])]
    assert len(reads) == 2
    assert any("/framework/images/*" in each for each in reads)
    pushes = [each for each in statements if "ecr:PutImage" in _list(each["Action"])]
    assert [list(each["Resource"]) for each in pushes] == [["Fn::GetAtt"]]
    assert not {"s3:PutObject", "s3:DeleteObject"} & {a for each in statements for a in _list(each["Action"])}


def test_the_project_is_bounded_and_builds_from_the_framework_as_deployed(project, app_resources):
    assert (project["TimeoutInMinutes"], project["QueuedTimeoutInMinutes"]) == (40, 30)
    environment = project["Environment"]
    assert (environment["Type"], environment["PrivilegedMode"]) == ("LINUX_CONTAINER", True)
    assert project["Source"]["Type"] == "S3"
    assert project["Artifacts"] == {"Type": "NO_ARTIFACTS"}
    assert project["LogsConfig"]["CloudWatchLogs"]["Status"] == "ENABLED"
    names = {each["Name"] for each in environment["EnvironmentVariables"]}
    assert names == {
        "BUCKET",
        "LOCKS",
        "REPOSITORY",
        "PYTHON_VERSION",
        "BASE_IMAGE",
        "LOCK_SHA256",
        "IMAGE_TAG",
        "MODIFICATION_ID",
    }
    assert artifacts.image_lock("x") == f"{LOCKS}/x/requirements.lock"
    assert artifacts.framework_overlay(IMAGE_LOCK) == functions.IMAGE_LOCK


def test_the_repository_keeps_what_lambda_may_pull_and_no_tag_is_moved(app_resources):
    (repository,) = of_type(app_resources, "AWS::ECR::Repository")
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert "imageCountMoreThan" in repository["LifecyclePolicy"]["LifecyclePolicyText"]
    (statement,) = repository["RepositoryPolicyText"]["Statement"]
    assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert "aws:SourceArn" in statement["Condition"]["ArnLike"]


def test_the_end_of_a_build_and_nothing_else_starts_the_publisher(app_resources):
    (rule,) = of_type(app_resources, "AWS::Events::Rule")
    pattern = rule["EventPattern"]
    assert pattern["source"] == ["aws.codebuild"]
    assert list(pattern["detail"]["project-name"][0]) == ["Ref"]
    assert set(pattern["detail"]["build-status"]) == {"SUCCEEDED", "FAILED", "FAULT", "TIMED_OUT", "STOPPED"}
    (target,) = rule["Targets"]
    assert target["InputTransformer"]["InputTemplate"] == '{"build":<detail-build-id>}'
    assert "PublishImageLive" in json.dumps(target["Arn"])


# --- the commands ------------------------------------------------------------------------------------

LOCK = "numpy==1 \\\n    --hash=sha256:0\n"
SHA256 = hashlib.sha256(LOCK.encode()).hexdigest()
AWS = """#!/bin/sh
echo "aws $*" >> "$CALLS"
case "$1 $2" in
  "s3 cp") printf '%s' "$BUCKET_HAS" > "$5" ;;
  "ecr get-login-password") echo password ;;
esac
"""
DOCKER = """#!/bin/sh
echo "docker $*" >> "$CALLS"
[ "$1" != "$FAILS" ] || exit 1
case "$1" in
  login) cat > /dev/null ;;
  inspect) case "$4" in base*) echo "base@sha256:def" ;; *) echo "1.dkr.example/images@sha256:abc" ;; esac ;;
esac
"""


def build(folder: Path, **variables: str) -> tuple[int, str, list[str]]:
    """Run the commands as CodeBuild does: one shell, until one fails; returns its status, IMAGE, and the calls."""
    tools = folder / "bin"
    tools.mkdir()
    for name, text in (("aws", AWS), ("docker", DOCKER)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    phases = BUILD_SPEC["phases"]
    commands = [each for phase in ("pre_build", "build") for each in phases[phase]["commands"]]
    script = "\n".join(f"{each} || exit 1" for each in commands) + '\nprintf "%s" "$IMAGE" > image\n'
    environment = {
        "PATH": f"{tools}:/usr/bin:/bin",
        "CALLS": str(folder / "calls"),
        "BUCKET": "bucket",
        "LOCKS": LOCKS,
        "LOCK_SHA256": SHA256,
        "BUCKET_HAS": LOCK,
        "REPOSITORY": "1.dkr.example/images",
        "PYTHON_VERSION": "3.13",
        "BASE_IMAGE": "base:3.13",
        "CODEBUILD_BUILD_NUMBER": "5",
        "FAILS": "",
        "IMAGE_TAG": "",
        **variables,
    }
    done = subprocess.run(["sh", "-c", script], cwd=folder, env=environment, timeout=20, check=False)
    calls = (folder / "calls").read_text().splitlines() if (folder / "calls").exists() else []
    image = (folder / "image").read_text() if (folder / "image").exists() else ""
    return done.returncode, image, calls


def test_a_build_takes_the_approved_lock_file_and_names_the_image_by_its_digest(tmp_path):
    status, image, calls = build(tmp_path)
    assert (status, image) == (0, "1.dkr.example/images@sha256:abc")
    assert (tmp_path / "requirements.lock").read_text() == LOCK
    tag = f"1.dkr.example/images:{SHA256}-5"
    # The two ends of a pipe start in no order.
    assert sorted(calls) == sorted(
        [
            f"aws s3 cp --quiet s3://bucket/framework/images/{SHA256}/requirements.lock requirements.lock",
            "aws ecr get-login-password",
            "docker login --username AWS --password-stdin 1.dkr.example",
            "docker pull --quiet --platform linux/amd64 base:3.13",
            "docker inspect --format {{index .RepoDigests 0}} base:3.13",
            "docker build --provenance=false --platform linux/amd64 --build-arg PYTHON_VERSION=3.13 "
            f"--build-arg BASE_IMAGE=base@sha256:def --tag {tag} .",
            f"docker push --quiet {tag}",
            f"docker inspect --format {{{{index .RepoDigests 0}}}} {tag}",
        ]
    )
    assert len(f"{SHA256}-5") <= 128, "the limit of a tag"


@pytest.mark.parametrize(
    ("variables", "reached"),
    [
        ({"LOCK_SHA256": ""}, 0),
        ({"LOCK_SHA256": "../../other"}, 0),
        ({"BUCKET_HAS": "evil==1\n"}, 1),
        ({"FAILS": "pull"}, 4),
        ({"FAILS": "build"}, 6),
        ({"FAILS": "push"}, 7),
    ],
    ids=[
        "no hash",
        "no hash but a path",
        "another lock file",
        "no base",
        "the build fails",
        "the push fails",
    ],
)
def test_a_build_of_anything_else_ends_without_an_image(tmp_path, variables, reached):
    status, image, calls = build(tmp_path, **variables)
    assert (status, image) == (1, "")
    assert len(calls) == reached


def test_the_image_needs_nothing_from_docker_hub():
    """Its rate limits count all users of a shared address, such as CodeBuild's."""
    dockerfile = (ROOT / "sandbox_container/Dockerfile").read_text()
    assert "syntax=" not in dockerfile
    (base,) = re.findall(r"^ARG BASE_IMAGE=(\S+)$", dockerfile, re.MULTILINE)
    assert base == base_image().partition("@")[0].replace("3.13", "${PYTHON_VERSION}")
    assert base.startswith("public.ecr.aws/")
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"${BASE_IMAGE}"}


def test_the_build_proves_that_the_interpreter_starts_without_an_environment():
    """So does the zygote; the base image's interpreter may find its library by LD_LIBRARY_PATH alone."""
    (step,) = re.findall(
        r"^RUN (.*ldconfig.*)$", (ROOT / "sandbox_container/Dockerfile").read_text(), re.MULTILINE
    )
    told, cached, proved = step.split(" && ")
    assert told == "echo /var/lang/lib > /etc/ld.so.conf.d/lambda-python.conf"
    assert (cached, proved) == ("ldconfig", "env -i \"/var/lang/bin/python${PYTHON_VERSION}\" -c ''")


def test_images_that_were_live_are_counted_apart_from_those_that_never_were(app_resources):
    (repository,) = of_type(app_resources, "AWS::ECR::Repository")
    rules = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    first, second = sorted(rules, key=lambda rule: rule["rulePriority"])
    assert first["selection"]["tagPrefixList"] == [KEPT_TAG]
    assert second["selection"]["tagStatus"] == "any"


def test_publish_image_has_time_for_its_worst_case():
    waiting = WAIT["Delay"] * WAIT["MaxAttempts"]
    # The image is taken, becomes active, is examined twice, and on a fault the one before is taken back.
    worst_s = 3 * waiting + 2 * (CHECK_TIMEOUT_S + sum(NOT_YET_WAITS_S))
    assert worst_s + 60 <= functions.SIZES["PublishImage"].timeout_s


def test_the_source_of_a_build_is_what_the_dockerfile_copies():
    dockerfile = (ROOT / "sandbox_container/Dockerfile").read_text()
    copied = re.findall(r"^COPY (?:--from=\S+ )?(\S+) ", dockerfile, re.MULTILINE)
    assert "requirements.lock" in copied
    for name in copied:
        assert name.startswith("/") or (ROOT / "sandbox_container" / name).exists()


# --- a deployment without Docker ---------------------------------------------------------------------

TAG = "live-0123456789012345678901234567890123456789"


def test_a_build_for_a_deployment_takes_the_lock_file_of_the_sources(tmp_path):
    status, image, calls = build(tmp_path, IMAGE_TAG=TAG, LOCK_SHA256="")
    assert (status, image) == (0, "1.dkr.example/images@sha256:abc")
    assert not any(each.startswith("aws s3") for each in calls)
    assert f"docker push --quiet 1.dkr.example/images:{TAG}" in calls


@pytest.fixture(scope="module")
def without_docker(synthesised) -> dict[str, Any]:
    assembly = synthesised(OTHER_SERVICES)
    assert not json.loads((assembly / "CodecEvolutionApp.assets.json").read_text())["dockerImages"]
    return json.loads((assembly / "CodecEvolutionApp.template.json").read_text())


def test_the_benchmark_waits_for_the_image_that_the_account_builds(without_docker):
    resources = without_docker["Resources"]
    (name,) = [name for name, each in resources.items() if each["Type"] == "Custom::SandboxImage"]
    image = resources[name]
    tag = image["Properties"]["Tag"]
    (function,) = [
        each
        for each in resources.values()
        if each["Type"] == "AWS::Lambda::Function" and each["Properties"].get("PackageType") == "Image"
    ]
    uri = json.dumps(function["Properties"]["Code"]["ImageUri"])
    assert "SandboxImageImages" in uri and f":{tag}" in uri
    assert name in function["DependsOn"]
    (project,) = [name for name, each in resources.items() if each["Type"] == "AWS::CodeBuild::Project"]
    rights = [each for each in image["DependsOn"] if resources[each]["Type"] == "AWS::IAM::Policy"]
    assert project in image["DependsOn"]
    assert {each.partition("RoleDefaultPolicy")[0] for each in rights} == {
        "FunctionsFirstImage",
        "SandboxImage",
    }
    assert re.fullmatch(r"live-[0-9a-f]{40}", tag), "the repository keeps what is tagged like this"
    assert without_docker["Outputs"]["SandboxImageDigest"]["Value"] == {"Fn::GetAtt": [name, "Digest"]}
    assert without_docker["Outputs"]["SandboxBaseImage"]["Value"] == {"Fn::GetAtt": [name, "BaseImage"]}


def test_a_deployment_waits_for_the_build_for_a_bounded_time(without_docker):
    (image,) = of_type(without_docker["Resources"], "Custom::SandboxImage")
    assert functions.SIZES[functions.FIRST_IMAGE].timeout_s < int(image["ServiceTimeout"]) <= 3600


def test_the_function_of_the_first_image_builds_and_looks_and_may_do_nothing_else(without_docker):
    resources = without_docker["Resources"]
    handler = ROOT / "functions/first_image/handler.py"
    assert actions_of(handler) == {"codebuild:BatchGetBuilds", "codebuild:StartBuild", "ecr:DescribeImages"}
    assert allowed_actions(resources, "FunctionsFirstImage") == {
        *("codebuild:BatchGetBuilds", "codebuild:StartBuild", "ecr:DescribeImages"),
        *("logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTelemetryRecords", "xray:PutTraceSegments"),
    }
    assert set(variables(resources, handler.parent.name)) == reads(handler)
    starters = allowed(resources, "codebuild:StartBuild")
    assert set(starters) == {"FunctionsFirstImage", "FunctionsFrameworkTool"}


def test_lambda_may_pull_the_built_image_and_only_for_functions_of_this_account(without_docker):
    (repository,) = of_type(without_docker["Resources"], "AWS::ECR::Repository")
    policy = repository["RepositoryPolicyText"]["Statement"]

    def may_pull(source: str) -> str:
        return decision(
            [{**each, "Resource": "*"} for each in policy],
            action="ecr:BatchGetImage",
            resource="*",
            service="lambda.amazonaws.com",
            context={"aws:SourceArn": source},
        )

    assert may_pull(f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:benchmark") == "Allow"
    assert may_pull(f"arn:aws:lambda:{REGION}:999999999999:function:other") == ""


def test_a_machine_with_docker_needs_no_resource_that_builds(app_resources):
    assert "Custom::SandboxImage" not in {each["Type"] for each in app_resources.values()}


def test_an_alarm_still_reads_no_more_metrics_than_cloudwatch_takes(without_docker):
    for alarm in of_type(without_docker["Resources"], "AWS::CloudWatch::Alarm"):
        assert sum("MetricStat" in each for each in alarm.get("Metrics", [])) <= 10
