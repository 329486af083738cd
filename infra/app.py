"""The CDK app: ``python -m infra.app`` writes the templates without Docker, credentials or the CDK's CLI.

Under the CLI the context comes from ``CDK_CONTEXT_JSON``, otherwise from ``cdk.json``. Settings are context keys:
``python -m infra.app -c slots=4``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from aws_cdk import App

from infra import nag
from infra.app_stack import AppStack
from infra.data_stack import DataStack
from infra.errors import UserError
from infra.settings import Settings

CDK_JSON = Path(__file__).resolve().parents[1] / "cdk.json"
"""Holds the feature flags of the CDK."""


def build(context: dict[str, Any], outdir: str | None = None) -> tuple[App, DataStack, AppStack]:
    """Build the app from context.

    Parameters
    ----------
    context : dict[str, Any]
        Feature flags and settings.
    outdir : str or None
        Where `synth` writes; None for a temporary folder.

    Raises
    ------
    UserError
        If a setting is outside its limit, or a model has no price.
    """
    app = App(context=context, outdir=outdir, analytics_reporting=False)
    settings = Settings.from_context(app.node.get_all_context())
    settings.check_prices()
    # CloudFormation gives a stack's tags to everything in it.
    tags = {
        "application": "codec-evolution",
        "stage": settings.stage or "default",
        "lineage": settings.lineage,
    }
    data = DataStack(app, settings.data_stack, tags=tags)
    stack = AppStack(app, settings.app_stack, data=data, settings=settings, tags=tags)
    nag.check(app)
    return app, data, stack


def default_context() -> dict[str, Any]:
    """Return the feature flags that `cdk.json` pins."""
    return dict(json.loads(CDK_JSON.read_text())["context"])


def main(arguments: list[str] | None = None) -> int:
    """Synthesise; returns 0 when done, 1 on findings of cdk-nag, 2 on an error that the user can correct."""
    parser = argparse.ArgumentParser(prog="python -m infra.app", description=__doc__)
    parser.add_argument("-c", "--context", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("-o", "--output", default=os.environ.get("CDK_OUTDIR", "cdk.out"))
    options = parser.parse_args(arguments)
    # Under the CLI the App reads the context from the environment itself.
    context = {} if "CDK_CONTEXT_JSON" in os.environ else default_context()
    for pair in options.context:
        key, found, value = pair.partition("=")
        if not found:
            parser.error(f"-c {pair}: expected KEY=VALUE")
        context[key] = value
    try:
        app, _, _ = build(context, options.output)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except RuntimeError as error:
        # jsii re-raises what a bundler raised, with the message behind this marker.
        _, is_ours, message = str(error).partition("@jsii/kernel.RuntimeError: ")
        if not is_ours:
            raise
        print(message, file=sys.stderr)
        return 2
    try:
        app.synth()
    except RuntimeError as refused:
        found = nag.findings(Path(options.output))
        if not found:
            raise
        print(f"{len(found)} unacknowledged findings:\n{nag.table(found)}", file=sys.stderr)
        print(str(refused).splitlines()[0], file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
