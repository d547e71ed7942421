"""Annotations: what WAT cannot say, as `(@meld.…)`, which every other tool skips.

A note is a small dataclass. Its fields print as ``(field value…)``, in order, or bare if declared positional; a field
that holds its default is left out. One codec serves all of them, those of plugins included:

    @note("pair")
    class Pair(Note):                    # (@meld.pair (domain $d0) (producer $a) (consumer $b $c))
        domain: Domain = ref("note")
        producer: tuple[Instance, ...] = ref("note", many=True)
        consumer: tuple[Instance, ...] = ref("note", many=True)

References are objects: a note that others refer to (`declares=True`) prints its own ``$name`` first. Unregistered
notes are kept as they were read (`Opaque`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, field, fields
from typing import Any, ClassVar, TypeAlias, TypeVar, dataclass_transform

from meld.diagnostics import MeldError, Span
from meld.support.records import record


@record(frozen=True)
class Symbol:
    """A bare word: a keyword or a number."""

    text: str


@record(frozen=True)
class Quoted:
    """A string literal."""

    text: str


@record(frozen=True)
class Ref:
    """``$name``, without the dollar sign."""

    name: str


Sexp: TypeAlias = "Symbol | Quoted | Ref | list[Sexp]"

Resolve = Callable[[str, Sexp], Any]
"""(space, name or number) → object; MeldError if there is none. Spaces: ``note`` and those of `IndexSpaces`."""
NameOf = Callable[[str, Any], Sexp]
"""(space, object) → its unique name (or number) in the text being printed."""


@record(eq=False, kw_only=True)
class Note:
    """Base of all notes. Compared by identity. `name` is that of a note that others refer to."""

    tag: ClassVar[str] = ""
    declares: ClassVar[bool] = False
    name: str | None = None
    span: Span | None = field(default=None, repr=False)

    def problems(self, holder: Any, program: Any) -> Iterable[str]:
        """The problems of the note on `holder`, in `program`. What it refers to is in the program.

        Called by the verifier (`meld.verify.module`); a class of notes that can be inconsistent says so here.
        """
        return ()


@record(eq=False)
class BranchHint(Note):
    """On an `if` or a `br_if`: whether it is likely taken. In text it stands in front, and has a name of its own."""

    likely: bool


@record(eq=False)
class Opaque(Note):
    """A note of an unregistered kind, kept as it was read. `label` is the annotation's whole name."""

    label: str
    body: list[Sexp]


NOTES: dict[str, type[Note]] = {}
"""Registered notes by tag (the part after ``meld.``)."""


def ref(space: str, *, many: bool = False, default: Any = MISSING, positional: bool = False) -> Any:
    """A reference to an object of a space (``note``, ``functions``, …), or a tuple of them."""
    return _field("ref", default, positional, space=space, many=many)


def text(*, default: Any = MISSING, positional: bool = False) -> Any:
    """A string, printed with quotes."""
    return _field("text", default, positional)


def symbol(*, many: bool = False, default: Any = MISSING, positional: bool = False) -> Any:
    """A bare word."""
    return _field("symbol", default, positional, many=many)


def number(*, many: bool = False, default: Any = MISSING, positional: bool = False) -> Any:
    """An integer."""
    return _field("number", default, positional, many=many)


def flag(*, default: bool) -> Any:
    """A bool: ``(field)`` when true, nothing when false, which is the default."""
    return _field("flag", default, False)


def coded(
    write: Callable[[Any, NameOf], list[Sexp]],
    read: Callable[[list[Sexp], Resolve], Any],
    *,
    default: Any = MISSING,
    positional: bool = False,
) -> Any:
    """A field with a codec of its own: value → s-expressions inside ``(field …)`` and back."""
    return _field("coded", default, positional, write=write, read=read)


N = TypeVar("N", bound=type)


@dataclass_transform(eq_default=False, field_specifiers=(ref, text, symbol, number, flag, coded))
def note(tag: str, *, declares: bool = False) -> Callable[[N], N]:
    """Registers a note class under ``@meld.<tag>`` and makes it a dataclass."""

    def register(cls: N) -> N:
        made: Any = record(eq=False)(cls)
        made.tag, made.declares = tag, declares
        NOTES[tag] = made
        return made  # type: ignore[no-any-return]

    return register


def _field(kind: str, default: Any, positional: bool, **more: Any) -> Any:
    return field(default=default, metadata={"kind": kind, "positional": positional, "many": False} | more)


def note_to_sexp(item: Note, name_of: NameOf) -> list[Sexp]:
    """The inside of ``(@meld.tag …)``: own name first if it declares one, then the fields."""
    if isinstance(item, Opaque):
        return item.body
    out: list[Sexp] = [name_of("note", item)] if item.declares else []
    for f in _note_fields(type(item)):
        value = getattr(item, f.name)
        if f.default is not MISSING and value == f.default:
            continue
        inner = _write_field(f, value, name_of)
        out.extend(inner if f.metadata["positional"] else [[Symbol(f.name.replace("_", "-")), *inner]])
    return out


