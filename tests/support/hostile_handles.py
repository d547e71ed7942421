"""A program whose instances deal in handles, one of them by no rule: for `test_hostile_handles`.

`honest` has a resource of its own, and keeps what it is given. `hostile` does with handles of the host's resource `r`,
and of the resource `s`, what a script says: every number is taken for a handle. The root exports its doings.
"""

from __future__ import annotations

HOST = {
    "make": '(param "n" u32) (result (own $r))',
    "look": '(param "x" (borrow $r)) (result u32)',
    "eat": '(param "x" (own $r)) (result u32)',
    "many": '(param "l" (list (own $r))) (param "m" (list (borrow $r))) (result u32)',
    "some": '(param "n" u32) (result (list (own $r)))',
    "swap": '(param "x" (own $r)) (param "fail" u32) (result (result (own $r) (error u32)))',
    "label": '(param "x" (option (borrow $r))) (result (tuple u32 string))',
    "trade": '(param "l" (list (own $r))) (result (list (own $r)))',
    "named": '(param "n" u32) (result (list (tuple (own $r) string)))',
    "mix": '(param "l" (list (option (own $r)))) (result u32)',
}
"""What the host provides."""

HONEST = {
    "new-s": '(param "n" u32) (result (own $s))',
    "see-s": '(param "x" (borrow $s)) (result u32)',
    "end-s": '(param "x" (own $s)) (result u32)',
    "hold": '(param "x" (own $r)) (result u32)',
    "hand": '(param "i" u32) (result (own $r))',
    "show": '(param "x" (borrow $r)) (param "what" u32) (result u32)',
    "weigh": '(param "l" (list (borrow $r))) (param "x" (own $r)) (result u32)',
}
"""What `honest` exports."""

HOSTILE = {
    "take-r": '(param "x" (own $r)) (result u32)',
    "lent-r": '(param "x" (borrow $r)) (param "what" u32) (result u32)',
    "give-r": '(param "i" u32) (result (own $r))',
    "take-rs": '(param "l" (list (own $r))) (param "m" (list (borrow $r))) (result u32)',
    "give-rs": '(param "i" u32) (param "j" u32) (result (list (own $r)))',
    "give-or": '(param "i" u32) (param "fail" u32) (result (result (own $r) (error string)))',
    "take-s": '(param "x" (own $s)) (result u32)',
    "lent-s": '(param "x" (borrow $s)) (param "what" u32) (result u32)',
    "give-s": '(param "i" u32) (result (own $s))',
    "both": '(param "x" (own $s)) (param "y" (own $r)) (result (tuple (own $r) (own $s)))',
}
"""What `hostile` exports with handles; those with `s` only where that is exposed."""

CORE = {  # the core types of what hostile imports
    "make": "(param i32) (result i32)",
    "look": "(param i32) (result i32)",
    "eat": "(param i32) (result i32)",
    "many": "(param i32 i32 i32 i32) (result i32)",
    "some": "(param i32 i32)",
    "swap": "(param i32 i32 i32)",
    "label": "(param i32 i32 i32)",
    "trade": "(param i32 i32 i32)",
    "named": "(param i32 i32)",
    "mix": "(param i32 i32) (result i32)",
    "new-s": "(param i32) (result i32)",
    "see-s": "(param i32) (result i32)",
    "end-s": "(param i32) (result i32)",
    "hold": "(param i32) (result i32)",
    "hand": "(param i32) (result i32)",
    "show": "(param i32 i32) (result i32)",
    "weigh": "(param i32 i32 i32) (result i32)",
    "drop-r": "(param i32)",
    "drop-s": "(param i32)",
}

