"""`lower-multi-memory` against the module it starts from: results, traps, globals and memories, under the engine."""

from __future__ import annotations

import re

import pytest
import wasmtime
from lowering import AS_MEMORY, PAGE, Beside, lower, text

from meld.binary.writer import write_module
from meld.diagnostics import MeldError
from meld.ir.opcodes import OPS, Imm, Op
from meld.runtime.instantiate import Trapped, engine, instantiate
from meld.text.reading.program import parse_module

OUT_OF_BOUNDS = f"trap: {AS_MEMORY}"
ACCESSES = [op for op in OPS.values() if op.imms[:1] == (Imm.MEMARG,)]
THREE = """(module
  (memory $a 1 2) (memory $b 1) (memory $c 2)
  (data (memory $a) (i32.const 0) "aaaaaaaaaaaaaaaaAAAAAAAAAAAAAAAA")
  (data (memory $a) (i32.const 65520) "0123456789abcdef")
  (data (memory $b) (i32.const 0) "bcdefghijklmnopqrstuvwxyzBCDEFGH")
  (data (memory $b) (i32.const 65520) "ABCDEFGHIJKLMNOP")
  (data (memory $c) (i32.const 0) "cccccccccccccccc") (data (memory $c) (i32.const 65536) "xyz")
  (data (memory $c) (i32.const 131056) "endendendendende")
  (data $passive "passive data")
"""
LAYOUTS = (256, 0)
"""Pages in reserve: regions that stay where they are, and regions that move."""
OPERANDS = {
    "i32": "(i32.const 0x1234fedc)",
    "i64": "(i64.const 0x123456789abcdef0)",
    "f32": "(f32.const 1.5)",
    "f64": "(f64.const -2.25)",
    "v128": "(v128.const i64x2 0x1122334455667788 0x99aabbccddeeff00)",
}


def one_access(op: Op, memory: str, offset: int, name: str) -> str:
    """A function of an address that makes one access; its result tells all that was loaded."""
    prefix, _, rest = op.name.partition(".")
    stores = rest.startswith(("store", "atomic.store"))
    operands: list[str] = []
    if prefix == "memory":
        prefix = "i32"
        operands = ["(i32.const 1)"] if rest.endswith("notify") else [OPERANDS[f"i{rest[-2:]}"], "(i64.const 0)"]
    elif stores or "_lane" in rest or ".rmw" in op.name:
        operands = [OPERANDS[prefix]] * (2 if "cmpxchg" in rest else 1)
    lane = " 1" if "_lane" in rest else ""
    code = f"({op.name} {memory} offset={offset}{lane} (local.get $at) {' '.join(operands)})"
    result = {"v128": "i64"}.get(prefix, prefix)
    if prefix == "v128" and not stores:
        code = (
            f"(local.set $v {code}) (i64.xor (i64x2.extract_lane 0 (local.get $v))"
            " (i64.mul (i64.const 31) (i64x2.extract_lane 1 (local.get $v))))"
        )
    shown = "" if stores else f"(result {result})"
    return f'(func (export "{name}") (param $at i32) {shown} (local $v v128) {code})\n'


