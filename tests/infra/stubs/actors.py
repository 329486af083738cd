"""Handlers that act out the fate which a slot's id names; the standard library only, so that they start fast."""

import json
import os

_DRAFT = {"stages": ["validate", "smoke"], "configs": []}


class PlannerBroke(Exception):
    pass


def attempt(service, operation, **arguments):
    """What this function's own role gets for a call: the word ok, or the error's code."""
    import boto3
    from botocore.exceptions import ClientError

    try:
        getattr(boto3.client(service), operation)(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "ok"


def plan_trespasses():
    bucket, record = os.environ["ARTIFACT_BUCKET"], os.environ["EVOLUTION_RECORD_TABLE"]
    key = {"lineage": {"S": "main"}, "attempt_id": {"S": "forged"}}
    own, curve = "attempts/main/x/proposal.json", "curves/x/seed.json"
    return {
        "write own artifact": attempt("s3", "put_object", Bucket=bucket, Key=own, Body=b""),
        "read own artifact": attempt("s3", "get_object", Bucket=bucket, Key=own),
        "forge the incumbent's curve": attempt("s3", "put_object", Bucket=bucket, Key=curve, Body=b""),
        "read held-out figures": attempt("s3", "get_object", Bucket=bucket, Key="operators/held_out/x"),
        "read record": attempt("dynamodb", "get_item", TableName=record, Key=key),
        "forge record": attempt("dynamodb", "put_item", TableName=record, Item=key),
        "read own secret": attempt(
            "secretsmanager", "get_secret_value", SecretId=os.environ["ANTHROPIC_SECRET_ARN"]
        ),
        "start a cycle": attempt("stepfunctions", "list_state_machines"),
    }


def open_cycle(event, context):
    given = event["input"]
    if "raise_in_open" in given:
        raise RuntimeError(given["raise_in_open"])
    if "describe_itself" in given:
        described = attempt("stepfunctions", "describe_execution", executionArn=event["execution"])
        others = event["execution"].replace("CodecEvolutionApp-Cycle", "Another")
        return {
            "go": False,
            "reason": [described, attempt("stepfunctions", "describe_execution", executionArn=others)],
        }
    if "refuse" in given:
        return {"go": False, "reason": given["refuse"]}
    if given.get("refuse_pass") == event["pass"]:
        return {"go": False, "reason": "over budget"}
    preparing = event["pass"] < given.get("preparations", 0)
    fates = ["preparation"] if preparing else given["fates"]
    cycle_id = "2026-01-01T00:00:00Z"
    slots = [
        {"attempt_id": f"{cycle_id}#{fate}", "kind": fate, "slot": slot, "seed": f"{fate}-seed"}
        for slot, fate in enumerate(fates)
    ]
    return {"go": True, "lineage": given["lineage"], "cycle_id": cycle_id, "slots": slots, "again": preparing}


def plan(event, context):
    fate, round_, answer = event["item"]["kind"], event["round"], event["answer"]
    spent = {"cost_usd": 0.1, "elapsed_s": 1.0}
    if fate == "plan_raises":
        raise PlannerBroke("out of ideas " + "x" * 1000)
    if fate == "trespasses":
        return {"next": "nothing", "reason": json.dumps(plan_trespasses()), **spent}
    if fate == "nothing":
        return {"next": "nothing", "reason": "no idea", **spent}
    if fate == "endless" or (fate == "tools" and round_ == 0):
        return {"next": "tool", "request": {"tool": "modify_framework_file"}, **spent}
    if fate == "tools" and round_ == 1:
        return {"next": "draft", "request": {"envelope": {"answers": [answer["message"]]}, **_DRAFT}, **spent}
    if fate == "tools":
        return {
            "next": "candidate",
            "envelope": {"answers": [*answer["envelope"]["answers"], "draft"]},
            **spent,
        }
    if fate == "draft_kills" and round_ == 0:
        return {"next": "draft", "request": {"envelope": {}, **_DRAFT}, **spent}
    if fate == "draft_kills":
        return {"next": "nothing", "reason": answer["failure"]["message"], **spent}
    return {"next": "candidate", "envelope": {"source_sha256": fate}, **spent}


def framework_tool(event, context):
    return {"modification_id": "m", "status": "done", "message": f"tool {event['round']}"}


def benchmark(event, context):
    fate = event["attempt_id"].split("#")[1]
    if event.get("control"):
        return {"outcome": "failed" if fate == "broken_sandbox" else "passed"}
    if fate == "sandbox_trespasses":
        return {
            "outcome": "failed",
            "dynamodb": attempt("dynamodb", "list_tables"),
            "s3": attempt("s3", "list_buckets"),
        }
    held_out = event["split"] == "held_out"
    if fate in ("kills", "broken_sandbox", "draft_kills") or (fate == "kills_confirm" and held_out):
        os._exit(1)
    assert event["seed"] == f"{fate}-seed"
    return {"outcome": "passed", **event}


def conclude(event, context):
    fate = event["item"]["kind"]
    if fate == "conclude_raises":
        raise ValueError("no table")
    promising = fate in ("adopted", "kills_confirm") and event["confirm"] is None and event["fault"] is None
    return {"next": "confirm" if promising else "done", "status": json.dumps(event), "cost_usd": 0.1}


def commit(event, context):
    if event["lineage"] == "commit-raises":
        raise ValueError("GitHub is away")
    refused = "github_refused: no write access" if event["lineage"] == "unwelcome" else ""
    return {"committed": [] if refused else [event["lineage"]], "waiting": refused}


def close_cycle(event, context):
    return {"closed": True}