OPERATIONS = {  # what `do` does with its operands $a and $b, both any number
    "make": "(return (call $make (local.get $a)))",
    "look": "(return (call $look (local.get $a)))",
    "eat": "(return (call $eat (local.get $a)))",
    "drop-r": "(call $drop-r (local.get $a))",
    "many": """(i32.store (i32.const 64) (local.get $a)) (i32.store (i32.const 80) (local.get $b))
      (return (call $many (i32.const 64) (i32.const 1) (i32.const 80) (i32.const 1)))""",
    "many-twice": """(i32.store (i32.const 64) (local.get $a)) (i32.store (i32.const 68) (local.get $b))
      (return (call $many (i32.const 64) (i32.const 2) (i32.const 68) (i32.const 1)))""",
    "some": """(call $some (i32.and (local.get $a) (i32.const 3)) (i32.const 32))
      (return (i32.add (i32.mul (i32.load (i32.const 36)) (i32.const 1000)) (i32.load (i32.load (i32.const 32)))))""",
    "swap": """(call $swap (local.get $a) (i32.and (local.get $b) (i32.const 1)) (i32.const 16))
      (return (i32.add (i32.mul (i32.load (i32.const 16)) (i32.const 1000)) (i32.load (i32.const 20))))""",
    "label": """(call $label (i32.and (local.get $b) (i32.const 1)) (local.get $a) (i32.const 16))
      (return (i32.add (i32.load (i32.const 16)) (i32.load8_u (i32.load (i32.const 20)))))""",
    "trade": """(i32.store (i32.const 64) (local.get $a)) (i32.store (i32.const 68) (local.get $b))
      (call $trade (i32.const 64) (i32.const 2) (i32.const 32))
      (return (i32.add (i32.mul (i32.load (i32.const 36)) (i32.const 1000)) (i32.load (i32.load (i32.const 32)))))""",
    "named": """(global.set $stuck (i32.const 0)) (call $named (i32.and (local.get $a) (i32.const 3)) (i32.const 32))
      (return (i32.load (i32.load (i32.const 32))))""",
    "mix": """(i32.store (i32.const 64) (i32.const 1)) (i32.store (i32.const 68) (local.get $a))
      (i32.store (i32.const 72) (i32.and (local.get $b) (i32.const 1))) (i32.store (i32.const 76) (local.get $b))
      (return (call $mix (i32.const 64) (i32.const 2)))""",
    "new-s": "(return (call $new-s (local.get $a)))",
    "see-s": "(return (call $see-s (local.get $a)))",
    "end-s": "(return (call $end-s (local.get $a)))",
    "drop-s": "(call $drop-s (local.get $a))",
    "hold": "(return (call $hold (local.get $a)))",
    "hand": "(return (call $hand (local.get $a)))",
    "show": "(return (call $show (local.get $a) (i32.and (local.get $b) (i32.const 7))))",
    "weigh": """(i32.store (i32.const 64) (local.get $a)) (i32.store (i32.const 68) (local.get $a))
      (return (call $weigh (i32.const 64) (i32.const 2) (local.get $b)))""",
    "peek": "(return (i32.load (i32.shl (i32.and (local.get $a) (i32.const 1023)) (i32.const 2))))",
    "realloc": "(global.set $stuck (i32.and (local.get $a) (i32.const 1)))",
}
NUMBERS = {name: number for number, name in enumerate(OPERATIONS)}

LENT = """
      (if (i32.eqz (local.get 1)) (then (call $drop-r (local.get 0))))
      (if (i32.eq (local.get 1) (i32.const 1))
        (then (drop (call $look (local.get 0))) (call $drop-r (local.get 0))))
      (if (i32.eq (local.get 1) (i32.const 2))
        (then (call $drop-r (local.get 0)) (call $drop-r (local.get 0))))
      (if (i32.eq (local.get 1) (i32.const 3)) (then (call $give-away (local.get 0))))"""
"""What is done with the borrowed handle $0 of `r`: dropped, used, dropped twice, given away, or kept, by number."""


def _dispatch() -> str:
    """`do`: a block for each operation."""
    labels = " ".join(f"$o{number}" for number in NUMBERS.values())
    opened = "".join(f"(block $o{number} " for number in reversed(NUMBERS.values()))
    closed = "".join(f") {OPERATIONS[name]} (return (i32.const 0))\n" for name in OPERATIONS)
    return f"(block $none {opened} (br_table {labels} $none (local.get $op)) {closed} ) (i32.const 0)"


