"""`--emit=component` on components made to order: worlds of every kind, several memories, start functions, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import wasmtime
from wrapped import ROOT, Hosts, Running, fuse, meldc, tool, wit

WORLDS = {
    "functions": "export run: func(a: string, b: list<tuple<u8, char>>) -> result<option<f32>, string>;",
    "no-types": "import log: func(s: string); export a: interface { f: func(); } export b: interface { f: func(); }",
    "names": """
        use types.{point};
        import user;
        import plain: func(a: string, p: point) -> list<u8>;
        import inline: interface { h: func(s: string) -> u8; record z { q: bool } k: func(z: z); }
        export out; export local; export chained;
        export run: func(p: point) -> result;
        export other: interface { use types.{shape}; h: func(s: shape) -> u8; }""",
    "both-ways": "import local; export local; export chained;",
    "exported-types": "export types-only; export uses-them;",
    "resources": "import types; export passes;",
    "own-resources": "export owner; export borrower;",
    "two-owners": "import types; export owner; export owner2;",
}
INTERFACES = """
interface types {
  record point { x: u32, y: s64 }
  record same { x: u32, y: s64 }
  type alias = point;
  type number = u16;
  enum color { red, green }
  flags perms { r, w }
  variant shape { dot, at(point), named(string), col(color) }
  resource host-res {
    constructor(n: number); get: func() -> option<shape>; make: static func(p: point) -> host-res;
  }
  holds: func(h: borrow<host-res>, o: host-res) -> result<host-res, color>;
  pass: func(a: alias, s: same, p: perms) -> tuple<point, same>;
}
interface user {
  use types.{point, shape, host-res, alias as renamed};
  record line { start: point, to: renamed }
  variant event { drawn(line), owned(host-res) }
  draw: func(l: list<line>) -> result<list<shape>, string>;
  take: func(h: host-res) -> event;
}
interface out {
  use types.{point, host-res};
  use user.{line, event};
  record picture { lines: list<line>, origin: point }
  show: func(p: picture) -> string;
  handle: func(e: event, h: borrow<host-res>) -> option<host-res>;
}
interface local {
  record outer { a: string, b: list<inner> }
  record inner { c: char, d: f64 }
  f: func(x: outer) -> inner;
}
interface chained {
  use local.{outer};
  g: func(x: list<outer>) -> tuple<outer, u8>;
}
interface types-only { record only { a: u8 } type more = list<only>; }
interface uses-them { use types-only.{only, more}; f: func(m: more) -> option<only>; }
interface owner {
  resource thing { constructor(s: string); name: func() -> string; join: static func(a: thing, b: thing) -> thing; }
  resource unused;
  record holder { t: thing, n: u8 }
  keep: func(h: list<holder>) -> option<thing>;
  look: func(t: borrow<thing>) -> u32;
}
interface borrower { use owner.{thing, holder}; swap: func(h: holder) -> tuple<thing, u8>; }
interface owner2 { use types.{host-res}; resource thing { via: func(h: borrow<host-res>) -> host-res; } }
interface passes { use types.{host-res}; through: func(h: host-res) -> host-res; }
"""


@pytest.mark.parametrize("name", WORLDS)
def test_same_world(name: str, tmp_path: Path) -> None:
    """A component for a world, its bodies made up by `wasm-tools`: the wrapped one has the same world."""
    (tmp_path / "w.wit").write_text(f"package t:w@1.2.3;\n{INTERFACES}\nworld w {{ {WORLDS[name]} }}")
    tool("component", "embed", "--dummy", tmp_path / "w.wit", "-w", "w", "-o", tmp_path / "core.wasm")
    tool("component", "new", tmp_path / "core.wasm", "-o", tmp_path / "made.wasm")
    made = fuse([tmp_path / "made.wasm"], tmp_path / "fused.wasm")
    assert wit(made) == wit(tmp_path / "made.wasm")
    again = fuse([made], tmp_path / "again.wasm")
    assert wit(again) == wit(made)


def both(text: str, tmp_path: Path, hosts: Hosts, *calls: tuple[Any, ...]) -> list[Any]:
    """Runs calls unfused and fused; returns what both did. `hosts` is called for each, for it may count."""
    source = tmp_path / "source.wasm"
    source.write_bytes(wasmtime.wat2wasm(text))
    made = fuse([source], tmp_path / "fused.wasm")
    want = [Running(source, hosts).call(*call) for call in calls]
    assert [Running(made, hosts).call(*call) for call in calls] == want
    assert wit(made) == wit(source)
    return want


LIBRARY = """
  (core module $libc
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const {free}))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local i32)
      (local.set 4 (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
      (global.set $free (i32.add (local.get 4) (local.get 3)))
      (memory.copy (local.get 4) (local.get 0)
        (select (local.get 1) (local.get 3) (i32.lt_u (local.get 1) (local.get 3))))
      (local.get 4)))
  (core instance $libc (instantiate $libc))