class TestAccesses:
    """Loads and stores of all widths, vector lanes, atomics: inside, at the edge, and beyond."""

    @pytest.mark.parametrize("reserve", LAYOUTS)
    @pytest.mark.parametrize("memory", ["$a", "$b", "$c"])
    def test_all(self, memory: str, reserve: int) -> None:
        offsets = (0, 8, 0xFFFF_FFF8)
        functions = [one_access(op, memory, o, f"{op.name}+{o:x}") for op in ACCESSES for o in offsets]
        grows = "(func (drop (memory.grow $a (i32.const 0))) (drop (memory.grow $b (i32.const 0))))"
        both = Beside(text(THREE + "".join(functions) + grows + ")"), reserve=reserve)
        edge = (2 if memory == "$c" else 1) * PAGE
        for op in ACCESSES:
            width = 1 << op.align
            inside = 0
            for o in offsets:
                for at in (0, 16, edge - width - o, edge - width - o + 1, edge - o, -o, -1, 1 << 31):
                    outcome = both(f"{op.name}+{o:x}", at & 0xFFFF_FFFF)
                    legal = at >= 0 and at + o + width <= edge and "memory.atomic.wait" not in op.name
                    assert not legal or not str(outcome).startswith("trap")
                    inside += legal
            assert inside > 3 or "wait" in op.name
        both.same_state()

    def test_there_are_all_kinds(self) -> None:
        assert len(ACCESSES) > 100
        assert {op.name.partition(".")[0] for op in ACCESSES} == {"i32", "i64", "f32", "f64", "v128", "memory"}

    def test_in_code_that_is_never_reached(self) -> None:
        both = Beside(
            text(
                THREE
                + """
            (func (export "f") (result i32)
              (return (i32.const 7)) i32.store $b  v128.load64_lane $b 1 drop  memory.copy $b $a  memory.grow $b)
            (func (export "g") (param i32) (result i32)
              (block $out (result i32)
                (br $out (i32.const 3)) i64.store $c  i32.atomic.rmw.cmpxchg $a  drop memory.size $b))
            )"""
            )
        )
        assert [both("f"), both("g", 1)] == [7, 3]

    def test_operands_are_evaluated_once_and_before(self) -> None:
        """An address that is computed by what grows a region in front."""
        both = Beside(
            text(
                THREE
                + """
            (func (export "store") (result i32)
              (i32.store $b (i32.const 4) (memory.grow $a (i32.const 1)))
              (i32.store $c (i32.add (memory.grow $b (i32.const 1)) (i32.const 99)) (i32.const 0x01020304))
              (memory.copy $c $b (memory.grow $b (i32.const 1)) (i32.const 0) (i32.const 32))
              (memory.fill $c (i32.const 70) (i32.const 9) (memory.grow $c (i32.const 2)))
              (i32.load $b (i32.const 4)))
            )"""
            )
        )
        assert both("store") == 1
        both.same_state()


BULK = """
  (func (export "copy_ab") (param i32 i32 i32) (memory.copy $a $b (local.get 0) (local.get 1) (local.get 2)))
  (func (export "copy_bc") (param i32 i32 i32) (memory.copy $b $c (local.get 0) (local.get 1) (local.get 2)))
  (func (export "copy_ca") (param i32 i32 i32) (memory.copy $c $a (local.get 0) (local.get 1) (local.get 2)))
  (func (export "copy_bb") (param i32 i32 i32) (memory.copy $b $b (local.get 0) (local.get 1) (local.get 2)))
  (func (export "fill_a") (param i32 i32 i32) (memory.fill $a (local.get 0) (local.get 1) (local.get 2)))
  (func (export "fill_c") (param i32 i32 i32) (memory.fill $c (local.get 0) (local.get 1) (local.get 2)))
  (func (export "init_b") (param i32 i32 i32) (memory.init $b $passive (local.get 0) (local.get 1) (local.get 2)))
  (func (export "drop") (data.drop $passive))
  (func (export "size_a") (result i32) (memory.size $a))
  (func (export "size_b") (result i32) (memory.size $b))
  (func (export "size_c") (result i32) (memory.size $c))
  (func (export "grow_a") (param i32) (result i32) (memory.grow $a (local.get 0)))
  (func (export "grow_b") (param i32) (result i32) (memory.grow $b (local.get 0)))
  (func (export "grow_c") (param i32) (result i32) (memory.grow $c (local.get 0)))
  (func (export "load_a") (param i32) (result i32) (i32.load $a (local.get 0)))
  (func (export "load_b") (param i32) (result i32) (i32.load $b (local.get 0)))
  (func (export "load_c") (param i32) (result i32) (i32.load $c (local.get 0)))
  (func (export "store_a") (param i32 i32) (i32.store $a (local.get 0) (local.get 1)))
  (func (export "store_b") (param i32 i32) (i32.store $b (local.get 0) (local.get 1)))
  (func (export "store_c") (param i32 i32) (i32.store $c (local.get 0) (local.get 1)))
)"""