def _hostile(exposed: bool) -> str:
    imports = "\n".join(f'(import "" "{name}" (func ${name} {type_}))' for name, type_ in CORE.items())
    return f"""(module
      {imports}
      (import "" "memory" (memory 2))
      (import "" "stuck" (global $stuck (mut i32)))
      (func $give-away (param i32) (drop (call $eat (local.get 0))))
      (func (export "do") (param $op i32) (param $a i32) (param $b i32) (result i32) {_dispatch()})
      (func (export "take-r") (param i32) (result i32) (local.get 0))
      (func (export "lent-r") (param i32 i32) (result i32) {LENT} (local.get 0))
      (func (export "give-r") (param i32) (result i32) (local.get 0))
      (func (export "take-rs") (param i32 i32 i32 i32) (result i32) (local $i i32)
        (block $done (loop $next
          (br_if $done (i32.ge_u (local.get $i) (local.get 3)))
          (call $drop-r (i32.load (i32.add (local.get 2) (i32.shl (local.get $i) (i32.const 2)))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next)))
        (i32.load (local.get 0)))
      (func (export "give-rs") (param i32 i32) (result i32)
        (i32.store (i32.const 160) (local.get 0)) (i32.store (i32.const 164) (local.get 1))
        (i32.store (i32.const 144) (i32.const 160)) (i32.store (i32.const 148) (i32.const 2))
        (i32.const 144))
      (func (export "give-or") (param i32 i32) (result i32)
        (i32.store8 (i32.const 176) (i32.and (local.get 1) (i32.const 1)))
        (i32.store (i32.const 180) (select (i32.const 8) (local.get 0) (i32.and (local.get 1) (i32.const 1))))
        (i32.store (i32.const 184) (i32.const 4))
        (i32.const 176))
      (func (export "take-s") (param i32) (result i32) (local.get 0))
      (func (export "lent-s") (param i32 i32) (result i32)
        (if (i32.eq (local.get 1) (i32.const 1)) (then (drop (call $see-s (local.get 0)))))
        (if (i32.ne (local.get 1) (i32.const 3)) (then (call $drop-s (local.get 0))))
        (local.get 0))
      (func (export "give-s") (param i32) (result i32) (local.get 0))
      (func (export "both") (param i32 i32) (result i32)
        (i32.store (i32.const 192) (local.get 1)) (i32.store (i32.const 196) (local.get 0))
        (i32.const 192)))"""