"""
LOWER = '(memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))'


def party(name: str, encoding: str, free: int) -> str:
    """A component with a memory of its own that passes a string on to the host's `say`."""
    return f"""(component ${name}
      (import "say" (func $say (param "s" string) (result string)))
      {LIBRARY.replace("{free}", str(free))}
      (core func $say (canon lower (func $say) {LOWER} string-encoding={encoding}))
      (core module $m
        (import "" "say" (func $say (param i32 i32 i32)))
        (func (export "speak") (param i32 i32) (result i32)
          (call $say (local.get 0) (local.get 1) (i32.const 16)) (i32.const 16)))
      (core instance $i (instantiate $m (with "" (instance (export "say" (func $say))))))
      (func (export "speak") (param "s" string) (result string)
        (canon lift (core func $i "speak") {LOWER} string-encoding={encoding})))"""


def test_several_memories(tmp_path: Path) -> None:
    """Two instances lower the same import with memories, allocators and encodings of their own."""
    text = f"""(component
      (import "say" (func $say (param "s" string) (result string)))
      {party("a", "utf8", 1024)} {party("b", "utf16", 4096)} {party("c", "latin1+utf16", 9000)}
      (instance $a (instantiate $a (with "say" (func $say))))
      (instance $b (instantiate $b (with "say" (func $say))))
      (instance $c (instantiate $c (with "say" (func $say))))
      (export "one" (func $a "speak")) (export "two" (func $b "speak")) (export "three" (func $c "speak")))"""
    hosts: Hosts = {"say": lambda s: f"<{s}>"}
    calls = [(name, text) for name in ("one", "two", "three") for text in ("", "plain", "wörld €", "😀" * 40)]
    assert both(text, tmp_path, hosts, *calls) == [f"<{text}>" for _, text in calls]


def test_imports_that_two_inputs_share(tmp_path: Path) -> None:
    """Each knows a part of an interface; the whole needs a type that the first imports later, or not at all."""
    core = """(core module $m (import "" "f" (func $f (result i32)))
        (func (export "run") (result i32) (i32.add (call $f) (i32.const {n}))))
      (core func $f (canon lower (func $x "{f}")))
      (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
      (func (export "{run}") (result u32) (canon lift (core func $i "run")))"""
    first = f"""(component
      (import "a:b/x" (instance $x (export "f" (func (result u32)))))
      (import "a:b/y" (instance $y (export "r" (type (sub resource)))))
      {core.format(n=1, f="f", run="one")})"""
    second = f"""(component
      (import "a:b/z" (instance $z (type $p' (record (field "a" u8))) (export "p" (type (eq $p')))))
      (alias export $z "p" (type $p))
      (import "a:b/y" (instance $y (export "r" (type (sub resource))) (export "s" (type (sub resource)))))
      (alias export $y "s" (type $s))
      (import "a:b/x" (instance $x
        (alias outer 1 $s (type $s'))
        (export "s" (type $s (eq $s')))
        (alias outer 1 $p (type $p'))
        (export "p" (type $p (eq $p')))
        (export "g" (func (result u32)))
        (export "h" (func (param "p" $p) (param "s" (borrow $s))))))
      {core.format(n=2, f="g", run="two")})"""
    inputs = [tmp_path / "first.wasm", tmp_path / "second.wasm"]
    for path, text in zip(inputs, (first, second), strict=True):
        path.write_bytes(wasmtime.wat2wasm(text))
    for order in (inputs, inputs[::-1]):
        made = fuse(order, tmp_path / "fused.wasm")
        hosts: Hosts = {"a:b/x": {"f": lambda: 10, "g": lambda: 20, "h": lambda p, s: None}}
        running = Running(made, hosts, resources={"a:b/y": ["r", "s"]})
        assert (running.call("one"), running.call("two")) == (11, 22)


