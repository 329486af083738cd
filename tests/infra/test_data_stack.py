"""What must outlive the app: tables, bucket and secrets."""

from __future__ import annotations

import json

import pytest

from tests.support.templates import Resources, named, of_type


def test_every_table_is_on_demand_recoverable_and_protected_from_deletion(data_resources: Resources) -> None:
    tables = list(of_type(data_resources, "AWS::DynamoDB::GlobalTable"))
    assert len(tables) == 3
    for table in tables:
        assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
        assert table["Properties"]["BillingMode"] == "PAY_PER_REQUEST"
        (replica,) = table["Properties"]["Replicas"]
        assert replica["DeletionProtectionEnabled"] is True
        assert replica["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True


@pytest.mark.parametrize(
    ("table", "keys", "indexes"),
    [
        (
            "EvolutionRecord",
            ["lineage", "attempt_id"],
            {
                "by_status": ["lineage", "status", "attempt_id"],
                "by_version": ["lineage", "adopted_version"],
                "by_source": ["source_key", "attempt_id"],
            },
        ),
        ("LoopControl", ["lineage", "item"], {}),
        (
            "FrameworkModifications",
            ["host", "modification_id"],
            {
                "by_status": ["host", "status", "modification_id"],
                "by_file": ["host", "file", "modification_id"],
            },
        ),
    ],
)
def test_tables_have_the_keys_and_indexes_of_the_design(
    data_resources: Resources, table: str, keys: list[str], indexes: dict[str, list[str]]
) -> None:
    properties = named(data_resources, "AWS::DynamoDB::GlobalTable", table)["Properties"]
    assert [key["AttributeName"] for key in properties["KeySchema"]] == keys
    found = {
        index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]]
        for index in properties.get("GlobalSecondaryIndexes", [])
    }
    assert found == indexes
    types = {each["AttributeName"]: each["AttributeType"] for each in properties["AttributeDefinitions"]}
    assert {name for name, kind in types.items() if kind == "N"} <= {"adopted_version"}
    for index in properties.get("GlobalSecondaryIndexes", []):
        assert len(index["Projection"]["NonKeyAttributes"]) <= 20, "DynamoDB's limit for one index"


def test_the_bucket_is_private_encrypted_versioned_and_kept(data_resources: Resources) -> None:
    bucket = named(data_resources, "AWS::S3::Bucket", "Artifacts")
    assert bucket["DeletionPolicy"] == "Retain"
    assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
    policy = json.dumps(named(data_resources, "AWS::S3::BucketPolicy", "Artifacts")["Properties"])
    assert '"aws:SecureTransport": "false"' in policy


def test_versions_that_were_replaced_expire_and_no_current_object_does(data_resources: Resources) -> None:
    bucket = named(data_resources, "AWS::S3::Bucket", "Artifacts")["Properties"]
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}
    assert "ExpirationInDays" not in rule


def test_secrets_hold_no_value_in_the_template_and_are_kept(data_resources: Resources) -> None:
    secrets = list(of_type(data_resources, "AWS::SecretsManager::Secret"))
    assert len(secrets) == 2
    for secret in secrets:
        assert secret["DeletionPolicy"] == "Retain"
        assert not {"SecretString", "GenerateSecretString"} & set(secret["Properties"])