def program(exposed: bool) -> str:
    """The composition as text. `exposed`: whether it shows the resource `s`."""
    imports = "\n".join(f'(import "{name}" (func ${name} {type_}))' for name, type_ in HOST.items())
    withs = " ".join(f'(with "{name}" (func ${name}))' for name in HOST)
    shown = {name: type_ for name, type_ in HOSTILE.items() if exposed or "$s" not in type_}
    return f"""(component
  (import "r" (type $r (sub resource)))
  {imports}
  (component $Honest
    (import "r" (type $r (sub resource)))
    (import "look" (func $look {HOST["look"]}))
    (core module $end (global $sum (mut i32) (i32.const 0))
      (func (export "dtor") (param i32)
        (global.set $sum (i32.add (i32.mul (global.get $sum) (i32.const 31)) (local.get 0))))
      (func (export "sum") (result i32) (global.get $sum)))
    (core instance $end (instantiate $end))
    (type $s' (resource (rep i32) (dtor (core func $end "dtor"))))
    (export $s "s" (type $s'))
    (core func $new (canon resource.new $s'))
    (core func $rep (canon resource.rep $s'))
    (core func $drop-s (canon resource.drop $s'))
    (core func $drop-r (canon resource.drop $r))
    (core func $look' (canon lower (func $look)))
    (core module $mem (memory (export "memory") 1)
      (global $free (mut i32) (i32.const 1024))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (global.get $free)
        (global.set $free (i32.add (global.get $free) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))))
    (core instance $mem (instantiate $mem))
    (alias core export $mem "memory" (core memory $memory))
    (alias core export $mem "realloc" (core func $realloc))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "rep" (func $rep (param i32) (result i32)))
      (import "" "drop-s" (func $drop-s (param i32)))
      (import "" "drop-r" (func $drop-r (param i32)))
      (import "" "look" (func $look (param i32) (result i32)))
      (import "" "memory" (memory 1))
      (func $give-away (param i32) (call $drop-s (local.get 0)))  ;; of the wrong type
      (func (export "new-s") (param i32) (result i32) (call $new (local.get 0)))
      (func (export "see-s") (param i32) (result i32) (local.get 0))
      (func (export "end-s") (param i32) (result i32) (call $rep (local.get 0)) (call $drop-s (local.get 0)))
      (func (export "hold") (param i32) (result i32) (local.get 0))
      (func (export "hand") (param i32) (result i32) (local.get 0))
      (func (export "show") (param i32 i32) (result i32) {LENT} (local.get 0))
      (func (export "weigh") (param i32 i32 i32) (result i32)
        (call $drop-r (i32.load (local.get 0))) (call $drop-r (i32.load offset=4 (local.get 0)))
        (local.get 2)))
    (core instance $i (instantiate $m (with "" (instance
      (export "new" (func $new)) (export "rep" (func $rep)) (export "drop-s" (func $drop-s))
      (export "drop-r" (func $drop-r)) (export "look" (func $look')) (export "memory" (memory $memory))))))
    (func (export "ended") (result u32) (canon lift (core func $end "sum")))
    {_lifts(HONEST)})
  (instance $honest (instantiate $Honest (with "r" (type $r)) (with "look" (func $look))))
  (alias export $honest "s" (type $s))
  (component $Hostile
    (import "r" (type $r (sub resource)))
    (import "s" (type $s (sub resource)))
    {imports}
    {" ".join(f'(import "{name}" (func ${name} {type_}))' for name, type_ in HONEST.items())}
    (core module $mem (memory (export "memory") 2)
      (data (i32.const 8) "oops")
      (global $free (mut i32) (i32.const 1024))
      (global $stuck (export "stuck") (mut i32) (i32.const 0))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (if (global.get $stuck) (then (return (i32.const 512))))
        (global.get $free)
        (global.set $free (i32.add (global.get $free) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))))
    (core instance $mem (instantiate $mem))
    (alias core export $mem "memory" (core memory $memory))
    (alias core export $mem "realloc" (core func $realloc))
    (core func $drop-r (canon resource.drop $r))
    (core func $drop-s (canon resource.drop $s))
    {" ".join(_lower(name) for name in (*HOST, *HONEST))}
    (core module $m {_hostile(exposed)[7:]}
    (core instance $i (instantiate $m (with "" (instance
      {" ".join(f'(export "{n}" (func ${n}' + chr(39) + "))" for n in (*HOST, *HONEST))}
      (export "drop-r" (func $drop-r)) (export "drop-s" (func $drop-s))
      (export "memory" (memory $memory)) (export "stuck" (global $mem "stuck"))))))
    (func (export "do") (param "op" u32) (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "do")))
    {_lifts(HOSTILE)})
  (instance $hostile (instantiate $Hostile (with "r" (type $r)) (with "s" (type $s)) {withs}
    {" ".join(f'(with "{name}" (func $honest "{name}"))' for name in HONEST)}))
  {'(export $shown "s" (type $s))' if exposed else ""}
  (export "ended" (func $honest "ended"))
  {" ".join(_export(f"honest-{n}", "honest", n, HONEST[n]) for n in ("see-s", "new-s") if exposed)}
  (export "do" (func $hostile "do"))
  {" ".join(_export(name, "hostile", name, type_) for name, type_ in shown.items())})"""


def _lower(name: str) -> str:
    return f"(core func ${name}' (canon lower (func ${name}) (memory $memory) (realloc $realloc)))"


def _export(name: str, instance: str, function: str, type_: str) -> str:
    """An export of the root, in terms of the types that it shows."""
    return f'(export "{name}" (func ${instance} "{function}") (func {type_.replace("$s", "$shown")}))'


def _lifts(functions: dict[str, str]) -> str:
    return "\n".join(
        f'(func (export "{name}") {type_} (canon lift (core func $i "{name}") (memory $memory) (realloc $realloc)))'
        for name, type_ in functions.items()
    )