def test_start_calls_the_host(tmp_path: Path) -> None:
    """A start function that passes a string to the host runs when the host can read it, and in order."""
    said: list[str] = []
    text = f"""(component
      (import "say" (func $say (param "s" string) (result u32)))
      (import "tick" (func $tick (result u32)))
      {LIBRARY.replace("{free}", "1024")}
      (core func $say (canon lower (func $say) {LOWER}))
      (core func $tick (canon lower (func $tick)))
      (core module $first
        (import "" "say" (func $say (param i32 i32) (result i32)))
        (import "" "memory" (memory 1))
        (global $got (mut i32) (i32.const 0))
        (data (i32.const 32) "first")
        (func $start (global.set $got (call $say (i32.const 32) (i32.const 5))))
        (start $start)
        (func (export "got") (result i32) (global.get $got)))
      (core module $second
        (import "" "tick" (func $tick (result i32)))
        (import "" "say" (func $say (param i32 i32) (result i32)))
        (import "" "memory" (memory 1))
        (global $got (mut i32) (i32.const 0))
        (data (i32.const 32) "second")
        (func $start (global.set $got (i32.add (call $tick) (call $say (i32.const 32) (i32.const 6)))))
        (start $start)
        (func (export "got") (result i32) (global.get $got)))
      (core instance $args
        (export "say" (func $say)) (export "tick" (func $tick)) (export "memory" (memory $libc "memory")))
      (core instance $one (instantiate $first (with "" (instance $args))))
      (core instance $two (instantiate $second (with "" (instance $args))))
      (func (export "one") (result u32) (canon lift (core func $one "got")))
      (func (export "two") (result u32) (canon lift (core func $two "got"))))"""

    def say(s: str) -> int:
        said.append(s)
        return len(said) * 10 + len(s)

    hosts: Hosts = {"say": say, "tick": lambda: said.append("tick") or 0}
    source = tmp_path / "source.wasm"
    source.write_bytes(wasmtime.wat2wasm(text))
    made = fuse([source], tmp_path / "fused.wasm")
    seen = []
    for path in (source, made):
        said.clear()
        running = Running(path, hosts)
        seen.append((list(said), running.call("one"), running.call("two")))
    assert seen[0] == seen[1] == (["first", "tick", "second"], 15, 36)


