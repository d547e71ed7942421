"""The base class of passes, and the context that a pass runs in.

A pass is a dataclass; its fields are its options, its docstring's first line is its help text:

    class CountCalls(Pass):
        \"\"\"Count the calls of each function.\"\"\"
        name = "count-calls"
        reads = writes = Module
        requires = frozenset({"merged"})
        top: int = option(10, "how many to list")          # count-calls{top=3}

        def run(self, module: Module, cx: PassContext) -> None:
            for function in module.functions:
                cx.stats[function.name] += sum(1 for i in function.instructions if i.op == "call")
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import MISSING, dataclass, field, fields
from io import TextIOBase
from typing import Any, ClassVar, TypeAlias, dataclass_transform, get_type_hints

from meld.diagnostics import MeldError, Remark
from meld.ir.component import Component
from meld.ir.module import Item, Module
from meld.ir.notes import Note
from meld.support.records import record

Program: TypeAlias = Component | Module


def option(default: Any, help: str = "") -> Any:
    """Declares an option of a pass: a field with a default and a help text. Its type is int, bool, float or str."""
    return field(default=default, metadata={"help": help})


@record()
class Rewrite:
    """One change that a pass makes to the program, or would have made.

    Attributes:
        number: from 1, within its pass.
        what: the kind of change, a few words: ``bridge``, ``drop``.
        item: the item or the declared note (a stream domain, say) that is changed, if it is one.
        done: False if the gate refused it.
    """

    number: int
    what: str
    item: Item | Note | None
    done: bool

    def __str__(self) -> str:
        name = self.item.name if self.item is not None else None
        return f"{self.what} {name}" if name else self.what


@record()
class Gate:
    """Limits on rewrites: in all (`limit`) and in one pass (`fuel`, by the label of its step); None is no limit.

    `refused` says whether one was held back: then what should have been lowered may still be pending.
    """

    limit: int | None = None
    fuel: dict[str, int] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    refused: bool = False

    def allows(self, label: str) -> bool:
        """Counts a rewrite of the step with that label; whether it may happen."""
        self.asked[label] += 1
        fuel = self.fuel.get(label)
        if (self.limit is None or self.asked.total() <= self.limit) and (fuel is None or self.asked[label] <= fuel):
            return True
        self.refused = True
        return False


@record()
class PassContext:
    """The context of one run of a pass: it counts rewrites, and collects statistics and remarks.

    A pass asks `allows`, or `rewrite`, before each of its rewrites, so that they can be counted, traced and held back:

        with cx.rewrite("inline", function) as go:
            if go:
                ...

    What it does must be valid whichever of them are refused.

    Attributes:
        origin: the label of the step: the name of the pass, with ``#2`` the second time.
        stats: how much of what was done.
        remarks: what the user should know.
        rewrites: those so far, refused ones included.
        on_rewrite: called with each rewrite before it happens.
    """

    origin: str
    stats: Counter[str | None] = field(default_factory=Counter)
    remarks: list[Remark] = field(default_factory=list)
    rewrites: list[Rewrite] = field(default_factory=list)
    gate: Gate = field(default_factory=Gate)
    on_rewrite: Callable[[Rewrite], None] | None = None

    def remark(self, message: str) -> None:
        """Adds a remark for the user: a decision with its reason."""
        self.remarks.append(Remark(self.origin, str(message)))

    def allows(self, what: str, item: Item | Note | None = None) -> bool:
        """Whether a rewrite may happen; it is counted and reported either way."""
        rewrite = Rewrite(len(self.rewrites) + 1, what, item, self.gate.allows(self.origin))
        self.rewrites.append(rewrite)
        if self.on_rewrite is not None:
            self.on_rewrite(rewrite)
        return rewrite.done

    @contextmanager
    def rewrite(self, what: str, item: Item | Note | None = None) -> Iterator[bool]:
        """`allows`, for a rewrite that is a block of code."""
        yield self.allows(what, item)


@dataclass_transform(field_specifiers=(option,))
class Pass:
    """Base of all passes.

    Attributes:
        name: as written in a pipeline.
        reads, writes: `Component` or `Module`.
        requires, establishes: facts that must hold before, and that hold after.
        after, before: wishes: names of passes that run earlier or later, if they run at all. A plugin that has any is
            part of the default pipeline, at that place.
        brings: names of passes that a pipeline with this one has, too: put before the first pass that they ask to
            precede, if that runs earlier than this one.
        instead_of: the name of a pass whose place this one takes where a pipeline has `default` and names this one.
        repeatable: may run where its facts hold already.
        is_own: comes with the compiler, not with a plugin.
    """

    name: ClassVar[str] = ""
    reads: ClassVar[type[Any]] = Module
    writes: ClassVar[type[Any]] = Module
    requires: ClassVar[frozenset[str] | set[str]] = frozenset()
    establishes: ClassVar[frozenset[str] | set[str]] = frozenset()
    after: ClassVar[tuple[str, ...]] = ()
    before: ClassVar[tuple[str, ...]] = ()
    brings: ClassVar[tuple[str, ...]] = ()
    instead_of: ClassVar[str] = ""
    repeatable: ClassVar[bool] = False
    is_own: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.is_own = cls.__module__.startswith(f"{__package__}.")
        dataclass(cls)

    def run(self, program: Any, cx: PassContext) -> Any:
        """Transforms the program in place and returns None, or returns a new program. Raises MeldError.

        The program before is consumed: a new program may reuse its parts.
        """
        raise NotImplementedError(f"pass {self.name} has no run()")

    def spec(self) -> str:
        """The pass as a pipeline names it, options that differ from their defaults included."""
        given = [
            f"{f.name.replace('_', '-')}={shown(getattr(self, f.name))}"
            for f in fields(self)  # type: ignore[arg-type]
            if getattr(self, f.name) != f.default
        ]
        return f"{self.name}{{{','.join(given)}}}" if given else self.name


@record(frozen=True)
class OptionInfo:
    """An option of a pass: name as in a pipeline, type, default, help."""

    name: str
    type: type[Any]
    default: Any
    help: str


def options_of(cls: type[Pass]) -> list[OptionInfo]:
    """The options of a pass class."""
    hints = get_type_hints(cls)
    return [
        OptionInfo(f.name.replace("_", "-"), hints[f.name], f.default, f.metadata.get("help", ""))
        for f in fields(cls)  # type: ignore[arg-type]
        if f.default is not MISSING
    ]


def parse_option(info: OptionInfo, text: str) -> Any:
    """The value of an option from its text. Raises MeldError (without a place)."""
    match info.type:
        case t if t is bool:
            if text.lower() in ("true", "yes", "1", ""):
                return True
            if text.lower() in ("false", "no", "0"):
                return False
            expected = "true or false"
        case t if t is int or t is float:
            try:
                return int(text, 0) if t is int else float(text)
            except ValueError:
                expected = "an integer" if t is int else "a number"
        case t if t is str:
            return text
        case t:
            raise TypeError(f"option {info.name} has a type that options cannot have: {t}")
    raise MeldError(f"option `{info.name}` takes {expected}, not `{text}`")


def shown(value: Any) -> str:
    """The value of an option as a pipeline writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def summary_of(cls: type[Pass]) -> str:
    """The first line of the docstring of a pass."""
    return (cls.__doc__ or "").strip().partition("\n")[0]


