"""Holds a candidate's source against the language policy and finds every violation at once.

This gives feedback and sets the rules of the contest. The wall is the process (`walls`).
"""

from __future__ import annotations

import ast
import builtins
import re
import string
from collections.abc import Iterable, Iterator

from codec_sandbox import source as source_text
from codec_sandbox.definitions import bindings, family, members, missing_entry_points
from codec_sandbox.faults import Violation
from codec_sandbox.imports import ImportedModules
from codec_sandbox.policy import Policy

GRAMMAR = (3, 11)
"""The grammar of every candidate, whatever the interpreter's version."""

DUNDER = re.compile(r"__\w+__")
"""A name with double underscores on both sides."""

BY_NAME = frozenset({"getattr", "hasattr", "setattr", "delattr"})
"""The builtins that take an attribute's name as text."""

_BUILTINS = frozenset(dir(builtins))


def check(
    source: bytes, policy: Policy | None, entry_points: tuple[str, ...] = (), spare: int = 0
) -> tuple[ast.Module | None, list[Violation]]:
    """Parse `source` and check it against `policy`.

    Parameters
    ----------
    source : bytes
        Python of grammar 3.11, UTF-8.
    policy : Policy or None
        None checks that it reads as it runs and parses, no more.
    entry_points : tuple of str
        Functions that the module must define with three positional parameters.
    spare : int
        As of `codec_sandbox.source.unreadable`.

    Returns
    -------
    tuple
        The tree, or None if it does not parse, and every violation in order of position.
    """
    if (unreadable := source_text.unreadable(source, spare)) is not None:
        return None, [unreadable]
    text = source_text.text_of(source)
    found = source_text.misleading(text)
    try:
        # As text, so that no coding line changes how it is read.
        tree = ast.parse(text, feature_version=GRAMMAR)
        found += source_text.foreign_names(text) + missing_entry_points(tree, entry_points)
        if policy is not None:
            found += _Check(tree, text, policy).run()
    except SyntaxError as error:
        wrong = Violation(error.lineno or 0, error.offset or 0, "syntax", error.msg or "invalid syntax")
        return None, found or [wrong]
    except (ValueError, RecursionError, MemoryError) as error:
        message = f"the parser gave up: {type(error).__name__} (nested too deeply?)"
        return None, found or [Violation(0, 0, "syntax", message)]
    return tree, sorted(set(found), key=lambda v: (v.line, v.column, v.construct))