def test_imports_exported_again(tmp_path: Path) -> None:
    """A component that gives its imports on: a function, an interface with its types, beside a function of its own.

    Engines run such a component only where its imports are another component's.
    """
    interface = """(instance
        (type $r (record (field "a" u8)))
        (export "r" (type $e (eq $r)))
        (export "f" (func (param "x" $e) (result u32))))"""
    text = f"""(component
      (type $t {interface})
      (import "a:b/c" (instance $c (type $t)))
      (import "g" (func $g (param "x" u32) (result u32)))
      (core module $m (func (export "h") (result i32) (i32.const 7)))
      (core instance $m (instantiate $m))
      (export "g-again" (func $g))
      (export "a:b/c" (instance $c))
      (func (export "h") (result u32) (canon lift (core func $m "h"))))"""
    source = tmp_path / "source.wasm"
    source.write_bytes(wasmtime.wat2wasm(text))
    made = fuse([source], tmp_path / "fused.wasm")
    point = type("Record", (), {"a": 5})()
    for path in (source, made):
        outer = f"""(component
          {tool("print", path).replace("(component", "(component $inner", 1)}
          (component $provider
            (core module $m (func (export "f") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 10))))
            (core instance $m (instantiate $m))
            (type $r' (record (field "a" u8)))
            (export $r "r" (type $r'))
            (func (export "f") (param "x" $r) (result u32) (canon lift (core func $m "f")))
            (func (export "g") (param "x" u32) (result u32) (canon lift (core func $m "f"))))
          (instance $p (instantiate $provider))
          (instance $i (instantiate $inner (with "a:b/c" (instance $p)) (with "g" (func $p "g"))))
          (export "g" (func $i "g-again"))
          (export "a:b/c" (instance $i "a:b/c"))
          (export "h" (func $i "h")))"""
        running = Running(bytes(wasmtime.wat2wasm(outer)))
        assert [running.call("g", 3), running.call("a:b/c#f", point), running.call("h")] == [30, 50, 7]


def test_exports_that_a_component_ascribes(tmp_path: Path) -> None:
    """Types at the root, and functions whose exported type is in terms of them."""
    text = """(component
      (component $inner
        (type $p' (record (field "x" u32) (field "y" u32)))
        (export $p "point" (type $p'))
        (core module $m (func (export "f") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
        (core instance $m (instantiate $m))
        (func $f (param "p" $p) (result u32) (canon lift (core func $m "f")))
        (export "sum" (func $f)))
      (instance $i (instantiate $inner))
      (alias export $i "point" (type $p'))
      (export $p "point" (type $p'))
      (export "sum" (func $i "sum") (func (param "p" $p) (result u32)))
      (export "a:b/i" (instance $i)))"""
    source = tmp_path / "source.wasm"
    source.write_bytes(wasmtime.wat2wasm(text))
    made = fuse([source], tmp_path / "fused.wasm")
    point = type("Record", (), {})()
    point.x, point.y = 4, 5
    for path in (source, made):
        assert Running(path).call("sum", point) == Running(path).call("a:b/i#sum", point) == 9


