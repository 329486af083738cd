"""Rendering a template that the planner may have written: plain data in, bounded text out, in its own process.

Two things keep a template from doing more than writing text. It is given plain data only, and the environment has
no attribute access and no calls, so an expression can reach nothing but that data. And it is rendered by a child
process with limits on CPU time, memory, output and wall time, no environment variables and no open files, so a
template that loops or grows cannot harm the function that needs its text.

The module needs the standard library and Jinja alone: the child process imports nothing else.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import jinja2.debug  # imported by Jinja when an expression fails, which is too late behind the limits
from jinja2.exceptions import SecurityError
from jinja2.runtime import LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

CPU_S = 3
"""CPU seconds of one child process. A shipped prompt takes 0.05 s."""
WALL_S = 15.0
MEMORY_BYTES = 512 << 20
"""Address space of the child process."""
MAX_OUTPUT_BYTES = 1 << 20
"""All texts of one call together, as JSON."""
CHILD = ["-s", "-P", "-m", __name__]
"""Arguments of the interpreter for the child process."""
MAX_INTEGER_BITS = 256
MAX_DEPTH = 32

LOOP_FIELDS = frozenset({"first", "last", "index", "index0", "length"})
"""What a template may read of Jinja's ``loop``."""
FILTERS = (
    *("abs", "capitalize", "default", "first", "float", "int", "join", "last", "length", "lower"),
    *("replace", "round", "string", "trim", "truncate", "upper"),
)
"""Jinja's own filters that a template may use; all of them take and return plain data."""
TESTS = (
    *("defined", "undefined", "none", "boolean", "number", "string", "mapping", "sequence", "in"),
    *("even", "odd", "eq", "==", "ne", "!=", "lt", "<", "le", "<=", "gt", ">", "ge", ">="),
)


class TemplateFailed(ValueError):
    """A template does not parse, does not render, or passes a limit; the message names it."""


@dataclass(frozen=True)
class Part:
    """One text to render.

    Attributes
    ----------
    name
        Name of its template.
    context
        Plain data: None, booleans, finite numbers, texts, and lists and dictionaries of these. None in place of a
        dictionary only parses the template.
    into
        If set, the text becomes a variable of this name in the parts after it.
    """

    name: str
    context: Mapping[str, Any] | None
    into: str = ""


def render(templates: Mapping[str, str], parts: Sequence[Part]) -> list[str]:
    """Return the texts of the parts, rendered by a child process.

    Raises
    ------
    TemplateFailed
        A template is missing, does not parse or render, or the child process passed one of its limits.
    TypeError
        A context holds something else than plain data; a fault of the caller.
    """
    request = {
        "templates": dict(templates),
        "parts": [{"name": p.name, "context": plain(p.context), "into": p.into} for p in parts],
    }
    answer = render_in_child(json.dumps(request).encode("ascii"))
    if "error" in answer:
        raise TemplateFailed(str(answer["error"]))
    return list(answer["texts"])


def plain(value: Any, where: str = "context", depth: int = 0) -> Any:
    """Return a copy of a value that consists of plain data only.

    Tuples become lists.

    Raises
    ------
    TypeError
        Something in it is no plain data, is nested deeper than `MAX_DEPTH`, or is no finite number; names where.
    """
    if depth > MAX_DEPTH:
        raise TypeError(f"{where} is nested deeper than {MAX_DEPTH} levels")
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if kind is int and value.bit_length() <= MAX_INTEGER_BITS:
        return value
    if kind is float and math.isfinite(value):
        return value
    if kind in (list, tuple):
        return [plain(each, f"{where}[{number}]", depth + 1) for number, each in enumerate(value)]
    if kind is dict and all(type(name) is str for name in value):
        return {name: plain(each, f"{where}.{name}", depth + 1) for name, each in value.items()}
    raise TypeError(f"{where} is a {kind.__name__}; a template is given plain data only")


