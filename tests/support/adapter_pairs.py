"""Pairs of components for tests of adapters: a caller and a callee whose memories the test fills and compares.

The same two core modules run in two settings: as a component under wasmtime's own component support, and with our
adapter between them. Both memories are filled with the same bytes (arguments in the caller's, results in the callee's),
the call is made, and what matters afterwards is whether it trapped and what both memories hold.

Each memory: 0 arguments (8 bytes each), 256 results to return, 512 what was received, 1024 data, 0x7ff8 what is added
to every address that `realloc` returns, 0x8000 log of `realloc` calls, from 0x10000 the heap of a bump allocator.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import wasmtime
from wasmtime import component as wc

from meld.abi import types
from meld.abi.layout import MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, Kind, Layout, Layouts, align_to, core_type
from meld.abi.traps import NAMED_INDICES, OF_INDEX, Trap
from meld.ir import component as c
from meld.ir.types import I32, I64, FuncType, NumType

PAGES = 4
ARGUMENTS, RESULTS, RECEIVED, DATA, SKEW, LOG, HEAP = 0, 256, 512, 1024, 0x7FF8, 0x8000, 0x10000


@dataclass(frozen=True)
class Form:
    """How one side represents values: encoding of strings, width of addresses."""

    encoding: str = "utf8"
    pointer: NumType = I32


# --- values into memory images ---------------------------------------------------------------------------------------


@dataclass
class Image:
    """A memory being filled by the rules of the Canonical ABI, or against them where a value is `Raw`."""

    form: Form
    bytes: bytearray = field(default_factory=lambda: bytearray(PAGES << 16))
    free: int = DATA

    def alloc(self, size: int, align: int) -> int:
        at = align_to(self.free, align)
        self.free = at + size
        assert self.free <= SKEW, "the test's data is too large"
        return at

    def flat(self, layout: Layout, value: Any) -> list[int]:
        """Core values, as unsigned bits."""
        if isinstance(value, Raw):
            return list(value.cores)
        match layout.kind:
            case Kind.RECORD:
                return [x for (_, part), v in zip(layout.fields, value, strict=True) for x in self.flat(part, v)]
            case Kind.FIXED_LIST:
                return [x for v in value for x in self.flat(layout.element, v)]
            case Kind.VARIANT:
                case, payload = value
                inner = layout.cases[case] if case < len(layout.cases) else None
                cores = [] if inner is None else self.flat(inner, payload)
                return [case, *cores] + [0] * (len(layout.flat) - 1 - len(cores))
            case Kind.STRING | Kind.LIST:
                return self._range(layout, value)
            case Kind.F32 | Kind.F64 if isinstance(value, int):
                return [value]
            case Kind.F32:
                return [struct.unpack("<I", struct.pack("<f", value))[0]]
            case Kind.F64:
                return [struct.unpack("<Q", struct.pack("<d", value))[0]]
            case _:
                bits = 64 if layout.flat[0] is I64 else 32
                return [int(value) & ((1 << bits) - 1)]

    def store(self, layout: Layout, value: Any, at: int) -> None:
        match layout.kind:
            case Kind.RECORD:
                for (offset, part), v in zip(layout.fields, value, strict=True):
                    self.store(part, v, at + offset)
            case Kind.FIXED_LIST:
                for i, v in enumerate(value):
                    self.store(layout.element, v, at + i * layout.element.size)
            case Kind.VARIANT:
                case, payload = value
                self.put(at, layout.discriminant, case)
                inner = layout.cases[case] if case < len(layout.cases) else None
                if inner is not None:
                    self.store(inner, payload, at + layout.payload)
            case Kind.STRING | Kind.LIST:
                address, length = self._range(layout, value)
                self.put(at, layout.align, address)
                self.put(at + layout.align, layout.align, length)
            case _:
                self.put(at, layout.size, self.flat(layout, value)[0])

    def put(self, at: int, size: int, bits: int) -> None:
        self.bytes[at : at + size] = (bits & ((1 << 8 * size) - 1)).to_bytes(size, "little")

    def _range(self, layout: Layout, value: Any) -> list[int]:
        if isinstance(value, Raw):
            return list(value.cores)
        if isinstance(value, Cut):
            at, length = self._range(layout, value.data)
            return [at, length - value.units]
        if layout.kind is Kind.LIST:
            element = layout.element
            at = self.alloc(element.size * len(value), element.align)
            for i, v in enumerate(value):
                self.store(element, v, at + i * element.size)
            return [at, len(value)]
        if isinstance(value, bytes):  # code units as they are, valid or not
            at = self.alloc(len(value), 2)
            self.bytes[at : at + len(value)] = value
            return [at, len(value) // (2 if self.form.encoding == "utf16" else 1)]
        tag = 0
        if self.form.encoding == "utf8":
            data, units = value.encode(), len(value.encode())
        elif self.form.encoding == "utf16" or any(ord(x) > 0xFF for x in value):
            data = value.encode("utf-16-le")
            units = len(data) // 2
            tag = 0 if self.form.encoding == "utf16" else 1 << (63 if self.form.pointer is I64 else 31)
        else:
            data, units = value.encode("latin-1"), len(value)
        at = self.alloc(len(data), 2)
        self.bytes[at : at + len(data)] = data
        return [at, units | tag]


@dataclass(frozen=True)
class Raw:
    """Core values in place of a value: an address and a length, say."""

    cores: tuple[int, ...]


@dataclass(frozen=True)
class Cut:
    """A string that stops so many code units before its bytes do."""

    data: bytes
    units: int


# --- the two core modules ------------------------------------------------------------------------------------------


def memory_module(form: Form) -> str:
    """What both sides have: a memory, a `realloc` that keeps a log, and ways for the test to reach in."""
    p = form.pointer.value
    wide = (lambda x: f"(i64.extend_i32_u {x})") if form.pointer is I64 else (lambda x: x)
    return f"""(module
  (memory (export "memory") {"i64 " if form.pointer is I64 else ""}{PAGES})
  (global $free (mut {p}) ({p}.const {HEAP}))
  (global $log (mut {p}) ({p}.const {LOG}))
  (func (export "poke") (param $at i32) (param $value i64) (i64.store {wide("(local.get $at)")} (local.get $value)))
  (func (export "peek") (param $at i32) (result i64) (i64.load {wide("(local.get $at)")}))
  (func (export "digest") (result i64) (local $at {p}) (local $h i64)
    loop $next
      (local.set $h (i64.add (i64.rotl (i64.mul (local.get $h) (i64.const 0x9e3779b97f4a7c15)) (i64.const 29))
        (i64.load (local.get $at))))
      ({p}.lt_u (local.tee $at ({p}.add (local.get $at) ({p}.const 8))) ({p}.const {PAGES << 16}))
      br_if $next
    end
    local.get $h)
  (func $note (param $value {p})
    ({p}.store (global.get $log) (local.get $value))
    (global.set $log ({p}.add (global.get $log) ({p}.const 8))))
  (func (export "realloc") (param $old {p}) (param $old_size {p}) (param $align {p}) (param $size {p}) (result {p})
    (local $at {p})
    (call $note (local.get $old))
    (call $note (local.get $old_size))
    (call $note (local.get $align))
    (call $note (local.get $size))
    (local.set $at ({p}.and ({p}.add (global.get $free) ({p}.sub (local.get $align) ({p}.const 1)))
      ({p}.sub ({p}.const 0) (local.get $align))))
    (global.set $free ({p}.add (local.get $at) (local.get $size)))
    ({p}.gt_u (global.get $free) ({p}.const {PAGES << 16}))
    if unreachable end
    (memory.copy (local.get $at) (local.get $old)
      (select (local.get $old_size) (local.get $size) ({p}.lt_u (local.get $old_size) (local.get $size))))
    (memory.fill (local.get $old) (i32.const 0) (local.get $old_size)) ;; what transcoders leave there is their affair
    ({p}.add (local.get $at) ({p}.load ({p}.const {SKEW})))))"""


def _types(words: str, core: tuple[NumType, ...]) -> str:
    return "".join(f" ({words} {t.value})" for t in core)


def _memory_import(form: Form) -> str:
    return f'(import "own" "memory" (memory {"i64 " if form.pointer is I64 else ""}{PAGES}))'


def caller_module(lower: FuncType, form: Form) -> str:
    """Exports `run`: takes the arguments from memory, calls the import, stores what it returns."""
    p = form.pointer.value
    loads = " ".join(f"({t.value}.load ({p}.const {ARGUMENTS + 8 * i}))" for i, t in enumerate(lower.params))
    call = f"(call $f {loads})"
    if lower.results:
        call = f"({lower.results[0].value}.store ({p}.const {RECEIVED}) {call})"
    return f"""(module
  {_memory_import(form)}
  (import "callee" "f" (func $f{_types("param", lower.params)}{_types("result", lower.results)}))
  (func (export "run") {call}))"""


def callee_module(lift: FuncType, form: Form, import_: str = "", last: str = "") -> str:
    """Exports `f`, which stores its parameters and returns what memory holds, and `post`, which stores its own.

    `import_`: one more import; `last`: what `f` does before it returns.
    """
    p = form.pointer.value
    stores = "\n    ".join(
        f"({t.value}.store ({p}.const {RECEIVED + 8 * i}) (local.get {i}))" for i, t in enumerate(lift.params)
    )
    load = f"({lift.results[0].value}.load ({p}.const {RESULTS}))" if lift.results else ""
    kept = f"({lift.results[0].value}.store ({p}.const {RECEIVED + 256}) (local.get 0))" if lift.results else ""
    return f"""(module
  {_memory_import(form)} {import_}
  (func (export "f"){_types("param", lift.params)}{_types("result", lift.results)}
    {stores}
    {last}
    {load})
  (func (export "post"){_types("param", lift.results)} {kept}))"""


@dataclass
class Pair:
    """A function type between two forms."""

    type: c.CompFuncType
    caller: Form = Form()
    callee: Form = Form()
    post_return: bool = False

    def __post_init__(self) -> None:
        self.up, self.down = Layouts(self.caller.pointer), Layouts(self.callee.pointer)
        self.lower = core_type(self.type, self.up, lower=True)
        self.lift = core_type(self.type, self.down, lower=False)

    def component(self, *, fixed_lists: bool = False) -> str:
        """The pair as a component; what is fixed-length lists in the type, as such or as tuples."""
        names = Named(fixed_lists)
        params = "".join(f' (param "{n}" {names.of(t)})' for n, t in self.type.params)
        result = "" if self.type.result is None else f" (result {names.of(self.type.result)})"
        host = (
            ("poke", '(param "at" u32) (param "value" u64)'),
            ("peek", '(param "at" u32) (result u64)'),
            ("digest", "(result u64)"),
        )

        def common(form: Form, *more: str) -> str:
            return f"""(core module $mem {memory_module(form)[7:]}
    (core instance $mem (instantiate $mem))
    (alias core export $mem "memory" (core memory $memory))
    (alias core export $mem "realloc" (core func $realloc))
    """ + "\n    ".join(f'(func (export "{n}") {t} (canon lift (core func $mem "{n}")))' for n, t in host)

        def options(form: Form) -> str:
            return f"string-encoding={form.encoding} (memory $memory) (realloc $realloc)"

        post = '(post-return (core func $i "post"))' if self.post_return else ""
        withs = "".join(f'(with "n{i}" (type $callee "n{i}"))' for i in names.named())
        exports = (f'(export "{s}-{n}" (func ${s} "{n}"))' for s in ("caller", "callee") for n, _ in host)
        return f"""(component $pair
  (component $callee
    {common(self.callee)}
    {names.text(export=True)}
    (type $f (func{params}{result}))
    (core module $m {callee_module(self.lift, self.callee)[7:]}
    (core instance $i (instantiate $m (with "own" (instance $mem))))
    (func (export "f") (type $f) (canon lift (core func $i "f") {options(self.callee)} {post})))
  (instance $callee (instantiate $callee))
  (component $caller
    {names.text(export=False)}
    (type $f (func{params}{result}))
    (import "f" (func $f (type $f)))
    {common(self.caller)}
    (core func $lowered (canon lower (func $f) {options(self.caller)}))
    (core module $m {caller_module(self.lower, self.caller)[7:]}
    (core instance $i (instantiate $m (with "own" (instance $mem))
      (with "callee" (instance (export "f" (func $lowered))))))
    (func (export "run") (canon lift (core func $i "run"))))
  (instance $caller (instantiate $caller (with "f" (func $callee "f")) {withs}))
  {" ".join(exports)}
  (export "run" (func $caller "run")))"""


class Named:
    """Definitions of the types, in order, each named; records and the like must be exported to be used in exports."""

    def __init__(self, fixed_lists: bool) -> None:
        self.fixed_lists = fixed_lists
        self.lines: list[tuple[str, str, bool]] = []
        self.known: dict[str, str] = {}

    def of(self, t: Any) -> str:
        if isinstance(t, c.Prim):
            return t.value
        text = self._body(t)
        if text not in self.known:
            name = self.known[text] = f"$t{len(self.known)}"
            named = isinstance(t, c.Record | c.Variant | c.EnumType | c.Flags)
            self.lines.append((name, text, named))
        return self.known[text]

    def _body(self, t: Any) -> str:
        match t:
            case c.Record(fields):
                return "(record " + " ".join(f'(field "{n}" {self.of(x)})' for n, x in fields) + ")"
            case c.Variant(cases):
                return (
                    "(variant "
                    + " ".join(f'(case "{n}"{"" if x is None else " " + self.of(x)})' for n, x in cases)
                    + ")"
                )
            case c.EnumType(names):
                return "(enum " + " ".join(f'"{n}"' for n in names) + ")"
            case c.Flags(names):
                return "(flags " + " ".join(f'"{n}"' for n in names) + ")"
            case c.Tuple(elements):
                return "(tuple " + " ".join(self.of(x) for x in elements) + ")"
            case c.ListType(element, None):
                return f"(list {self.of(element)})"
            case c.ListType(element, length) if self.fixed_lists:
                return f"(list {self.of(element)} {length})"
            case c.ListType(element, length):
                # The engine has them behind a switch that its C interface lacks; a tuple has the same representation.
                return f"(tuple {' '.join([self.of(element)] * length)})"
            case c.MapType(key, value):
                return f"(map {self.of(key)} {self.of(value)})"
            case c.Option(element):
                return f"(option {self.of(element)})"
            case c.Own(resource):
                return f"(own ${resource})"
            case c.Borrow(resource):
                return f"(borrow ${resource})"
            case c.Result(ok, error):
                parts = [self.of(ok)] if ok is not None else []
                parts += [f"(error {self.of(error)})"] if error is not None else []
                return " ".join(["(result", *parts]) + ")"
        raise TypeError(types.show(t))

    def named(self) -> list[str]:
        """Numbers of the types that have to be exported and imported."""
        return [name[2:] for name, _, named in self.lines if named]

    def text(self, *, export: bool) -> str:
        out = []
        for name, text, named in self.lines:
            if not named:
                out.append(f"(type {name} {text})")
            elif export:
                out.append(f'(type {name}x {text}) (export {name} "n{name[2:]}" (type {name}x))')
            else:
                out.append(f'(type {name}x {text}) (import "n{name[2:]}" (type {name} (eq {name}x)))')
        return "\n    ".join(out)


# --- running -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What a run did: whether it trapped, and why; if not, what both memories hold."""

    trap: bool
    digests: tuple[int, ...] = (0, 0)
    reason: str = field(default="", compare=False)
    detail: str = field(default="", compare=False)


Driver = Callable[[Any, Image, Image], Outcome]
"""Makes the calls of a case, given exports by name and what both memories hold."""


def engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.wasm_component_model_map = True
    config.wasm_multi_memory = config.wasm_memory64 = True
    config.cranelift_opt_level = "none"
    return wasmtime.Engine(config)


def fill(image: Image) -> list[tuple[int, int]]:
    """The words of a memory image that are not zero."""
    words = struct.unpack(f"<{LOG // 8}Q", image.bytes[:LOG])  # nothing is put beyond
    return [(8 * i, word) for i, word in enumerate(words) if word]


class Unfused:
    """A pair as a component under wasmtime."""

    def __init__(self, engine: wasmtime.Engine, pair: Pair) -> None:
        self.engine = engine
        self.text = pair.component()
        self.component = wc.Component(engine, self.text)
        self.linker = wc.Linker(engine)

    def run(self, caller: Image, callee: Image, how: Driver | None = None) -> Outcome:
        store = wasmtime.Store(self.engine)
        instance = self.linker.instantiate(store, self.component)

        def f(name: str) -> Any:
            return lambda *args: instance.get_func(store, name)(store, *args)

        return (how or drive)(f, caller, callee)


class Fused:
    """A pair as one core module."""

    def __init__(self, engine: wasmtime.Engine, wasm: bytes) -> None:
        self.engine = engine
        self.module = wasmtime.Module(engine, wasm)

    def run(self, caller: Image, callee: Image, how: Driver | None = None) -> Outcome:
        store = wasmtime.Store(self.engine)
        exports = wasmtime.Instance(store, self.module, []).exports(store)
        return (how or drive)(lambda name: lambda *args: exports[name](store, *args), caller, callee)


def drive(f: Any, caller: Image, callee: Image) -> Outcome:
    for side, image in (("caller", caller), ("callee", callee)):
        poke = f(f"{side}-poke")
        for at, word in fill(image):
            poke(at, word)
    try:
        f("run")()
    except (wasmtime.WasmtimeError, wasmtime.Trap) as e:
        return Outcome(True, reason=reason(e), detail=str(e)[-200:])
    caller_digest, callee_digest = f("caller-digest")(), f("callee-digest")()
    return Outcome(False, (caller_digest & (1 << 64) - 1, callee_digest & (1 << 64) - 1))


REASONS = {trap.value for trap in Trap} | {t.format(i) for t in OF_INDEX.values() for i in NAMED_INDICES}


BUG = "a bug of the engine, by its own word"


def reason(error: Exception) -> str:
    """Why something trapped: the engine's message, or what our trap is called (`meld.abi.traps`)."""
    text = str(error)
    if "This is a bug in Wasmtime" in text:
        return BUG
    cause = re.search(r"(?:Caused by:\s+|^|\n +\d+: )(?:wasm trap: )?([^\n]*)\Z", text.strip())
    frame = re.search(r" 0: +0x\w+ - [^!]*!(.*)", text)
    assert cause is not None, text
    if cause[1] == "wasm `unreachable` instruction executed" and frame and frame[1] in REASONS:
        return frame[1]
    return cause[1]


@dataclass(frozen=True)
class Skew:
    """What a test adds to addresses, so that they are unaligned or out of bounds."""

    params: int = 0
    returned: int = 0
    received: int = 0
    caller_realloc: int = 0
    callee_realloc: int = 0


STRAIGHT = Skew()


def images(pair: Pair, arguments: tuple[Any, ...], result: Any, skew: Skew = STRAIGHT) -> tuple[Image, Image]:
    """Both memories, ready for a call with these arguments that returns this result."""
    caller, callee = Image(pair.caller), Image(pair.callee)
    params = pair.up.tuple_of(t for _, t in pair.type.params)
    if len(params.flat) > MAX_FLAT_PARAMS:
        at = caller.alloc(params.size, params.align)
        caller.store(params, arguments, at)
        cores = [at + skew.params]
    else:
        cores = caller.flat(params, arguments)
    if pair.type.result is not None:
        out = pair.down.of(pair.type.result)
        if len(out.flat) > MAX_FLAT_RESULTS:
            at = callee.alloc(out.size, out.align)
            callee.store(out, result, at)
            callee.put(RESULTS, 8, at + skew.returned)
            back = pair.up.of(pair.type.result)
            cores.append(caller.alloc(back.size, back.align) + skew.received)
        else:
            callee.put(RESULTS, 8, callee.flat(out, result)[0])
    for i, bits in enumerate(cores):
        caller.put(ARGUMENTS + 8 * i, 8, bits)
    caller.put(SKEW, 8, skew.caller_realloc)
    callee.put(SKEW, 8, skew.callee_realloc)
    return caller, callee