THINGS = """
  (component $provider
    (core module $d
      (global $dropped (mut i32) (i32.const 0))
      (func (export "dtor") (param i32) (global.set $dropped (i32.add (global.get $dropped) (local.get 0))))
      (func (export "dropped") (result i32) (global.get $dropped)))
    (core instance $d (instantiate $d))
    (type $thing' (resource (rep i32) (dtor (core func $d "dtor"))))
    (export $thing "thing" (type $thing'))
    (core func $new (canon resource.new $thing'))
    (core func $rep (canon resource.rep $thing'))
    (core func $drop (canon resource.drop $thing'))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "rep" (func $rep (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
      (func (export "get") (param i32) (result i32) (local.get 0))
      (func (export "take") (param i32) (result i32)
        (i32.mul (call $rep (local.get 0)) (i32.const 100)) (call $drop (local.get 0))))
    (core instance $m (instantiate $m
      (with "" (instance (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))))
    (func (export "make") (param "n" u32) (result (own $thing)) (canon lift (core func $m "make")))
    (func (export "get") (param "t" (borrow $thing)) (result u32) (canon lift (core func $m "get")))
    (func (export "take") (param "t" (own $thing)) (result u32) (canon lift (core func $m "take")))
    (func (export "dropped") (result u32) (canon lift (core func $d "dropped"))))
  (component $consumer
    (import "things" (instance $things
      (export "thing" (type $thing (sub resource)))
      (export "make" (func (param "n" u32) (result (own $thing))))
      (export "get" (func (param "t" (borrow $thing)) (result u32)))
      (export "take" (func (param "t" (own $thing)) (result u32)))))
    (alias export $things "thing" (type $thing))
    (core func $make (canon lower (func $things "make")))
    (core func $get (canon lower (func $things "get")))
    (core func $take (canon lower (func $things "take")))
    (core func $drop (canon resource.drop $thing))
    (core module $m
      (import "" "make" (func $make (param i32) (result i32)))
      (import "" "get" (func $get (param i32) (result i32)))
      (import "" "take" (func $take (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "run") (param i32) (result i32) (local $a i32) (local $b i32)
        (local.set $a (call $make (local.get 0)))
        (local.set $b (call $make (i32.const 3)))
        (i32.add (call $get (local.get $a)) (call $get (local.get $a)))
        (call $drop (local.get $a))
        (i32.add (call $take (local.get $b))))
      (func (export "consume") (param i32) (result i32)
        (call $get (local.get 0)) (call $drop (local.get 0)))
      (func (export "misuse") (result i32) (call $get (i32.const 77))))
    (core instance $m (instantiate $m (with "" (instance (export "make" (func $make))
      (export "get" (func $get)) (export "take" (func $take)) (export "drop" (func $drop))))))
    (func (export "run") (param "n" u32) (result u32) (canon lift (core func $m "run")))
    (func (export "misuse") (result u32) (canon lift (core func $m "misuse")))
    (func (export "consume") (param "t" (own $thing)) (result u32) (canon lift (core func $m "consume"))))
  (instance $p (instantiate $provider))
  (instance $c (instantiate $consumer (with "things" (instance $p))))
"""


def test_a_resource_inside_and_outside(tmp_path: Path) -> None:
    """What one component defines and another uses is also the host's to use: made, lent, given away, destroyed."""
    text = f"""(component {THINGS}
      (export $things "a:b/things" (instance $p))
      (alias export $things "thing" (type $thing))
      (export "run" (func $c "run"))
      (export "misuse" (func $c "misuse"))
      (export "consume" (func $c "consume") (func (param "t" (own $thing)) (result u32))))"""
    source = tmp_path / "source.wasm"
    source.write_bytes(wasmtime.wat2wasm(text))
    made = fuse([source], tmp_path / "fused.wasm")
    again = fuse([made], tmp_path / "again.wasm")
    assert wit(made) == wit(source)
    for path in (source, made, again):
        running = Running(path)
        assert running.call("run", 5) == 5 + 5 + 300
        assert running.call("a:b/things#dropped") == 5 + 3
        seven, nine = running.call("a:b/things#make", 7), running.call("a:b/things#make", 9)
        assert running.call("a:b/things#get", seven) == running.call("a:b/things#get", seven) == 7
        assert running.call("consume", seven) == 7
        assert running.call("a:b/things#dropped") == 5 + 3 + 7
        assert running.call("a:b/things#take", nine) == 900
        assert running.call("a:b/things#dropped") == 5 + 3 + 7 + 9
        assert Running(path).call("misuse") == "trap"


def test_a_borrow_for_another_than_the_owner(tmp_path: Path) -> None:
    """The function is given the representation, and the component that borrows gets a handle for it."""
    lent = THINGS.replace('"consume") (param "t" (own $thing))', '"consume") (param "t" (borrow $thing))')
    text = f"""(component {lent}
      (export $things "a:b/things" (instance $p))
      (alias export $things "thing" (type $thing))
      (export "consume" (func $c "consume") (func (param "t" (borrow $thing)) (result u32))))"""
    source = tmp_path / "source.wasm"
    source.write_bytes(wasmtime.wat2wasm(text))
    for path in (source, fuse([source], tmp_path / "fused.wasm")):
        running = Running(path)
        seven = running.call("a:b/things#make", 7)
        assert running.call("consume", seven) == 7
        assert running.call("a:b/things#get", seven) == 7


