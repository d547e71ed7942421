"""Small programs that ask for much: instances, copies, exports, types and code that double with every line."""

from __future__ import annotations

REALLOC = '(memory (export "m") 1) (func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 64))'
CORE = """(core module $m (memory (export "m") 1) (func (export "f") (result i32) (i32.const 1)))
  (core instance $i (instantiate $m)) (func (export "f") (result u32) (canon lift (core func $i "f")))"""
STREAM = """(type $s (stream u8)) (core func $n (canon stream.new $s))
  (core module $m (import "" "n" (func (result i64))) (func (export "f") (result i64) (call 0)))
  (core instance $i (instantiate $m (with "" (instance (export "n" (func $n))))))"""
RESOURCE = """(type $r (resource (rep i32))) (core func $n (canon resource.new $r))
  (core module $m (import "" "n" (func (param i32) (result i32)))
    (func (export "f") (result i32) (call 0 (i32.const 1))))
  (core instance $i (instantiate $m (with "" (instance (export "n" (func $n))))))"""


def doubling(levels: int, inner: str, exports: bool = False) -> str:
    """Each component instantiates the one before twice; the innermost holds `inner`."""
    shown = '(export "a" (instance $a)) (export "b" (instance $b))' if exports else ""
    parts = [f"(component $c0 {inner})"]
    for i in range(1, levels + 1):
        parts.append(
            f"(component $c{i} (alias outer $root $c{i - 1} (component $p))"
            f" (instance $a (instantiate $p)) (instance $b (instantiate $p)) {shown})"
        )
    root = '(export "z" (instance $z))' if exports else ""
    return f"(component $root {' '.join(parts)} (instance $z (instantiate $c{levels})) {root})"


def functions(count: int) -> str:
    """A core module with so many functions, in use."""
    all_ = " ".join(f'(func (export "f{i}") (result i32) (global.get $g))' for i in range(count))
    start = "(func $s (global.set $g (i32.const 1))) (start $s)"
    return f"(core module $m (global $g (mut i32) (i32.const 0)) {start} {all_}) (core instance (instantiate $m))"


def data(size: int) -> str:
    """A core module with so many bytes of data, in use."""
    start = "(func $s (i32.store (i32.const 0) (i32.const 1))) (start $s)"
    text = f'(memory 32) (data (i32.const 0) "{"x" * size}") {start}'
    return f"(core module $m {text}) (core instance (instantiate $m))"


def instance_types(levels: int, leaf: str, use: str = "import") -> str:
    """Types of instances that hold the one before twice, the innermost `leaf`."""
    parts = [f"(type $t0 (instance {leaf}))"]
    for i in range(1, levels + 1):
        parts.append(
            f"(type $t{i} (instance (alias outer 1 {i - 1} (type $p))"
            ' (export "a" (instance (type $p))) (export "b" (instance (type $p)))))'
        )
    return f'(component {" ".join(parts)} (import "z" (instance (type $t{levels}))))'


def component_types(levels: int) -> str:
    """Types of components that import the one before twice."""
    parts = ['(type $t0 (component (import "r" (type (sub resource)))))']
    for i in range(1, levels + 1):
        parts.append(
            f"(type $t{i} (component (alias outer 1 {i - 1} (type $p))"
            ' (import "a" (component (type $p))) (import "b" (component (type $p)))))'
        )
    last = f'(component $c (alias outer 1 {levels} (type $p)) (import "z" (component (type $p))))'
    return f"(component {' '.join(parts)} {last})"


def inline_exports(levels: int) -> str:
    """Instances made of exports, which hold the one before twice."""
    parts = ['(core module $m (func (export "f"))) (core instance $c (instantiate $m))']
    parts.append('(func $f (canon lift (core func $c "f"))) (instance $i0 (export "f" (func $f)))')
    for i in range(1, levels + 1):
        parts.append(f'(instance $i{i} (export "a" (instance $i{i - 1})) (export "b" (instance $i{i - 1})))')
    return f'(component {" ".join(parts)} (export "z" (instance $i{levels})))'