def note_from_sexp(tag: str, body: list[Sexp], resolve: Resolve, span: Span | None) -> Note:
    """Reads the inside of ``(@meld.tag …)``. A declaring note's own name must already be stripped from `body`.

    Raises:
        MeldError: a field is missing, unknown or malformed.
    """
    cls = NOTES[tag]
    values: dict[str, Any] = {}
    named = {f.name.replace("_", "-"): f for f in _note_fields(cls) if not f.metadata["positional"]}
    positional = [f for f in _note_fields(cls) if f.metadata["positional"]]
    bare = [part for part in body if not (isinstance(part, list) and part and _is_field(part[0], named))]
    for part in body:
        if isinstance(part, list) and part and isinstance(part[0], Symbol) and part[0].text in named:
            f = named[part[0].text]
            values[f.name] = _read_field(f, part[1:], resolve, tag, span)
    for f in positional:
        if f.metadata["many"] or f.metadata["kind"] == "coded":
            taken, bare = bare, []
        else:
            taken, bare = bare[:1], bare[1:]
        if taken or f.metadata["many"]:
            values[f.name] = _read_field(f, taken, resolve, tag, span)
    if bare:
        raise MeldError(f"@meld.{tag} has a part that it does not know", span=span)
    for f in _note_fields(cls):
        if f.name not in values and f.default is MISSING:
            raise MeldError(f"@meld.{tag} needs a field `{f.name.replace('_', '-')}`", span=span)
    return cls(**values, span=span)


def _is_field(head: Sexp, named: dict[str, Field[Any]]) -> bool:
    return isinstance(head, Symbol) and head.text in named


def _note_fields(cls: type[Note]) -> list[Field[Any]]:
    found = _FIELDS.get(cls)
    if found is None:
        found = _FIELDS[cls] = [f for f in fields(cls) if "kind" in f.metadata]
    return found


_FIELDS: dict[type[Note], list[Field[Any]]] = {}


def _write_field(f: Field[Any], value: Any, name_of: NameOf) -> list[Sexp]:
    meta = f.metadata
    if meta["kind"] == "coded":
        return list(meta["write"](value, name_of))
    if meta["kind"] == "flag":
        return []
    values = value if meta["many"] else (value,)
    match meta["kind"]:
        case "ref":
            return [name_of(meta["space"], v) for v in values]
        case "text":
            return [Quoted(v) for v in values]
        case "symbol" | "number":
            return [Symbol(str(v)) for v in values]
    raise AssertionError(meta["kind"])


def _read_field(f: Field[Any], parts: list[Sexp], resolve: Resolve, tag: str, span: Span | None) -> Any:
    meta = f.metadata
    if meta["kind"] == "coded":
        return meta["read"](parts, resolve)
    if meta["kind"] == "flag":
        return True
    values = [_read_atom(f, part, resolve, tag, span) for part in parts]
    if meta["many"]:
        return tuple(values)
    if len(values) != 1:
        raise MeldError(f"@meld.{tag}: field `{f.name}` takes one value", span=span)
    return values[0]


def _read_atom(f: Field[Any], part: Sexp, resolve: Resolve, tag: str, span: Span | None) -> Any:
    match f.metadata["kind"], part:
        case "ref", (Ref() | Symbol()):
            found = resolve(f.metadata["space"], part)
            if f.metadata["space"] == "note":
                _check_class(f, found, tag, span)
            return found
        case "text", Quoted(value):
            if not value.isascii() and re.search(r"[\ud800-\udfff]", value):
                raise MeldError(f"@meld.{tag}: field `{f.name}` is not UTF-8", span=span)
            return value
        case "symbol", Symbol(value):
            return value
        case "number", Symbol(value) if re.fullmatch("-?[0-9]{1,20}", value):
            return int(value)
    raise MeldError(f"@meld.{tag}: field `{f.name}` has a value of the wrong kind", span=span)


def _check_class(f: Field[Any], found: Any, tag: str, span: Span | None) -> None:
    """Refuses a note of another class than the field is annotated with, if it is annotated with one."""
    words = re.findall(r"\w+", str(f.type))
    wanted = [cls for cls in NOTES.values() if cls.declares and cls.__name__ in words]
    if wanted and not isinstance(found, tuple(wanted)):
        raise MeldError(
            f"@meld.{tag}: field `{f.name}` takes a note `@meld.{wanted[0].tag}`; `{found.name}` is "
            f"`@meld.{found.tag}`",
            span=span,
        )


@note("instance", declares=True)
class Instance(Note):
    """A component instance of the fused program: ``(@meld.instance $producer)``. Items point to it as their owner."""

    path: str | None = text(default=None)  # where it stands in the composition, if its name does not tell


@note("owner")
class Owner(Note):
    """On an item: the instance it belongs to. Held by `Item.owner`."""

    instance: Instance = ref("note", positional=True)


@note("origin")
class Origin(Note):
    """On an item: the instance, and the index it had in its core module. Held by `Item.owner` and `Item.origin`."""

    instance: Instance = ref("note", positional=True)
    index: int = number(positional=True)
    module: int = number(default=0)  # which of the instance's core instances, in order of instantiation


@note("synthetic")
class Synthetic(Note):
    """On an item that the compiler made: what kind of thing it is. Held by `Item.synthetic`."""

    kind: str = symbol(positional=True)


@note("attributed")
class Attributed(Note):
    """On the module: the encoder attributes generated code to source lines (`meld.binary.debug.dwarf`)."""


@note("traced")
class Traced(Note):
    """On the module: the encoder writes where each function comes from (`meld.binary.debug.provenance`).

    `compact`: in version 4 of the form, a run of functions at a time.
    """

    compact: bool = flag(default=False)


@note("facts")
class Facts(Note):
    """Which facts hold: ``(@meld.facts linked merged)``. Held by `Module.facts` and `Component.facts`."""

    names: tuple[str, ...] = symbol(positional=True, many=True)
