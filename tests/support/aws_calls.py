"""Which AWS operations the code of a function may call: read from its source, not from a run.

From the handler on, every function is followed that a reached one names: what is imported by name, and each method of
that name of a class that reached code names (rapid type analysis). So a path that no test runs counts too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import boto3
import botocore.session
from botocore import xform_name
from botocore.exceptions import UnknownServiceError
from botocore.waiter import WaiterModel

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / "layers/common/python"
ADAPTERS = "codec_evolution.adapters"

PREFIXES = {"stepfunctions": "states"}
"""Services whose actions begin with another name."""
ACTIONS = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
}
"""Operations whose action has another name."""
TRANSACTED = {
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
}
"""Actions of a transaction, by what it consists of."""

PROVIDERS = {"SecretsProvider": "secretsmanager:GetSecretValue"}
"""Classes of Powertools that call AWS themselves."""


@dataclass(frozen=True)
class Body:
    """A function, a method, or the value of a module's variable."""

    module: str
    node: ast.AST


@dataclass
class Module:
    """What a module defines and imports, by the names that it uses for them."""

    name: str
    tree: ast.Module
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    bodies: dict[str, ast.AST] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)


def actions_of(handler: Path) -> set[str]:
    """Return the IAM actions of all AWS operations that a handler's code may call."""
    return {action for body in _reached(_read("handler", handler)) for action in _actions_in(body)}


@cache
def _modules() -> dict[str, Module]:
    found = {}
    for path in sorted((PACKAGES / "codec_evolution").rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGES).with_suffix("").parts).removesuffix(".__init__")
        found[name] = _read(name, path)
    return found


def _read(name: str, path: Path) -> Module:
    module = Module(name, ast.parse(path.read_text("utf-8")))
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            module.imports |= {each.asname or each.name: (node.module, each.name) for each in node.names}
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef):
            module.classes[node.name] = node
        elif isinstance(node, ast.FunctionDef):
            module.bodies[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            module.bodies |= {each.id: node.value for each in targets if isinstance(each, ast.Name)}
    return module


@dataclass
class _Walk:
    """The state of one analysis."""

    start: Module
    bodies: dict[int, Body] = field(default_factory=dict)
    waiting: list[Body] = field(default_factory=list)
    attributes: set[str] = field(default_factory=set)
    methods: dict[str, list[Body]] = field(default_factory=dict)
    classes: set[int] = field(default_factory=set)

    def module(self, name: str) -> Module | None:
        return self.start if name == self.start.name else _modules().get(name)

    def reach(self, body: Body) -> None:
        if id(body.node) not in self.bodies:
            self.bodies[id(body.node)] = body
            self.waiting.append(body)

    def name(self, module: Module, name: str) -> None:
        """Follow a name that a body of a module uses."""
        if name in module.classes:
            self.instance(module, module.classes[name])
        elif name in module.bodies:
            self.reach(Body(module.name, module.bodies[name]))
        elif name in module.imports:
            origin, original = module.imports[name]
            found = self.module(origin)
            if found is not None:
                self.name(found, original)

    def attribute(self, name: str) -> None:
        """Follow a method's name in every class that is in use, now or later."""
        if name not in self.attributes:
            self.attributes.add(name)
            for body in self.methods.get(name, []):
                self.reach(body)

    def instance(self, module: Module, node: ast.ClassDef) -> None:
        """Take a class into use: what it runs when it is made and used, and its bases."""
        if id(node) in self.classes:
            return
        self.classes.add(id(node))
        for base in node.bases:
            if isinstance(base, ast.Name):
                self.name(module, base.id)
        for each in node.body:
            body = Body(module.name, each)
            if not isinstance(each, ast.FunctionDef) or each.name.startswith("__"):
                self.reach(body)
                continue
            self.methods.setdefault(each.name, []).append(body)
            if each.name in self.attributes:
                self.reach(body)


def _reached(start: Module) -> list[Body]:
    walk = _Walk(start)
    for name in start.bodies:
        walk.name(start, name)
    while walk.waiting:
        body = walk.waiting.pop()
        module = walk.module(body.module)
        assert module is not None
        for node in _executed(body.node):
            if isinstance(node, ast.Name):
                walk.name(module, node.id)
            elif isinstance(node, ast.Attribute):
                walk.attribute(node.attr)
                owner = module.imports.get(node.value.id) if isinstance(node.value, ast.Name) else None
                inner = walk.module(".".join(owner)) if owner else None
                if inner is not None:
                    walk.name(inner, node.attr)
    return list(walk.bodies.values())


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes below a node without annotations, which name types and run nothing."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, ast.AST):
                yield each
                yield from _executed(each)
    yield node


def _actions_in(body: Body) -> Iterator[str]:
    if not body.module.startswith(ADAPTERS):
        return
    operations = {name: action for service in _services(body.module) for name, action in _operations(service)}
    for node in ast.walk(body.node):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        called = node.func.attr
        if called in PROVIDERS:
            yield PROVIDERS[called]
        elif called == "transact_write_items":
            yield from _transacted(body.node)
        elif called in ("get_waiter", "get_paginator"):
            (argument,) = node.args
            assert isinstance(argument, ast.Constant)
            yield from _waited(_services(body.module), called, str(argument.value))
        elif called in operations:
            yield operations[called]


def _transacted(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and each.value in TRANSACTED:
            yield TRANSACTED[str(each.value)]


@cache
def _services(module: str) -> frozenset[str]:
    """Return the services of which a module has clients, or tables."""
    found = set()
    for node in ast.walk(_modules()[module].tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr in ("client", "resource") and isinstance(node.args[0], ast.Constant):
            found.add(str(node.args[0].value))
    if _modules()[module].imports.get("table") == (f"{ADAPTERS}.dynamodb", "table"):
        found.add("dynamodb")
    return frozenset(found)


@cache
def _operations(service: str) -> frozenset[tuple[str, str]]:
    """Return the client's methods of a service with their actions."""
    client = boto3.client(service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    return frozenset(
        (method, _action(service, operation))
        for method, operation in client.meta.method_to_api_mapping.items()
    )


def _waited(services: frozenset[str], kind: str, name: str) -> Iterator[str]:
    for service in services:
        if kind == "get_paginator":
            yield from (action for method, action in _operations(service) if method == name)
        elif model := _waiters(service):
            found = (each for each in model.waiter_names if xform_name(each) == name)
            yield from (_action(service, model.get_waiter(each).operation) for each in found)


@cache
def _waiters(service: str) -> WaiterModel | None:
    try:
        return botocore.session.get_session().get_waiter_model(service)
    except UnknownServiceError:  # the service has none
        return None


def _action(service: str, operation: str) -> str:
    return ACTIONS.get(f"{service}:{operation}", f"{PREFIXES.get(service, service)}:{operation}")
