"""Values of any type through the host's own lifting: an echo behind an echo, unfused and as `--emit=component`.

The host gives a value to the consumer, which gives it to the provider, which gives it back; all in encodings of their
own. What comes out is what went in, through the engine's component support on both sides of the fused module.
"""

from __future__ import annotations

import struct
from typing import Any

import wasmtime
from adapter_pairs import Form, Named
from adapter_values import ENCODINGS, cases_of, compound, values
from cases import trying
from hypothesis import assume, given
from hypothesis import strategies as st
from smith import wasm_tools
from wasmtime import component as wc

from meld.abi.layout import MAX_FLAT_PARAMS, Layouts
from meld.driver import FOR_COMPONENTS
from meld.files import decode, encode
from meld.ir import component as c
from meld.passes import Registry
from meld.passmanager import parse_pipeline, plan_default, plan_named, run
from tests.runtime.test_interpreter import shared_engine

P = c.Prim
PAD = (P.U64,) * (MAX_FLAT_PARAMS + 1)
"""Makes a tuple too large for core values, so that it travels in memory."""

labels = st.integers(1, 32).map(lambda n: tuple(f"x{i}" for i in range(n)))
leaves = st.one_of(
    st.sampled_from([t for t in P if t is not P.ERROR_CONTEXT]), labels.map(c.EnumType), labels.map(c.Flags)
)
no_maps = st.recursive(leaves, compound, max_leaves=6).filter(lambda t: "map" not in repr(t).lower())
"""The engine's interface to Python has no maps."""

MEMORY = """(memory (export "memory") 4)
  (global $free (mut i32) (i32.const 0x10000))
  (func (export "realloc") (param $old i32) (param $old_bytes i32) (param $align i32) (param $bytes i32) (result i32)
    (local $new i32)
    (local.set $new (i32.and (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $new) (local.get $bytes)))
    loop $grow
      (i32.gt_u (global.get $free) (i32.mul (memory.size) (i32.const 0x10000)))
      if (drop (memory.grow (i32.const 4))) br $grow end
    end
    (memory.copy (local.get $new) (local.get $old)
      (select (local.get $old_bytes) (local.get $bytes) (i32.lt_u (local.get $old_bytes) (local.get $bytes))))
    (local.get $new))"""
"""Where the echo leaves a pair of an address and a length, and a value that travels in memory."""
AREA = 1024


def bodies(t: Any) -> tuple[str, str, str, str]:
    """Core parameters and result of an echo of a list, a large tuple or a number, the provider's body, the call."""
    layout = Layouts().of(t)
    if isinstance(t, c.ListType):
        store = f"(i32.store (i32.const {AREA}) (local.get 0)) (i32.store (i32.const {AREA + 4}) (local.get 1))"
        call = f"(call $f (local.get 0) (local.get 1) (i32.const {AREA})) (i32.const {AREA})"
        return "(param i32 i32) (result i32)", "(param i32 i32 i32)", f"{store} (i32.const {AREA})", call
    if len(layout.flat) > MAX_FLAT_PARAMS:
        call = f"(call $f (local.get 0) (i32.const {AREA})) (i32.const {AREA})"
        return "(param i32) (result i32)", "(param i32 i32)", "(local.get 0)", call
    (core,) = layout.flat
    shape = f"(param {core.value}) (result {core.value})"
    return shape, shape, "(local.get 0)", "(call $f (local.get 0))"


def composition(t: Any, consumer: str, provider: str) -> str:
    names = Named(fixed_lists=False)
    type_ = f'(func (param "v" {names.of(t)}) (result {names.of(t)}))'
    lifted, lowered, back, call = bodies(t)
    withs = "".join(f'(with "n{i}" (type $t{i}))' for i in names.named())

    def options(encoding: str) -> str:
        return f'string-encoding={encoding} (memory (core memory $i "memory")) (realloc (core func $i "realloc"))'

    return f"""(component
  {names.text(export=True)}
  (type $f {type_})
  (component $provider
    {names.text(export=False)}
    (type $g {type_})
    (core module $m {MEMORY} (func (export "echo") {lifted} {back}))
    (core instance $i (instantiate $m))
    (func (export "echo") (type $g) (canon lift (core func $i "echo") {options(provider)})))
  (instance $provider (instantiate $provider {withs}))
  (component $consumer
    {names.text(export=False)}
    (type $g {type_})
    (import "echo" (func $f (type $g)))
    (core module $libc {MEMORY})
    (core instance $i (instantiate $libc))
    (core func $f (canon lower (func $f) {options(consumer)}))
    (core module $m (import "" "f" (func $f {lowered})) (func (export "run") {lifted} {call}))
    (core instance $run (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "run") (type $g) (canon lift (core func $run "run") {options(consumer)})))
  (instance $consumer (instantiate $consumer (with "echo" (func $provider "echo")) {withs}))
  (export "run" (func $consumer "run") (func (type $f))))"""