_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_NAMES = {
    "requires": 'frozenset({"merged"})',
    "establishes": 'frozenset({"counted"})',
    "after": '("merge",)',
    "before": '("finish",)',
    "brings": '("host-memory",)',
}
"""What a pass names, with an example of how it does that."""


def misdeclared(cls: type[Pass]) -> str | None:
    """What is wrong with what the class of a plugin's pass declares; None if nothing is."""
    if not isinstance(cls.name, str) or (cls.name and not _NAME.fullmatch(cls.name)):
        return f"its `name` is {cls.name!r}; a pipeline takes letters, digits, `-`, `_` and `.`"
    for attribute, example in _NAMES.items():
        names: Any = getattr(cls, attribute)
        if not isinstance(names, frozenset | set | tuple | list) or not all(isinstance(one, str) for one in names):
            return f"its `{attribute}` is {names!r}; write for example `{attribute} = {example}`"
    for attribute in ("reads", "writes"):
        if getattr(cls, attribute) not in (Module, Component):
            return f"its `{attribute}` is {getattr(cls, attribute)!r}; it takes `Module` or `Component`"
    try:
        for info in options_of(cls):
            parse_option(info, "")
        cls()
    except MeldError:  # the text of an option that is no number
        pass
    except Exception as e:
        return f"it cannot be made with the defaults of its options: {told(e)}"
    return None


def told(error: BaseException) -> str:
    """An exception of somebody else's code, by its class and what it says, if it can say it."""
    text = ""
    with suppress(Exception):
        text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class _ToErrors(TextIOBase):
    """What a plugin takes for standard output, and may close."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    @property
    def buffer(self) -> Any:
        return sys.stderr.buffer


@contextmanager
def contained() -> Iterator[None]:
    """Runs code of a plugin: what it prints goes to standard error, since standard output is for the product; and it
    leaves the current folder and the depth of recursion as they were."""
    depth, errors, folder = sys.getrecursionlimit(), sys.stderr, None
    with suppress(OSError):  # there may be none
        folder = os.open(".", os.O_RDONLY)
    try:
        with redirect_stdout(_ToErrors()):
            yield
    finally:
        sys.setrecursionlimit(depth)
        sys.stderr = errors
        if folder is not None:
            os.fchdir(folder)
            os.close(folder)