def test_refused(tmp_path: Path) -> None:
    text, message = """(component (component $c) (export "c" (component $c)))""", "is a component"
    source = tmp_path / "source.wasm"
    source.write_bytes(wasmtime.wat2wasm(text))
    done = meldc(source, "--emit=component", "-o", tmp_path / "fused.wasm")
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "fused.wasm").exists()


@pytest.mark.parametrize("width", [1, 2])
def test_instances_without_end(width: int, tmp_path: Path) -> None:
    """Instances in instances: few definitions, and a depth or a number of exports that nobody can list."""
    second = [' (export "b" (instance $i{i}))'] * (width - 1)
    layer = " ".join(['(instance $i{next} (export "a" (instance $i{i}))', *second]) + ")"
    layers = "\n".join(layer.format(i=i, next=i + 1) for i in range(2000))
    source = tmp_path / "source.wat"
    source.write_text(f"""(component
      (core module $m (func (export "f"))) (core instance $m (instantiate $m))
      (func $f (canon lift (core func $m "f")))
      (instance $i0 (export "f" (func $f)))
      {layers}
      (export "all" (instance $i2000)))""")
    done = meldc(source, "-o", tmp_path / "fused.wasm")
    assert done.returncode == 2 and "a type " in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_refused_without_a_world(tmp_path: Path) -> None:
    """Imports that no component describes; a module that no `merge` made; half a pipeline."""
    pair = [ROOT / "examples/stream/producer.wat", ROOT / "examples/stream/consumer.wat"]
    out = tmp_path / "out.wasm"
    assert "no component describes" in meldc(*pair, "--emit=component", "-o", out).stderr
    assert "--stop-after=merge" in meldc(*pair, "--emit=component", "--stop-after=merge", "-o", out).stderr
    assert "`finish`" in meldc(*pair, "--emit=component", "--passes=merge", "-o", out).stderr
    plain = tmp_path / "plain.wat"
    plain.write_text("(module)")
    assert meldc(plain, "--emit=component", "-o", out).returncode == 2
    assert not out.exists()


ATTRIBUTES = """(component
  (import "a:b/c@1.2.3" (external-id "c-one") (instance $c
    (type $color' (enum "red"))
    (export "color" (external-id "shade") (type $color (eq $color')))
    (export "f" (external-id "f-one") (func (param "c" $color) (result u32)))))
  (import "store" (implements "a:b/c@1.2.3") (external-id "c-two") (instance $s
    (export "f" (external-id "f-two") (func (result u32)))))
  (core func $f (canon lower (func $s "f")))
  (core module $m (import "" "f" (func (result i32))) (export "f" (func 0)))
  (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
  (func $h (result u32) (canon lift (core func $i "f")))
  (component $shim
    (import "h" (func $h (result u32)))
    (export "h" (external-id "h-two") (func $h)))
  (instance $shim (instantiate $shim (with "h" (func $h))))
  (instance $inline (export "h" (external-id "h-one") (func $h)))
  (export "a:b/d@0.1.0" (external-id "d-one") (instance $inline))
  (export "again" (implements "a:b/d@0.1.0") (instance $shim))
  (export "h" (external-id "root-h") (func $h)))"""


@pytest.mark.parametrize("twice", [False, True])
def test_attributes_of_names_are_kept(twice: bool, tmp_path: Path) -> None:
    """`external-id` and `implements` at the root and inside interfaces, also by way of a dump."""
    source, unfused = tmp_path / "names.wat", tmp_path / "unfused.wasm"
    source.write_text(ATTRIBUTES)
    tool("parse", source, "-o", unfused)
    if twice:
        dump = tmp_path / "merged.wat"
        assert meldc(source, "--stop-after=merge", "--emit=wat", "-o", dump).returncode == 0
        source = dump
    world = wit(fuse([source], tmp_path / "fused.wasm"))
    assert world == wit(unfused)
    assert world.count("external-id") == 7
