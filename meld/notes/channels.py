"""Notes about streams and futures whose ends live inside the module, and about the copies of their elements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from meld.abi.options import Options, read_options, write_options
from meld.abi.types import Type, function_types, is_end, parts_of, read_type, write_type
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.module import Function, Module
from meld.ir.notes import Instance, NameOf, Note, Resolve, Sexp, coded, flag, note, number, ref, symbol
from meld.notes.boundaries import Boundary
from meld.notes.streams import StreamUse
from meld.support.records import record

FIRST_STREAM = 1 << 18
FIRST_FUTURE = 1 << 19
"""Type numbers of handles in the tables of instances: resource types and other kinds are below, streams from the first
on, futures from the second. The readable end of a type has an even number, the writable end the odd one behind it."""


def _write(t: Type, name_of: NameOf) -> list[Sexp]:
    return [write_type(t, name_of)]


def _read(parts: list[Sexp], resolve: Resolve) -> Type:
    return read_type(parts[0], resolve)


@note("end-type")
class EndType(Note):
    """On the module: a stream or future type whose ends stand in handle tables.

    ``(@meld.end-type (type (stream u8)) (number 262144))``.

    Attributes:
        type: the type, resolved; types that are equal in structure are one.
        number: the type number of its readable ends; that of writable ends is one more.
    """

    type: Any = coded(_write, _read)
    number: int = number()


@note("element-copy")
class ElementCopy(Note):
    """On an import: what copies elements of a stream or future from one instance to another, or a message.

    ``(from, to, count)``: addresses, and how many elements. Both ranges lie in their memories, aligned.

    Attributes:
        type: of an element.
        writer, reader: the instances.
        lift, lower: the options of the writer's built-in, and of the reader's.
        flat: there is one element; in place of its address come its core values.
        host: the side that is the host, ``reader`` or ``writer``; its instance is then that of the other side.
        mode: what becomes of handles that the host reads: ``park`` keeps them, of no use, until they are known to be
            gone (``release``) or not (``restore``). They are copied as they are before (``note``), since their instance
            may write to its buffer meanwhile.
    """

    type: Any = coded(_write, _read)
    writer: Instance = ref("note")
    reader: Instance = ref("note")
    lift: Options = coded(write_options, read_options, default=Options())
    lower: Options = coded(write_options, read_options, default=Options())
    flat: bool = flag(default=False)
    host: str = symbol(default="")
    mode: str = symbol(default="")


@note("end-functions")
class EndFunctions(Note):
    """On the module: how readable ends and error contexts go from one instance to another as values.

    Attributes:
        end_lift: ``(record, type number, handle) → waitable``; the handle is gone then.
        end_lower: ``(record, type number, waitable) → handle``.
        error_lift: ``(record, handle) → error context``; the handle remains.
        error_lower: ``(record, error context) → handle``.
        end_give: ``(type number, waitable) → handle of the host``, which has the readable end from then on.
        end_take: ``(type number, handle of the host) → waitable`` of a readable end that the host gives away.
        error_give: ``(error context) → handle of the host``, which lasts as long as the error context.
        error_take: ``(handle of the host) → error context``, whose handle that is from then on.
        own_keep, end_keep: as own_park and end_lift, of arguments of the host's calls, which may not start at once.
        borrow_keep: ``(record, type number, handle, scope) → object``, the same of handles that are lent.
        kept_as: ``(handle of the host) → the same``: which stands for the last handle that was kept.
        own_park, own_release, own_restore: ``(record, type number, handle) → object``, see `ElementCopy.mode`.
        end_park, end_release, end_restore: the same of readable ends: ``(record, type number, handle) → handle of the
            host``; the last two return 0.
        own_lend: ``(record, type number, handle, handle of the host) → handle of the host``, of a parked one.
        own_regain: ``(record, type number, handle) → handle of the host``: as `own_restore`, but for what it returns.
    """

    end_lift: Function | None = ref("functions", default=None)
    end_lower: Function | None = ref("functions", default=None)
    error_lift: Function | None = ref("functions", default=None)
    error_lower: Function | None = ref("functions", default=None)
    end_give: Function | None = ref("functions", default=None)
    end_take: Function | None = ref("functions", default=None)
    error_give: Function | None = ref("functions", default=None)
    error_take: Function | None = ref("functions", default=None)
    own_keep: Function | None = ref("functions", default=None)
    end_keep: Function | None = ref("functions", default=None)
    borrow_keep: Function | None = ref("functions", default=None)
    kept_as: Function | None = ref("functions", default=None)
    own_park: Function | None = ref("functions", default=None)
    own_release: Function | None = ref("functions", default=None)
    own_restore: Function | None = ref("functions", default=None)
    end_park: Function | None = ref("functions", default=None)
    end_release: Function | None = ref("functions", default=None)
    end_restore: Function | None = ref("functions", default=None)
    own_lend: Function | None = ref("functions", default=None)
    own_regain: Function | None = ref("functions", default=None)


@record()
class EndTypes:
    """The numbers of the types of ends in a module."""

    numbers: dict[Type, int]

    @classmethod
    def of(cls, module: Module, more: Iterable[Type] = ()) -> EndTypes:
        """All of them, and `more` types: what is not noted yet is numbered, and noted.

        Raises:
            MeldError: there are more types than numbers.
        """
        made = cls.noted(module)
        numbers = made.numbers
        for t in (*_types(module), *more):
            if t not in numbers:
                numbers[t] = made._next(t)
                module.notes.append(EndType(t, numbers[t]))
        return made

    @classmethod
    def noted(cls, module: Module) -> EndTypes:
        """Those that are noted."""
        return cls({n.type: n.number for n in module.notes_of(EndType)})

    def number(self, t: Type) -> int:
        """The number of the readable end."""
        return self.numbers[t]

    def _next(self, t: Type) -> int:
        first, end = (FIRST_FUTURE, 2 * FIRST_FUTURE) if isinstance(t, c.Future) else (FIRST_STREAM, FIRST_FUTURE)
        found = max((n + 2 for n in self.numbers.values() if first <= n < end), default=first)
        if found >= end:
            raise MeldError(f"the program has more than {(end - first) // 2} types of streams, or of futures")
        return found


def _types(module: Module) -> Iterator[Type]:
    """The stream and future types that instances use, and those that calls between them carry; also inside others."""
    given = [use.type for use in module.notes_of(StreamUse) if use.type is not None]
    for _, n in module.noted(Boundary):
        given += function_types(n.type)
    for t in given:
        for part in parts_of(t):
            if is_end(part):
                yield part
