"""Holds a candidate's source against the language policy, and names every breach at once.

This is feedback and a rule of the game, not the wall: the wall is the process (`walls`). Modules are second class: a
name bound to a module may only be followed by a dot, so every dotted name is known without running anything.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import re
import string

from codec_sandbox.definitions import bindings, members, missing_entry_points
from codec_sandbox.faults import Violation
from codec_sandbox.limits import MAX_SOURCE_BYTES
from codec_sandbox.policy import Policy

GRAMMAR = (3, 11)
_DUNDER = re.compile(r"__\w+__")
_BY_NAME = {"getattr", "hasattr", "setattr", "delattr"}
_BUILTINS = frozenset(dir(builtins))


def check_bytes(source: bytes) -> Violation | None:
    """What makes `source` unfit before anything reads it: too long, not UTF-8, a null byte."""
    if len(source) > MAX_SOURCE_BYTES:
        return Violation(
            0, 0, "source", f"the source has {len(source)} bytes; at most {MAX_SOURCE_BYTES} are allowed"
        )
    if b"\0" in source:
        line = source[: source.index(b"\0")].count(b"\n") + 1
        return Violation(line, 0, "source", "the source contains a null byte")
    try:
        source.decode("utf-8")
    except UnicodeDecodeError as error:
        line = source[: error.start].count(b"\n") + 1
        return Violation(line, 0, "source", f"the source is not UTF-8 (byte {error.start})")
    return None


def check(
    source: bytes, policy: Policy | None, entry_points: tuple[str, ...] = ()
) -> tuple[ast.Module | None, list[Violation]]:
    """Parse `source` and hold it against `policy`.

    Parameters
    ----------
    source
        Python, grammar 3.11, UTF-8.
    policy
        None holds it against the grammar only.
    entry_points
        Functions that the module must define with three positional parameters.

    Returns
    -------
    tuple
        The tree, or None if it does not parse, and every violation in order of position.
    """
    if (unfit := check_bytes(source)) is not None:
        return None, [unfit]
    try:
        # As text, so that no coding line makes the program another one than the one that is read.
        tree = ast.parse(source.decode("utf-8").removeprefix("\ufeff"), feature_version=GRAMMAR)
    except SyntaxError as error:
        return None, [
            Violation(error.lineno or 0, error.offset or 0, "syntax", error.msg or "invalid syntax")
        ]
    except (ValueError, RecursionError, MemoryError) as error:
        return None, [
            Violation(0, 0, "syntax", f"the parser gave up: {type(error).__name__} (nested too deeply?)")
        ]
    try:
        found = missing_entry_points(tree, entry_points)
        if policy is not None:
            found += _Check(tree, policy).run()
    except RecursionError:
        return None, [Violation(0, 0, "syntax", "the source is nested too deeply")]
    return tree, sorted(set(found), key=lambda v: (v.line, v.column, v.construct))


class _Check:
    def __init__(self, tree: ast.Module, policy: Policy) -> None:
        self.tree, self.policy = tree, policy
        self.found: list[Violation] = []
        self.parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        self.modules: dict[str, str] = {}
        self.refused: set[str] = set()
        self.special: dict[str, str] = {}  # names that stand for what may be used in some places only
        self.own_names = {name for name, _ in bindings(tree)}
        self.own_members = members(tree)
        self.own_attributes = self.own_names | self.own_members

    def run(self) -> list[Violation]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import | ast.ImportFrom) and self.in_class_body(node):
                self.refuse(node, "import", "a class must not hold a module; import at the top of the source")
            if isinstance(node, ast.Import):
                self.plain_import(node)
            elif isinstance(node, ast.ImportFrom):
                self.import_from(node)
        for name, node in bindings(self.tree):
            if name in self.modules:
                self.refuse(
                    node, name, f"{name} is the module {self.modules[name]} here; choose another name"
                )
            self.bound_name(node, name)
        for node in ast.walk(self.tree):
            self.visit(node)
        return self.found

    def refuse(self, node: ast.AST, construct: str, message: str) -> None:
        if isinstance(node, ast.Attribute):
            construct = ast.unparse(node)
        line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", -1) + 1
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
            case ast.Constant(value=str(text)) if _DUNDER.fullmatch(text) and text != "__main__":
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

    def plain_import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name not in self.policy.modules:
                self.refuse_import(node, alias.name, f"import {alias.name}")
            bound = alias.asname or alias.name.split(".")[0]
            self.bind(node, bound, alias.name if alias.asname else bound)

    def import_from(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if module == "__future__" and not node.level:
            return
        if node.level:
            return self.refuse(
                node, "from . import", "relative imports are refused: a candidate is one module"
            )
        known = module in self.policy.modules
        parent_known = any(f"{module}.{alias.name}" in self.policy.modules for alias in node.names)
        if not known and not parent_known:
            return self.refuse_import(node, module, f"from {module} import")
        for alias in node.names:
            full = f"{module}.{alias.name}"
            if alias.name == "*":
                self.refuse(node, f"from {module} import *", "star imports are refused; name what you use")
            elif full in self.policy.modules:
                self.bind(node, alias.asname or alias.name, full)
            else:
                self.member(node, module, alias.name)
                if full in self.policy.types_only | self.policy.one_argument:
                    self.special[alias.asname or alias.name] = full
                self.own_names.add(alias.asname or alias.name)
                self.bound_name(node, alias.asname or alias.name)
        return None

    def refuse_import(self, node: ast.AST, module: str, construct: str) -> None:
        roots = ", ".join(sorted({name.split(".")[0] for name in self.policy.modules}))
        parts = module.split(".")
        prefixes = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
        hint = next((self.policy.hints[name] for name in prefixes if name in self.policy.hints), None)
        self.refuse(node, construct, hint or f"not in the language policy; modules that are: {roots}")
        self.refused.update(name for name in prefixes if not self.is_module(name))

    def bind(self, node: ast.AST, name: str, module: str) -> None:
        self.bound_name(node, name)
        if self.modules.setdefault(name, module) != module:
            self.refuse(node, name, f"{name} is already the module {self.modules[name]}; use another name")

    # -- names

    def name_form(self, node: ast.AST, name: str) -> None:
        if _DUNDER.fullmatch(name) and name not in self.policy.special_methods:
            self.refuse(node, name, "this name with double underscores is refused")

    def bound_name(self, node: ast.AST, name: str) -> None:
        """A name that the candidate binds: bound in one scope, it would hide the real one of all others from us."""
        self.name_form(node, name)
        if name in _BY_NAME:
            self.refuse(node, name, f"{name} is the interpreter's own; choose another name")

    def name(self, node: ast.Name) -> None:
        parent, name = self.parents.get(node), node.id
        if name in self.modules:
            if not (isinstance(parent, ast.Attribute) and parent.value is node):
                self.refuse(node, name, f"a module is not a value; write {name}.something")
            return
        if name in self.special:
            self.special_name(node, self.special[name])
        if name in self.own_names:
            return
        self.name_form(node, name)
        if name in _BUILTINS and name not in self.policy.builtins and not _DUNDER.fullmatch(name):
            hint = self.policy.hints.get(f"builtins.{name}")
            self.refuse(
                node,
                name,
                f"the builtin {name} is not in the language policy" + (f"; {hint}" if hint else ""),
            )
        elif name in _BY_NAME:
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

    def module_of(self, node: ast.AST) -> str | None:
        """Dotted name of the module that an expression stands for, or None if it is not a module."""
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.modules:
            return None
        module = self.modules[node.id]
        for name in reversed(names):
            module = f"{module}.{name}"
            if not self.is_module(module):
                return None
        return module

    def is_module(self, dotted: str) -> bool:
        return dotted in self.policy.modules or any(
            known.startswith(dotted + ".") for known in self.policy.modules
        )

    def attribute(self, node: ast.Attribute) -> None:
        base = self.module_of(node.value)
        if base is None:
            return self.object_attribute(node, node.attr, f".{node.attr}")
        full = f"{base}.{node.attr}"
        if not isinstance(node.ctx, ast.Load):
            return self.refuse(node, full, "a module cannot be changed")
        if self.is_module(full):
            parent = self.parents.get(node)
            if not (isinstance(parent, ast.Attribute) and parent.value is node):
                self.refuse(node, full, f"a module is not a value; write {full}.something")
            return None
        return self.member(node, base, node.attr)

    def member(self, node: ast.AST, module: str, name: str) -> None:
        full = f"{module}.{name}"
        if module in self.refused:
            return  # its import has been refused already
        names = self.policy.modules.get(module, frozenset())
        if module in self.policy.modules and self.policy.allows(module, name):
            if isinstance(node, ast.Attribute):
                self.special_name(node, full)
            return
        hint = self.policy.hints.get(full)
        if hint is None:
            close = difflib.get_close_matches(name, names, n=3)
            hint = "not in the language policy" + (f"; did you mean {', '.join(close)}?" if close else "")
        self.refuse(node, full, hint)

    def special_name(self, node: ast.AST, full: str) -> None:
        if full in self.policy.types_only:
            self.type_name(node, full)
        elif full in self.policy.one_argument and not _is_call(self.parents.get(node), node, 1):
            self.refuse(node, full, f"only {full}(x), with one argument, is allowed")

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
        if _DUNDER.fullmatch(name):
            self.refuse(node, construct, "this attribute with double underscores is refused")
        elif name in self.policy.denied_attributes:
            self.refuse(node, construct, self.policy.denied_attributes[name])
        elif name in self.policy.foreign_attributes and name not in self.own_members:
            self.refuse(node, construct, self.policy.foreign_attributes[name])
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


def _is_call(parent: ast.AST | None, function: ast.AST, arguments: int) -> bool:
    return (
        isinstance(parent, ast.Call)
        and parent.func is function
        and len(parent.args) == arguments
        and not parent.keywords
        and not any(isinstance(a, ast.Starred) for a in parent.args)
    )