def to_python(kind: wc.ValType, t: Any, value: Any) -> Any:
    """A drawn value as the engine's interface to Python takes it; `kind` is its type there."""
    match t:
        case P.BOOL:
            return bool(value)
        case P.CHAR:
            return chr(value)
        case P.F32:
            return struct.unpack("<f", struct.pack("<I", value))[0]
        case P.F64:
            return struct.unpack("<d", struct.pack("<Q", value))[0]
        case P.S8 | P.S16 | P.S32 | P.S64:
            bits = int(t.value[1:])
            return value - (1 << bits) if value >> (bits - 1) else value
        case P():
            return value
        case c.Flags(names):
            return {name for i, name in enumerate(names) if value >> i & 1}
        case c.EnumType(names):
            return names[value[0]]
        case c.ListType(element, None):
            items = [to_python(kind.element, element, x) for x in value]
            return bytes(items) if element is P.U8 else items
        case c.ListType(element, int()):
            kinds = kind.elements
            return tuple(to_python(k, element, x) for k, x in zip(kinds, value, strict=True))
        case c.Tuple(elements):
            return tuple(to_python(k, e, x) for k, e, x in zip(kind.elements, elements, value, strict=True))
        case c.Record(fields):
            made = wc.Record()
            for (name, k), (_, e), x in zip(kind.fields, fields, value, strict=True):
                setattr(made, name, to_python(k, e, x))
            return made
        case c.Variant() | c.Option() | c.Result():
            case, payload = value
            name, k = kind._cases()[case]
            inner = cases_of(t)[case]
            made = None if inner is None else to_python(k, inner, payload)
            return wc.Variant(name, made) if kind._tagged() else made
    raise TypeError(repr(t))


def shown(value: Any) -> Any:
    """A value so that it can be compared: NaNs too."""
    match value:
        case list() | tuple():
            return [shown(x) for x in value]
        case wc.Record():
            return {name: shown(x) for name, x in vars(value).items()}
        case wc.Variant():
            return (value.tag, shown(value.payload))
        case set():
            return sorted(value)
        case float():
            return repr(value)
    return value


def whole(text: str) -> bytes:
    """Fused and wrapped."""
    program = decode(bytes(wasmtime.wat2wasm(text)), "echo")
    registry = Registry.standard()
    plan = plan_default(program, registry, *FOR_COMPONENTS)
    plan = plan_named([*plan.steps, *parse_pipeline("wrap", registry)], program, registry)
    return encode(run(plan, program)[0])


class Echo:
    def __init__(self, binary: Any) -> None:
        self.store = wasmtime.Store(shared_engine())
        instance = wc.Linker(shared_engine()).instantiate(self.store, wc.Component(shared_engine(), binary))
        self.function = instance.get_func(self.store, "run")
        assert self.function is not None


CALLS = 5


@trying(0.2, CALLS)
@given(no_maps, st.booleans(), st.sampled_from(ENCODINGS), st.sampled_from(ENCODINGS), st.data())
def test_echo(t: Any, listed: bool, consumer: str, provider: str, data: st.DataObject) -> None:
    if listed:
        t = c.ListType(t)
    elif isinstance(t, c.ListType) or len(Layouts().of(t).flat) > 1:
        t = c.Tuple((t, *PAD))
    text = composition(t, consumer, provider)
    made = whole(text)
    wasm_tools("validate", "--features=all", data=made)
    unfused, fused = Echo(text), Echo(made)
    kind = unfused.function.type(unfused.store).result
    for _ in range(CALLS):
        value = to_python(kind, t, data.draw(values(t, Form(), wild=False)))
        try:
            want = shown(unfused.function(unfused.store, value))
        except (
            ValueError
        ) as e:  # the engine's interface to Python cannot tell the cases of some results by their values
            assume("not valid for this variant" not in str(e))
            raise
        got = shown(fused.function(fused.store, value))
        assert got == want == shown(value), text
