"""Canonical definitions in the binary format, read (Component Model, Binary.md, canonical definitions)."""

from __future__ import annotations

from typing import Any

from meld.binary.component.codes import ENCODING_BY_CODE, OPTION_BY_CODE, Option
from meld.binary.component.pieces import reference, typed_reference, zero
from meld.binary.component.types import TypeReader
from meld.binary.cursor import Cursor
from meld.ir.builtins import BUILTIN_BY_CODE, Builtin, Operand
from meld.ir.component import (
    CanonBuiltin,
    CanonLift,
    CanonLower,
    CanonOptions,
    CompFuncType,
    Definition,
    Future,
    ResourceType,
    Sort,
    Stream,
)

CANCELLABLE_GONE = "`cancellable` is not part of the format any more"

SUBJECTS: dict[str, tuple[type, str]] = {
    "resource": (ResourceType, "a resource type"),
    "stream": (Stream, "a stream type"),
    "future": (Future, "a future type"),
}
"""What the type operand of a built-in has to be, by the first part of its name."""


class CanonReader:
    """Reads canonical definitions."""

    def __init__(self, types: TypeReader) -> None:
        self.types = types
        self.spaces = types.spaces

    def definition(self, c: Cursor) -> Definition:
        """One canonical definition."""
        at = c.pos
        code = c.u8("canonical definition")
        match code:
            case 0x00:
                zero(c, "sort of a lifted function")
                function = reference(c, self.spaces, Sort.CORE_FUNC)
                options = self.options(c)
                return CanonLift(function, typed_reference(c, self.spaces, (CompFuncType,), "a function type"), options)
            case 0x01:
                zero(c, "sort of a lowered function")
                return CanonLower(reference(c, self.spaces, Sort.FUNC), self.options(c))
            case _ if code in BUILTIN_BY_CODE:
                return self.builtin(c, BUILTIN_BY_CODE[code])
            case _:
                raise c.error(f"unknown canonical definition {code:#04x}", at)

    def builtin(self, c: Cursor, builtin: Builtin) -> CanonBuiltin:
        """The operands of a built-in."""
        name = builtin.name
        found = CanonBuiltin(name)
        for operand in builtin.operands:
            match operand:
                case Operand.TYPE:
                    kind, what = SUBJECTS[name.split(".")[0]]
                    found.type = typed_reference(c, self.spaces, (kind,), what)
                case Operand.CORE_TYPE:
                    found.type = reference(c, self.spaces, Sort.CORE_TYPE)
                case Operand.TABLE:
                    found.table = reference(c, self.spaces, Sort.CORE_TABLE)
                case Operand.MEMORY:
                    found.options = CanonOptions(memory=reference(c, self.spaces, Sort.CORE_MEMORY))
                case Operand.OPTIONS:
                    found.options = self.options(c)
                case Operand.ASYNC:
                    found.options = CanonOptions(is_async=self.is_async(c))
                case Operand.RESULT:
                    found.result = self.types.result(c)
                case Operand.SLOT:
                    found.slot = self.types.core.valtype(c), c.u32("slot")
                case Operand.ZERO:
                    zero(c, f"byte of `{name}`", hint=CANCELLABLE_GONE)
        return found

    def is_async(self, c: Cursor) -> bool:
        byte = c.u8("async")
        if byte > 1:
            raise c.error(f"malformed async: {byte:#04x} where 0 or 1 is due", c.pos - 1)
        return byte == 1

    def options(self, c: Cursor) -> CanonOptions:
        """A vector of options; an option given twice is an error."""
        found: dict[str, Any] = {}
        for _ in range(c.count("options")):
            at = c.pos
            code = c.u8("option")
            option = OPTION_BY_CODE.get(code)
            key: str
            value: Any
            match option:
                case None if code in ENCODING_BY_CODE:
                    key, value = "encoding", ENCODING_BY_CODE[code]
                case Option.MEMORY:
                    key, value = "memory", reference(c, self.spaces, Sort.CORE_MEMORY)
                case Option.REALLOC:
                    key, value = "realloc", reference(c, self.spaces, Sort.CORE_FUNC)
                case Option.POST_RETURN:
                    key, value = "post_return", reference(c, self.spaces, Sort.CORE_FUNC)
                case Option.ASYNC:
                    key, value = "is_async", True
                case Option.CALLBACK:
                    key, value = "callback", reference(c, self.spaces, Sort.CORE_FUNC)
                case Option.CORE_TYPE:
                    key, value = "core_type", reference(c, self.spaces, Sort.CORE_TYPE)
                case Option.GC:
                    key, value = "gc", True
                case _:
                    raise c.error(f"unknown option {code:#04x} of a canonical definition", at)
            if key in found:
                raise c.error(f"the option {key.removeprefix('is_').replace('_', '-')} is given twice", at)
            found[key] = value
        return CanonOptions(**found, order=tuple(found))
