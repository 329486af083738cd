"""The write of a full-size audit's figures to the record of its version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.conditions import Attr

from codec_evolution.adapters.dynamodb import stored
from codec_evolution.record import Audited


def put_audit(table: Any, key: Mapping[str, str], audit: Audited) -> bool:
    """Replace the figures of the last audit in one conditional write.

    An audit that measured nothing has no time; it leaves the figures and adds its note.

    Parameters
    ----------
    table
        boto3's `EvolutionRecord`.
    key
        Of the version's record.

    Returns
    -------
    bool
        False when there is no such record, or its figures are newer; nothing was written then.
    """
    values, condition = audit.to_item(), Attr("attempt_id").exists()
    expression = "SET " + ", ".join(f"{name} = :{name}" for name in values)
    if audit.audited_at is not None:
        condition &= Attr("audited_at").not_exists() | Attr("audited_at").lte(audit.audited_at)
        absent = sorted(Audited.model_fields.keys() - values.keys())
        expression += f" REMOVE {', '.join(absent)}" if absent else ""
    try:
        table.update_item(
            Key=dict(key),
            UpdateExpression=expression,
            ConditionExpression=condition,
            ExpressionAttributeValues=stored({f":{name}": value for name, value in values.items()}),
        )
    except table.meta.client.exceptions.ConditionalCheckFailedException:
        return False
    return True