class TestBulk:
    """memory.copy, memory.fill, memory.init: between regions, overlapping, and beyond the edges."""

    TRIPLES = (
        *((0, 0, 32), (5, 3, 20), (3, 5, 20), (PAGE - 16, PAGE - 16, 16), (0, 0, PAGE), (0, 0, 0)),
        *((PAGE, PAGE, 0), (PAGE + 1, 0, 0), (0, PAGE + 1, 0), (PAGE - 15, 0, 16), (0, PAGE - 15, 16)),
        *((0, 0, PAGE + 1), (1, 0, PAGE), (0xFFFF_FFFF, 0, 1), (0, 0xFFFF_FFFF, 2), (0xFFFF_FFF0, 0xFFFF_FFF0, 32)),
        *((0, 0, 0xFFFF_FFFF), (1 << 31, 0, 1 << 31), (2 * PAGE - 4, 8, 4), (2 * PAGE - 4, 8, 5), (2 * PAGE, 0, 0)),
    )

    @pytest.mark.parametrize("reserve", LAYOUTS)
    @pytest.mark.parametrize("name", ["copy_ab", "copy_bc", "copy_ca", "copy_bb", "fill_a", "fill_c", "init_b"])
    def test_all(self, name: str, reserve: int) -> None:
        both = Beside(text(THREE + BULK), reserve=reserve)
        outcomes = set()
        for triple in self.TRIPLES:
            outcomes.add(both(name, *triple))
            both.same_state()
        assert outcomes == {None, OUT_OF_BOUNDS}

    def test_init_of_a_dropped_segment(self) -> None:
        both = Beside(text(THREE + BULK))
        assert both("init_b", 100, 0, 12) is None
        both("drop")
        assert both("init_b", 100, 0, 1) == OUT_OF_BOUNDS
        assert both("init_b", 100, 0, 0) is None
        both.same_state()


