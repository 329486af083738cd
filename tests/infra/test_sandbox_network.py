"""The benchmark function: it can reach nothing and may do nothing."""

from __future__ import annotations

from tests.support.templates import Resources, allowed, named, of_type, statements

NOTHING = {"CidrIp": "255.255.255.255/32", "IpProtocol": "icmp"}


def test_nothing_comes_into_or_goes_out_of_the_sandbox(app_resources: Resources) -> None:
    group = named(app_resources, "AWS::EC2::SecurityGroup", "Sandbox")
    assert "SecurityGroupIngress" not in group["Properties"]
    for rule in group["Properties"]["SecurityGroupEgress"]:
        assert {key: rule[key] for key in NOTHING} == NOTHING, "only the rule that matches no address"


def test_the_sandbox_network_has_no_way_out(app_resources: Resources) -> None:
    sandbox = {name: resource for name, resource in app_resources.items() if name.startswith("Sandbox")}
    kinds = {resource["Type"] for resource in sandbox.values()}
    ways = {
        "AWS::EC2::InternetGateway",
        "AWS::EC2::NatGateway",
        "AWS::EC2::Route",
        "AWS::EC2::VPCEndpoint",
        "AWS::EC2::SecurityGroupIngress",
        "AWS::EC2::SecurityGroupEgress",
        "AWS::EC2::VPCPeeringConnection",
    }
    assert not ways & kinds
    for subnet in of_type(sandbox, "AWS::EC2::Subnet"):
        assert subnet["Properties"]["MapPublicIpOnLaunch"] is False


def test_the_sandbox_role_may_only_log_and_hold_its_interface(app_resources: Resources) -> None:
    interfaces = {
        "ec2:CreateNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:DeleteNetworkInterface",
        "ec2:AssignPrivateIpAddresses",
        "ec2:UnassignPrivateIpAddresses",
    }
    assert allowed(app_resources, "SandboxBenchmark") == {
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        *interfaces,
    }
    (denied,) = [each for each in statements(app_resources, "SandboxBenchmark") if each["Effect"] == "Deny"]
    assert set(denied["Action"]) == interfaces
    assert "lambda:SourceFunctionArn" in denied["Condition"]["ArnLike"]


def test_the_sandbox_function_is_bounded_and_knows_nothing(app_resources: Resources) -> None:
    benchmark = named(app_resources, "AWS::Lambda::Function", "Benchmark")["Properties"]
    assert benchmark["Environment"]["Variables"] == {
        "CODEC_SANDBOX_LIBRARY_CODECS": "off",
        "CODEC_SANDBOX_CORES": "2",
        "OPENBLAS_NUM_THREADS": "1",
        "CODEC_SANDBOX_WINDOW_CORES": "2",
        "CODEC_SANDBOX_PACKAGES": "/var/task",
    }
    opener = named(app_resources, "AWS::Lambda::Function", "OpenCycle")["Properties"]
    assert opener["Environment"]["Variables"]["CODEC_SANDBOX_LIBRARY_CODECS"] == "off"
    assert benchmark["MemorySize"] == 3538
    assert benchmark["Timeout"] == 900
    assert benchmark["EphemeralStorage"] == {"Size": 1024}
    assert benchmark["ReservedConcurrentExecutions"] == 31, (
        "the slots' windows, and one for a release's check"
    )
    assert len(benchmark["VpcConfig"]["SubnetIds"]) == 2