def passing(types: str, t: str, count: int = 1) -> str:
    """So many functions of one component take and return a type, and another calls them."""
    options = '(memory (core memory $i "m")) (realloc (core func $i "r"))'
    numbers = range(count)
    lifted = " ".join(
        f'(func $f{j} (param "x" {t}) (result {t}) (canon lift (core func $i "f") {options}))'
        f' (export "f{j}" (func $f{j}))'
        for j in numbers
    )
    lib = f"""(component $lib {types}
      (core module $m {REALLOC} (func (export "f") (param i32) (result i32) (i32.const 0)))
      (core instance $i (instantiate $m)) {lifted})"""
    imports = " ".join(f'(import "f{j}" (func $f{j} (param "x" {t}) (result {t})))' for j in numbers)
    lowered = " ".join(f"(core func $l{j} (canon lower (func $f{j}) {options}))" for j in numbers)
    wanted = " ".join(f'(import "" "f{j}" (func $f{j} (param i32 i32)))' for j in numbers)
    calls = " ".join(f"(call $f{j} (i32.const 0) (i32.const 0))" for j in numbers)
    given = " ".join(f'(export "f{j}" (func $l{j}))' for j in numbers)
    app = f"""(component $app {types} {imports} (core module $o {REALLOC}) (core instance $i (instantiate $o)) {lowered}
      (core module $m {wanted} (func (export "run") {calls}))
      (core instance $j (instantiate $m (with "" (instance {given}))))
      (func (export "run") (canon lift (core func $j "run"))))"""
    linked = " ".join(f'(with "f{j}" (func $l "f{j}"))' for j in numbers)
    return f"""(component {lib} {app} (instance $l (instantiate $lib)) (instance $a (instantiate $app {linked}))
      (alias export $a "run" (func $r)) (export "run" (func $r)))"""


def doubled(levels: int, leaf: str, form: str = "(tuple {0} {0})") -> str:
    """Value types of which each holds the one before twice."""
    parts = [f"(type $t0 (tuple {leaf} {leaf}))"]
    parts += [f"(type $t{i} {form.format(f'$t{i - 1}')})" for i in range(1, levels + 1)]
    return " ".join(parts)


def copies(count: int, inner: str, more: str = "") -> str:
    """So many instances of one component, one after the other."""
    instances = " ".join(f"(instance (instantiate $c {more}))" for _ in range(count))
    return f"(component (component $c {inner}) {instances})"


def shared_imports(count: int) -> str:
    """A component with so many imports, instantiated as often."""
    t = "(type $t (instance " + " ".join(f'(export "f{i}" (func))' for i in range(count)) + "))"
    instances = '(instance (instantiate $c (with "z" (instance $z))))' * count
    return f"""(component {t} (import "z" (instance $z (type $t)))
      (component $c {t} (import "z" (instance (type $t)))) {instances})"""


def chain(count: int) -> str:
    """Each export of a type names the one before."""
    exports = "".join(f'(export $t{i + 1} "t{i}" (type $t{i}))' for i in range(count))
    return f"(component (type $t0 (tuple u32 u32)) {exports})"


def misspelt(count: int) -> str:
    """An alias of an export that is not there, among many with long names that resemble it."""
    exports = " ".join(f'(export "{"ab-" * 20}x{i}" (type $t))' for i in range(count))
    return f'(component (type $t u32) (instance $i {exports}) (alias export $i "{"ab-" * 20}y" (type)))'


def stream_chain(count: int) -> str:
    """So many instances in a row, each of which passes streams on to the one before."""
    inner = """(type $s (stream u8)) (import "g" (func $g (param "x" $s)))
      (core func $n (canon stream.new $s)) (core func $l (canon lower (func $g)))
      (core module $m (import "" "n" (func $n (result i64))) (import "" "l" (func $l (param i32)))
        (func (export "f") (param i32) (call $l (local.get 0)) (drop (call $n))))
      (core instance $i (instantiate $m (with "" (instance (export "n" (func $n)) (export "l" (func $l))))))
      (func (export "f") (param "x" $s) (canon lift (core func $i "f")))"""
    text = f'(component (type $s (stream u8)) (import "g" (func $f0 (param "x" $s))) (component $c {inner})'
    for i in range(1, count + 1):
        text += f'(instance $i{i} (instantiate $c (with "g" (func $f{i - 1})))) (alias export $i{i} "f" (func $f{i}))'
    return f'{text} (export "f" (func $f{count})))'


def memories(count: int) -> str:
    """So many instances with a memory each, all of them in use."""
    inner = """(core module $m (memory (export "m") 1) (func (export "f") (result i32) (i32.load (i32.const 0))))
      (core instance $i (instantiate $m)) (func (export "f") (result u32) (canon lift (core func $i "f")))"""
    made = " ".join(
        f'(instance $i{j} (instantiate $c)) (alias export $i{j} "f" (func $f{j})) (export "f{j}" (func $f{j}))'
        for j in range(count)
    )
    return f"(component (component $c {inner}) {made})"


def tables(count: int) -> str:
    """The same with tables."""
    return (
        memories(count)
        .replace('(memory (export "m") 1)', "(table $t 1 funcref)")
        .replace("(i32.load (i32.const 0))", "(table.size $t)")
    )