class TestGrow:
    """Each region grows, in any order; nothing is lost, what is new is zero, and maxima hold."""

    @pytest.mark.parametrize("reserve", LAYOUTS)
    @pytest.mark.parametrize("order", ["abc", "cba", "bac", "bbb", "acb", "ccaabb"])
    def test_in_any_order(self, order: str, reserve: int) -> None:
        both = Beside(text(THREE + BULK), reserve=reserve)
        for i, letter in enumerate(order):
            both(f"store_{letter}", 40, 0x0BADF00D + i)
            grown = both(f"grow_{letter}", 1 + (letter != "a" and i))
            assert grown > 0 or letter == "a"
            both.same_state()
            assert both(f"load_{letter}", grown * PAGE) == 0 or grown < 0
            both(f"store_{letter}", grown * PAGE - 2, 0x7F7F7F7F)
            both.same_state()
            for other in "abc":
                size = both(f"size_{other}") * PAGE
                assert both(f"load_{other}", size - 3) == OUT_OF_BOUNDS
                both(f"load_{other}", size - 4)
        assert both("fill_c", 0, 0x5A, both("size_c") * PAGE) is None
        both.same_state()

    def test_what_is_beyond_a_maximum_or_4_gib(self) -> None:
        both = Beside(text(THREE + BULK))
        for name, delta in (
            *(("grow_a", d) for d in (0, 2, 0xFFFF_FFFF, 1, 1, 0)),
            *(("grow_b", d) for d in (0, 65536, 0xFFFF_FFFF, 1 << 31)),
        ):
            both(name, delta)
            both.same_state()
        assert both("size_a") == 2

    def test_all_together_have_4_gib_at_most(self) -> None:
        """That is what it costs: the regions share what one memory can have."""
        lowered = Beside(text("(module (memory $a 1) (memory $b 2)" + BULK_OF_TWO), reserve=0).lowered
        assert lowered.call("grow_b", (65533,)) == ("result", -1)
        assert lowered.call("grow_b", (65532,)) == ("result", 2)
        assert lowered.call("grow_a", (1,)) == lowered.call("grow_b", (1,)) == ("result", -1)
        last = 65534 * PAGE - 4
        assert lowered.call("store_b", (last, 99)) == ("result", None)
        assert lowered.call("load_b", (last,)) == ("result", 99)
        assert lowered.call("load_b", (last + 1,)) == lowered.call("load_a", (PAGE,)) == ("trap", AS_MEMORY)
        assert lowered.call("copy_bb", (last + 4, last + 4, 0)) == ("result", None)

    def test_the_last_one_takes_what_is_left_and_others_what_is_in_reserve(self) -> None:
        lowered = Beside(text("(module (memory $a 1) (memory $b 2 2) (memory $c 3)" + BULK[:-1] + DROPPED)).lowered
        assert lowered.call("grow_c", (65536 - 257 - 2 - 3,)) == ("result", -1)
        assert lowered.call("grow_c", (65535 - 257 - 2 - 3,)) == ("result", 3)
        assert lowered.call("grow_a", (257,)) == ("result", -1)
        assert lowered.call("grow_a", (256,)) == ("result", 1)
        assert lowered.call("grow_a", (1,)) == lowered.call("grow_c", (1,)) == ("result", -1)
        assert lowered.call("size_a", ()) == ("result", 257)
        assert lowered.call("store_a", (257 * PAGE - 4, 99)) == ("result", None)
        assert lowered.call("store_a", (257 * PAGE - 3, 99)) == ("trap", AS_MEMORY)
        assert lowered.call("load_c", ((65535 - 259) * PAGE - 3,)) == ("trap", AS_MEMORY)

    def test_a_declared_maximum_is_reserved(self) -> None:
        """Up to 64 MiB; then it is what the others get."""
        for maximum, want in ((700, 700), (1025, 1025), (2000, 257)):
            source = f"(module (memory $a 1 {maximum}) (memory $b 1)" + BULK_OF_TWO
            lowered = Beside(text(source)).lowered
            assert lowered.call("grow_a", (want,)) == ("result", -1)
            assert lowered.call("grow_a", (want - 1,)) == ("result", 1)

    def test_reserves_leave_room_for_the_last_one(self) -> None:
        """Half of what there is."""
        memories = "".join(f"(memory $m{i} 300)" for i in range(90))
        grows = "".join(f'(func (export "{i}") (drop (memory.grow $m{i} (i32.const 1))))' for i in range(90))
        module = parse_module(f"(module {memories} {grows})", "test.wat")
        lower(module)
        (memory,) = module.memories
        assert 46000 < memory.limits.minimum <= (65536 + 27000) // 2 and memory.limits.maximum == 65535

    def test_a_region_without_pages_at_the_very_end(self) -> None:
        module = parse_module('(module (memory 65536) (memory 0) (data (memory 1) (i32.const 0) ""))', "test.wat")
        lower(module)
        instantiate(module)

    def test_no_pages_at_first(self) -> None:
        both = Beside(text("(module (memory $a 0) (memory $b 0 3)" + BULK_OF_TWO))
        assert both("load_a", 0) == both("load_b", 0) == OUT_OF_BOUNDS
        for name, delta in (("grow_b", 1), ("grow_a", 1), ("grow_b", 2), ("grow_b", 1), ("grow_a", 1)):
            both(name, delta)
            both("store_a", 0, delta), both("store_b", PAGE - 4, 77)
            both.same_state()
        assert [both("size_a"), both("size_b")] == [2, 3]


DROPPED = '(data $passive "passive data"))'
BULK_OF_TWO = "\n".join(line for line in BULK.splitlines() if "$c" not in line and "$passive" not in line)


GLOBAL_I32 = wasmtime.GlobalType(wasmtime.ValType.i32(), False)
GIVEN = {("env", "at"): lambda store: wasmtime.Global(store, GLOBAL_I32, wasmtime.Val.i32(PAGE - 4))}


