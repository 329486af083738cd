"""The alias by which every function is invoked."""

from __future__ import annotations

from typing import cast

from aws_cdk import aws_lambda as lambda_
from codec_evolution.contracts import LIVE_ALIAS
from constructs import Construct


def live_alias(scope: Construct, name: str, function: lambda_.Function) -> lambda_.IFunction:
    """Publish the current version of a function under its alias, and return the alias."""
    version = cast(lambda_.IVersion, function.current_version)
    return cast(
        lambda_.IFunction,
        lambda_.Alias(scope, f"{name}Live", alias_name=LIVE_ALIAS, version=version),
    )
