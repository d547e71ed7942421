"""What a pass is.

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

from collections import Counter
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, TypeAlias, dataclass_transform, get_type_hints

from meld.diagnostics import MeldError, Remark
from meld.ir.component import Component
from meld.ir.module import Module

Program: TypeAlias = Component | Module


def option(default: Any, help: str = "") -> Any:
    """Declares an option of a pass: a field with a default and a help text. Its type is int, bool, float or str."""
    return field(default=default, metadata={"help": help})


@dataclass(slots=True)
class PassContext:
    """What a pass gets besides the program, and where it leaves what it has to say."""

    origin: str
    stats: Counter[str | None] = field(default_factory=Counter)
    remarks: list[Remark] = field(default_factory=list)

    def remark(self, message: str) -> None:
        """Says something that the user should know: a decision with its reason."""
        self.remarks.append(Remark(self.origin, message))


@dataclass_transform(field_specifiers=(option,))
class Pass:
    """Base of all passes.

    Attributes:
        name: as written in a pipeline.
        reads, writes: `Component` or `Module`.
        requires, establishes: facts that must hold before, and that hold after.
        after, before: wishes: names of passes that run earlier or later, if they run at all. A plugin that has any is
            part of the default pipeline, at that place.
        repeatable: may run where its facts hold already.
    """

    name: ClassVar[str] = ""
    reads: ClassVar[type[Any]] = Module
    writes: ClassVar[type[Any]] = Module
    requires: ClassVar[frozenset[str] | set[str]] = frozenset()
    establishes: ClassVar[frozenset[str] | set[str]] = frozenset()
    after: ClassVar[tuple[str, ...]] = ()
    before: ClassVar[tuple[str, ...]] = ()
    repeatable: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclass(cls)

    def run(self, program: Any, cx: PassContext) -> Any:
        """Transforms the program in place and returns None, or returns a new program. Raises MeldError."""
        raise NotImplementedError(f"pass {self.name} has no run()")

    def spec(self) -> str:
        """The pass as a pipeline names it, options that differ from their defaults included."""
        shown = [
            f"{f.name.replace('_', '-')}={_show(getattr(self, f.name))}"
            for f in fields(self)  # type: ignore[arg-type]
            if getattr(self, f.name) != f.default
        ]
        return f"{self.name}{{{','.join(shown)}}}" if shown else self.name


@dataclass(frozen=True, slots=True)
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


def _show(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def summary_of(cls: type[Pass]) -> str:
    """The first line of the docstring of a pass."""
    return (cls.__doc__ or "").strip().partition("\n")[0]