class PlainEnvironment(ImmutableSandboxedEnvironment):
    """Jinja without attribute access and without calls: an expression can only select, filter and compare data."""

    def __init__(self) -> None:
        super().__init__(
            undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
        )
        self.globals.clear()
        self.filters = {name: self.filters[name] for name in FILTERS}
        self.filters |= {"data": fence, "line": one_line, "figure": figure}
        self.tests = {name: self.tests[name] for name in TESTS}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return a dictionary's item or a field of ``loop``; nothing else has attributes."""
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        if isinstance(obj, LoopContext) and attribute in LOOP_FIELDS:
            return getattr(obj, attribute)
        return obj if isinstance(obj, Undefined) else self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return an item of a dictionary, a list or a text."""
        if isinstance(obj, Undefined):
            return obj
        if type(obj) not in (dict, list, str):
            return self.undefined(obj=obj, name=str(argument))
        try:
            return obj[argument]
        except (KeyError, IndexError, TypeError):
            return self.undefined(obj=obj, name=str(argument))

    def call(self, __context: Any, __obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Refuse: a template calls nothing."""
        raise SecurityError("a template cannot call anything")


def fence(text: str, name: str = "data") -> str:
    """Return a text between marks that it cannot contain, so that nothing in it can pass for an instruction.

    The marks hold a hash of the text itself: whoever wrote the text could not have written its end.
    """
    mark = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
    return f"<<{name} {mark}\n{text.rstrip()}\n{mark} {name}>>"


def one_line(text: object, limit: int = 300) -> str:
    """Return a text that a model or a traceback wrote as one line of a table."""
    flat = " ".join(str(text).replace("|", "/").replace("`", "'").split())
    return flat if len(flat) <= limit else flat[: limit - 3] + "..."


def figure(value: float | None, digits: int = 2, unit: str = "") -> str:
    """Return a number for a table, a dash for none."""
    return "-" if value is None or isinstance(value, Undefined) else f"{value:.{min(digits, 9)}f}{unit}"


def render_here(templates: Mapping[str, str], parts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the texts of the parts, rendered by this process; for the child process and for tests."""
    environment, carried, texts = PlainEnvironment(), {}, []
    compiled = functools.cache(lambda name: environment.from_string(templates[name]))
    for part in parts:
        name = str(part["name"])
        if name not in templates:
            raise TemplateFailed(f"the release has no prompts/{name}.md")
        try:
            template = compiled(name)
            text = "" if part["context"] is None else template.render({**part["context"], **carried})
        except jinja2.TemplateSyntaxError as error:
            raise TemplateFailed(f"prompts/{name}.md, line {error.lineno}: {error.message}") from None
        except RecursionError:
            raise TemplateFailed(f"prompts/{name}.md: it is nested too deeply") from None
        except MemoryError:
            raise TemplateFailed(f"prompts/{name}.md: it needs too much memory") from None
        except (
            jinja2.TemplateError,
            ArithmeticError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ) as e:
            raise TemplateFailed(f"prompts/{name}.md: {str(e)[:500]}") from None
        texts.append(text.strip() + "\n")
        if part["into"]:
            carried[part["into"]] = texts[-1]
    return texts


def answer_to(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the child process answers: ``texts``, or ``error`` with the reason."""
    try:
        return {"texts": render_here(request["templates"], request["parts"])}
    except TemplateFailed as failed:
        return {"error": str(failed)}


def render_in_child(request: bytes) -> dict[str, Any]:
    """Start the child process, hand it the request and return its answer."""
    # Lambda's interpreter finds its own library through LD_LIBRARY_PATH.
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    with subprocess.Popen(
        [sys.executable, *CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={**kept, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    ) as child:
        try:
            output, _ = child.communicate(request, timeout=WALL_S)
        except subprocess.TimeoutExpired:
            child.kill()
            raise TemplateFailed(f"rendering took longer than {WALL_S:.0f} s") from None
    if child.returncode:
        raise TemplateFailed(
            f"rendering passed a limit: {CPU_S} CPU seconds, {MEMORY_BYTES >> 20} MiB of memory, or "
            f"{MAX_OUTPUT_BYTES >> 10} KiB of text"
        )
    return json.loads(output)


def _limit() -> None:
    """Take away from this process what rendering does not need."""
    for name, value in (
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(name, (value, value))


_WARM: Mapping[str, Any] = {"name": "warm", "context": {"l": [1.0]}, "into": ""}


def main() -> int:
    """Render what standard input asks for, behind limits; the exit status is 1 where a limit was passed."""
    request = json.loads(sys.stdin.buffer.read())
    # Jinja and the codec of text literals are imported when first used; behind the limits no file can be opened.
    render_here({"warm": '{% for x in l %}{{ x | figure(1, "\\n") }}{% endfor %}'}, [_WARM])
    _limit()
    output = json.dumps(answer_to(request)).encode("ascii")
    if len(output) > MAX_OUTPUT_BYTES:
        return 1
    sys.stdout.buffer.write(output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