def handed_to_host(types: str, t: str, count: int = 1) -> str:
    """So many functions of the host take and return a type."""
    numbers = range(count)
    options = '(memory (core memory $i "m")) (realloc (core func $i "r"))'
    imports = " ".join(f'(import "f{j}" (func $f{j} (param "x" {t}) (result {t})))' for j in numbers)
    lowered = " ".join(f"(core func $l{j} (canon lower (func $f{j}) {options}))" for j in numbers)
    wanted = " ".join(f'(import "" "f{j}" (func $f{j} (param i32 i32)))' for j in numbers)
    calls = " ".join(f"(call $f{j} (i32.const 0) (i32.const 0))" for j in numbers)
    given = " ".join(f'(export "f{j}" (func $l{j}))' for j in numbers)
    return f"""(component {types} {imports} (core module $o {REALLOC}) (core instance $i (instantiate $o)) {lowered}
      (core module $m {wanted} (func (export "run") {calls}))
      (core instance $j (instantiate $m (with "" (instance {given}))))
      (func (export "run") (canon lift (core func $j "run"))))"""


def started(text: str, body: str = "") -> str:
    """A core module with a start function, instantiated."""
    return f"(component (core module $m {text} (func $s {body}) (start $s)) (core instance (instantiate $m)))"


def core_chain(count: int) -> str:
    """So many core types, each a subtype of the one before."""
    types = "(type $t0 (sub (struct)))" + "".join(f"(type $t{i} (sub $t{i - 1} (struct)))" for i in range(1, count))
    return started(types, f"(drop (ref.null $t{count - 1}))")


def core_doubled(levels: int) -> str:
    """Struct types that hold the one before twice, in a module that is instantiated twice."""
    types = "(type $t0 (struct))"
    types += "".join(f"(type $t{i} (struct (field (ref $t{i - 1}) (ref $t{i - 1}))))" for i in range(1, levels))
    return started(types, f"(drop (ref.null $t{levels - 1}))")


def stream_row(count: int, element: str = "u8", types: str = "", first: str = "") -> str:
    """So many instances in a row; each makes a stream, writes, reads, and passes what it was given on.

    The last one holds on to what it gets, so that every stream stays inside.
    """
    end = f"""(component $end {types} (type $s (stream {element}))
      (core module $m (memory (export "m") 1) (func (export "f") (param i32)))
      (core instance $i (instantiate $m)) (func (export "f") (param "x" $s) (canon lift (core func $i "f"))))"""
    realloc = '(func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 64))'
    inner = f"""(component $c {types} (type $s (stream {element})) (import "g" (func $g (param "x" $s)))
      (core module $o (memory (export "m") 1) {realloc}) (core instance $o (instantiate $o))
      (core func $n (canon stream.new $s)) (core func $l (canon lower (func $g)))
      (core func $r (canon stream.read $s async (memory (core memory $o "m")) (realloc (core func $o "r"))))
      (core func $w (canon stream.write $s async (memory (core memory $o "m")) (realloc (core func $o "r"))))
      (core module $m (import "" "n" (func $n (result i64))) (import "" "l" (func $l (param i32)))
        (import "" "r" (func $r (param i32 i32 i32) (result i32)))
        (import "" "w" (func $w (param i32 i32 i32) (result i32)))
        (func (export "f") (param i32)
          (drop (call $r (local.get 0) (i32.const 0) (i32.const 1)))
          (drop (call $w (i32.wrap_i64 (call $n)) (i32.const 0) (i32.const 1)))
          (call $l (local.get 0))))
      (core instance $i (instantiate $m (with "" (instance
        (export "n" (func $n)) (export "l" (func $l)) (export "r" (func $r)) (export "w" (func $w))))))
      (func (export "f") (param "x" $s) (canon lift (core func $i "f"))))"""
    user = f"""(component $user {types} (type $s (stream {element})) (import "g" (func $g (param "x" $s)))
      (core func $n (canon stream.new $s)) (core func $l (canon lower (func $g)))
      (core module $m (import "" "n" (func $n (result i64))) (import "" "l" (func $l (param i32)))
        (func (export "f") (call $l (i32.wrap_i64 (call $n)))))
      (core instance $i (instantiate $m (with "" (instance (export "n" (func $n)) (export "l" (func $l))))))
      (func (export "f") (canon lift (core func $i "f"))))"""
    text = f"(component {end} {inner} {user} {first} (instance $i0 (instantiate $end))"
    for i in range(1, count + 1):
        text += f'(instance $i{i} (instantiate $c (with "g" (func $i{i - 1} "f"))))'
    return f"""{text} (instance $u (instantiate $user (with "g" (func $i{count} "f"))))
      (alias export $u "f" (func $f)) (export "f" (func $f)))"""