class TestSegments:
    """Active segments, in bounds and not, with offsets that are known and that are not; start functions."""

    IMPORT = '(module (import "env" "at" (global $at i32))'

    @pytest.mark.parametrize(
        "segments",
        [
            '(data (memory $b) (i32.const 65531) "abcde")',
            '(data (memory $b) (global.get $at) "abcd") (data (memory $a) (i32.const 1) "x")',
            '(data (memory $b) (i32.add (global.get $at) (i32.const -9)) "abcd") (data $p "zzz")',
            '(data (memory $b) (global.get $at) "abcd") (data (memory $b) (i32.const 65534) "x")',
            '(data (memory $b) (i32.const 65536) "") (data (memory $a) (i32.const 7) "x")',
        ],
    )
    def test_in_bounds(self, segments: str) -> None:
        start = "(func $start (i32.store8 $a (i32.const 0) (i32.load8_u $b (i32.const 65534)))) (start $start)"
        both = Beside(text(self.IMPORT + "(memory $a 1) (memory $b 1)" + segments + start + BULK_OF_TWO), GIVEN)
        assert any(both.original.memory("m1")) or "65536" in segments
        both("grow_a", 1)
        both.same_state()

    @pytest.mark.parametrize(
        "segment",
        [
            '(data (memory $a) (i32.const 65533) "abcd")',
            '(data (memory $b) (i32.const 65536) "a")',
            '(data (memory $a) (i32.const 65537) "")',
            '(data (memory $a) (i32.const -1) "ab")',
            '(data (memory $a) (i32.add (global.get $at) (i32.const 1)) "abcd")',
        ],
    )
    def test_out_of_bounds_is_a_trap_at_instantiation(self, segment: str) -> None:
        """Also where another region lies behind."""
        make = text(self.IMPORT + "(memory $a 1) (memory $b 1)" + segment + BULK_OF_TWO)
        lowered = make()
        lower(lowered)
        for module in (make(), lowered):
            with pytest.raises(Trapped, match=AS_MEMORY):
                store = wasmtime.Store(engine())
                instantiate(module, given={name: f(store) for name, f in GIVEN.items()}, store=store)

    def test_segments_are_written_before_the_start_function_and_once(self) -> None:
        source = """(memory $a 1) (memory $b 1)
          (data (memory $a) (global.get $at) "abcd") (data $b (memory $b) (i32.const 3) "x")
          (func $start (i32.store8 $b (i32.const 9) (i32.load8_u $b (i32.const 3)))
            (i32.store8 $b (i32.const 3) (i32.const 33)))
          (start $start)
          (func (export "again") (memory.init $b $b (i32.const 0) (i32.const 0) (i32.const 1)))"""
        both = Beside(text(self.IMPORT + source + BULK_OF_TWO), GIVEN)
        assert bytes(both.lowered.memory("m1")[3:10]) == b"!\0\0\0\0\0x"
        assert both("again") == OUT_OF_BOUNDS
        both.same_state()


class TestRefusals:
    """What cannot become a region is refused by name."""

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ('(import "env" "m" (memory $i 1)) (memory $b 1)', "`i` is imported"),
            ("(memory $a 1) (memory $b 1 2 shared)", "`b` is shared between threads"),
            ("(memory $a i64 1) (memory $b 1)", "`a` has 64-bit addresses"),
            ("(memory $a 1) (memory $b 1 (pagesize 1))", "`b` has pages of another size"),
            ('(memory $a (export "x") 1) (memory $b (export "y") 1)', "pointers into several memories (`a`, `b`)"),
            ("(memory $a 65536) (memory $b 1)", "65537 pages together"),
        ],
    )
    def test_what(self, source: str, message: str) -> None:
        with pytest.raises(MeldError, match=re.escape(message)):
            lower(parse_module(f"(module {source})", "test.wat"))

    @pytest.mark.parametrize("source", ["", "(memory $a i64 1)", '(import "env" "m" (memory 1 2 shared))'])
    def test_one_memory_is_left_as_it_is(self, source: str) -> None:
        module = parse_module(f"(module {source})", "test.wat")
        before = write_module(module)
        assert "nothing to lower" in lower(module)[0]
        assert write_module(module) == before

    def test_the_exported_memory_comes_first_and_the_remark_says_what_it_costs(self) -> None:
        source = '(module (memory $a 1) (memory $b (export "memory") 1)' + BULK_OF_TWO
        both = Beside(text(source))
        assert both.remarks[0] == (
            "2 memories are one now, of 258 pages: `m1` (checked, grows to 257 pages), "
            "`m0` (checked by the engine, grows); 2 of 9 accesses are checked"
        )
        exported = both.lowered.running.instance.exports(both.lowered.running.store)["memory"]
        both("store_b", 0, 0x11223344)
        both("grow_b", 1)
        assert bytes(exported.read(both.lowered.running.store, 0, 4)) == b"\x44\x33\x22\x11"
        both.same_state()
        exported.grow(both.lowered.running.store, 2)  # pages of nobody: no region has changed
        both.same_state()
        exported.write(both.lowered.running.store, b"host", 4 * PAGE)
        for name in ("grow_a", "grow_b", "grow_a"):
            both(name, 1)
            both.same_state()