class _Check:
    def __init__(self, tree: ast.Module, text: str, policy: Policy) -> None:
        self.policy = policy
        self.lines = text.split("\n")
        self.found: list[Violation] = []
        self.nodes, self.parents = family(tree)
        self.imports = ImportedModules(policy, self.refuse)
        self.special: dict[str, str] = {}  # names of what may be used in some places only
        self.errors = set(_exceptions(self.nodes))
        self.bindings = list(bindings(self.nodes))
        self.own_names = {name for name, _ in self.bindings}
        self.own_members = members(self.nodes)
        self.own_attributes = self.own_names | self.own_members

    def run(self) -> list[Violation]:
        for node in self.nodes:
            if isinstance(node, ast.Import | ast.ImportFrom) and self.in_class_body(node):
                self.refuse(node, "import", "a class must not hold a module; import at the top of the source")
            if isinstance(node, ast.Import):
                for name in self.imports.add(node):
                    self.bound_name(node, name)
            elif isinstance(node, ast.ImportFrom):
                self.import_from(node)
        for name, node in self.bindings:
            if (module := self.imports.modules.get(name)) is not None:
                self.refuse(node, name, f"{name} is the module {module} here; choose another name")
            self.bound_name(node, name)
        for node in self.nodes:
            self.visit(node)
        return self.found

    def refuse(self, node: ast.AST, construct: str, message: str) -> None:
        if isinstance(node, ast.Attribute):
            construct = ast.unparse(node)
        line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", -1) + 1
        if line and column > 1:  # the parser counts bytes
            column = len(self.lines[line - 1].encode()[: column - 1].decode("utf-8", "replace")) + 1
        self.found.append(Violation(line, column, construct[:120], message))

    def visit(self, node: ast.AST) -> None:
        match node:
            case ast.Name(ctx=ast.Load()):
                self.name(node)
            case ast.Attribute():
                self.attribute(node)
            case ast.ClassDef(keywords=[first, *_]):
                self.refuse(
                    first, f"class {node.name}({first.arg}=...)", "class keywords and metaclasses are refused"
                )
            case ast.MatchClass(kwd_attrs=names):
                for name in names:
                    self.object_attribute(node, name, f"case ...({name}=)")
            case ast.Constant(value=str(text)) if DUNDER.fullmatch(text) and text != "__main__":
                self.refuse(node, repr(text), "names with double underscores are refused in strings too")
            case ast.keyword(arg="refcheck"):
                self.refuse(node.value, "refcheck=", self.policy.foreign_attributes["resize"])
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                for name in names:
                    self.name_form(node, name)
            case _:
                pass

    # -- imports

    def in_class_body(self, node: ast.AST) -> bool:
        """Whether a name bound here becomes an attribute of a class."""
        while (parent := self.parents.get(node)) is not None:
            if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
                return isinstance(parent, ast.ClassDef)
            node = parent
        return False

    def import_from(self, node: ast.ImportFrom) -> None:
        for name, full in self.imports.add_from(node).items():
            self.bound_name(node, name)
            if full not in self.policy.modules:
                self.own_names.add(name)
                if full in self.policy.types_only | self.policy.decorators_only:
                    self.special[name] = full

    # -- names

    def name_form(self, node: ast.AST, name: str) -> None:
        if DUNDER.fullmatch(name) and name not in self.policy.special_methods:
            self.refuse(node, name, "this name with double underscores is refused")

    def bound_name(self, node: ast.AST, name: str) -> None:
        """Check a name that the candidate binds: in one scope it would hide the real one of others from the check."""
        self.name_form(node, name)
        if name in BY_NAME:
            self.refuse(node, name, f"{name} is the interpreter's own; choose another name")

    def name(self, node: ast.Name) -> None:
        parent, name = self.parents.get(node), node.id
        if name in self.imports.modules:
            if not (isinstance(parent, ast.Attribute) and parent.value is node):
                self.refuse(node, name, f"a module is not a value; write {name}.something")
            return
        if name in self.special:
            self.special_name(node, self.special[name])
        if name in self.own_names:
            return
        self.name_form(node, name)
        if name in _BUILTINS and name not in self.policy.builtins and not DUNDER.fullmatch(name):
            hint = self.policy.hints.get(f"builtins.{name}")
            self.refuse(
                node,
                name,
                f"the builtin {name} is not in the language policy" + (f"; {hint}" if hint else ""),
            )
        elif name in BY_NAME:
            self.access_by_name(node, name, parent)
        elif name == "type" and not _is_call(parent, node, 1):
            self.refuse(node, "type", "only type(x), with one argument, is allowed")

    def access_by_name(self, node: ast.Name, name: str, parent: ast.AST | None) -> None:
        starred = isinstance(parent, ast.Call) and any(isinstance(a, ast.Starred) for a in parent.args)
        if isinstance(parent, ast.Call) and parent.func is node and len(parent.args) >= 2 and not starred:
            chosen = parent.args[1]
            if isinstance(chosen, ast.Constant) and isinstance(chosen.value, str):
                return self.object_attribute(node, chosen.value, f"{name}(..., {chosen.value!r})")
        return self.refuse(node, name, f"{name} needs a constant name: {name}(x, 'name')")

    # -- attributes

    def attribute(self, node: ast.Attribute) -> None:
        base = self.imports.module_of(node.value)
        if base is None:
            return self.object_attribute(node, node.attr, f".{node.attr}")
        full = f"{base}.{node.attr}"
        if not isinstance(node.ctx, ast.Load):
            return self.refuse(node, full, "a module cannot be changed")
        if self.imports.is_module(full):
            parent = self.parents.get(node)
            if not (isinstance(parent, ast.Attribute) and parent.value is node):
                self.refuse(node, full, f"a module is not a value; write {full}.something")
            return None
        if self.imports.member(node, base, node.attr):
            self.special_name(node, full)
        return None

    def special_name(self, node: ast.AST, full: str) -> None:
        if full in self.policy.types_only:
            self.type_name(node, full)
        elif full in self.policy.decorators_only and not self.is_decorator(node):
            self.refuse(node, full, f"only @{full}(x), as a decorator with one argument, is allowed")

    def is_decorator(self, node: ast.AST) -> bool:
        """Whether this name is called with one argument in a line of decorators."""
        call = self.parents.get(node)
        function = self.parents.get(call) if call is not None else None
        return (
            _is_call(call, node, 1)
            and isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
            and call in function.decorator_list
        )

    def type_name(self, node: ast.AST, full: str) -> None:
        child, parent = node, self.parents.get(node)
        if isinstance(parent, ast.Attribute | ast.Compare):
            return
        while isinstance(parent, ast.Tuple | ast.List | ast.Subscript | ast.BinOp):
            child, parent = parent, self.parents.get(parent)
        match parent:
            case ast.arg(annotation=place) | ast.AnnAssign(annotation=place) if place is child:
                return
            case ast.FunctionDef(returns=place) | ast.AsyncFunctionDef(returns=place) if place is child:
                return
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, place]) if place is child:
                return
            case _:
                pass
        self.refuse(
            node,
            full,
            "a type only: for isinstance and annotations; make arrays with np.empty or np.frombuffer",
        )

    def object_attribute(self, node: ast.AST, name: str, construct: str) -> None:
        if name in self.policy.special_methods or self.names_a_class(node, name):
            return
        if DUNDER.fullmatch(name):
            self.refuse(node, construct, "this attribute with double underscores is refused")
        elif name in self.policy.denied_attributes:
            self.refuse(node, construct, self.policy.denied_attributes[name])
        elif name in self.policy.foreign_attributes and name not in self.own_members:
            self.refuse(node, construct, self.policy.foreign_attributes[name])
        elif node in self.errors and name not in self.policy.exception_attributes | self.own_members:
            allowed = ", ".join(sorted(self.policy.exception_attributes))
            self.refuse(
                node, construct, f"of an exception only these may be read: {allowed}; or use str(error)"
            )
        elif name == "resize" and not self.is_plain_call(node):
            self.refuse(
                node, construct, "call it at once and without **; " + self.policy.foreign_attributes[name]
            )
        elif name.startswith("_") and name not in self.own_attributes:
            self.refuse(node, construct, "a private attribute of something that this module does not define")
        elif name == "format":
            self.format_call(node, construct)

    def names_a_class(self, node: ast.AST, name: str) -> bool:
        """Whether this is the ``__class__`` of ``x.__class__.__name__``, which gives text only."""
        parent = self.parents.get(node)
        return name == "__class__" and isinstance(parent, ast.Attribute) and parent.attr == "__name__"

    def is_plain_call(self, node: ast.AST) -> bool:
        """Whether this attribute is stored, or called where it stands with keywords that can be read."""
        parent = self.parents.get(node)
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            return True
        if not (isinstance(parent, ast.Call) and parent.func is node):
            return False
        return all(keyword.arg is not None for keyword in parent.keywords)

    def format_call(self, node: ast.AST, construct: str) -> None:
        match node:
            case ast.Attribute(value=ast.Constant(value=str(text))):
                pass
            case _:
                message = "str.format is allowed on a constant string only; use an f-string"
                return self.refuse(node, construct, message)
        try:
            parsed = list(string.Formatter().parse(text))
            fields = [field or "" for _, field, _, _ in parsed]
            fields += [
                inner or ""
                for _, _, spec, _ in parsed
                for _, inner, _, _ in string.Formatter().parse(spec or "")
            ]
        except ValueError as error:
            return self.refuse(node, ".format", f"the format string is not valid: {error}")
        if any(c in field for field in fields for c in "._["):
            return self.refuse(
                node, ".format", "a format field may be a number or a plain name; use an f-string"
            )
        return None


def _exceptions(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield every access to an attribute of something that a handler or a context manager receives as an exception."""
    for node in nodes:
        match node:
            case ast.ExceptHandler(name=str(name)):
                yield from _accesses(node, {name})
            case ast.FunctionDef(name="__exit__", args=arguments):
                yield from _accesses(node, {argument.arg for argument in arguments.args[1:]})
            case _:
                pass


def _accesses(scope: ast.AST, names: set[str]) -> Iterator[ast.AST]:
    for node in ast.walk(scope):
        match node:
            case ast.Attribute(value=ast.Name(id=name)) if name in names:
                yield node
            case ast.Call(func=ast.Name(id=function) as called, args=[ast.Name(id=name), *_]):
                if function in BY_NAME and name in names:
                    yield called
            case _:
                pass


def _is_call(parent: ast.AST | None, function: ast.AST, arguments: int) -> bool:
    return (
        isinstance(parent, ast.Call)
        and parent.func is function
        and len(parent.args) == arguments
        and not parent.keywords
        and not any(isinstance(a, ast.Starred) for a in parent.args)
    )
