"""Lists what `make destroy` has kept, and how to delete that too."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from infra.commands.stacks import stack_outputs
from infra.errors import UserError
from infra.settings import DATA_STACK, stack_name, stage_of_environment

CDK = "npx --yes aws-cdk@2.1148.1"
"""The CDK's CLI in the version that the Makefile uses."""


def instructions(outputs: Mapping[str, str], stack: str = DATA_STACK) -> str:
    """Return what is kept and the commands that delete it, given the outputs of the data stack."""
    tables = [name for key, name in outputs.items() if key.endswith("Table")]
    secrets = [arn for key, arn in outputs.items() if key.endswith("SecretArn")]
    bucket = outputs["ArtifactBucket"]
    console = f"https://console.aws.amazon.com/s3/bucket/{bucket}/empty"
    kept = [*(f"table {name}" for name in tables), f"bucket {bucket}", *(f"secret {arn}" for arn in secrets)]
    commands = [
        f"aws cloudformation update-termination-protection --no-enable-termination-protection --stack-name {stack}",
        f"{CDK} destroy {stack}    # the stack alone: it retains all of the above",
        *(
            f"aws dynamodb update-table --table-name {name} --no-deletion-protection-enabled"
            for name in tables
        ),
        *(f"aws dynamodb delete-table --table-name {name}" for name in tables),
        f"aws s3 rb s3://{bucket}    # after its versions were deleted: {console}",
        *(f"aws secretsmanager delete-secret --secret-id {arn}" for arn in secrets),
    ]
    return "\n".join(
        [
            "The app is gone. Kept, with the whole evolution in it:",
            *(f"  {each}" for each in kept),
            "A new `make deploy` goes on from there. To delete this too, in this order:",
            *(f"  {each}" for each in commands),
        ]
    )


def main() -> int:
    """Print the instructions; returns 2 if the data stack cannot be read."""
    stack = DATA_STACK
    try:
        stack = stack_name(DATA_STACK, stage_of_environment())
        print(instructions(stack_outputs(stack), stack))
    except UserError as error:
        print(f"The app is gone; what {stack} keeps cannot be listed: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
