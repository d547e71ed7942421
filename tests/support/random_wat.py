"""Random programs for the transform of resumable frames: nested control flow, calls of all kinds, values of all types.

A program exports ``run : [i32 i32] -> […]``, a memory and its globals. It ends, since loops and calls use up fuel. It
asks the host (``host.ask``) wherever a call may stand.
"""

from __future__ import annotations

import random

NUMBERS = ("i32", "i64", "f32", "f64")
REFERENCES = ("funcref", "externref", "(ref null $s)", "(ref $s)", "(ref null $sig)", "(ref $sig)", "i31ref", "anyref")
TYPES = (*NUMBERS, *NUMBERS, *NUMBERS, "v128", *REFERENCES)

BINARY = {
    "i32": ["add", "sub", "mul", "and", "or", "xor", "shl", "shr_u", "rotl", "eq", "lt_s", "gt_u"],
    "i64": ["add", "sub", "mul", "and", "or", "xor", "shl", "shr_s", "rotr"],
    "f32": ["add", "sub", "mul", "min", "max"],
    "f64": ["add", "sub", "mul", "min", "max", "copysign"],
}

HEAD = """
(module
  (type $s (struct (field (mut i32)) (field i64)))
  (type $sig (func (param i32) (result i32)))
  (type $pair (func (param i64 i32) (result i32 i64)))
  (type $none (func))
  (import "host" "ask" (func $ask (type $sig)))
  (import "host" "see" (func $see (param externref) (result i32)))
  (import "host" "thing" (func $thing (param i32) (result externref)))
  (tag $fail (param i32 i64))
  (tag $plain)
  (memory (export "memory") 1)
  (global $fuel (export "fuel") (mut i32) (i32.const 0))
  (global $gi32 (export "gi32") (mut i32) (i32.const 1))
  (global $gi64 (export "gi64") (mut i64) (i64.const 2))
  (global $gf64 (export "gf64") (mut f64) (f64.const 3))
"""


class Program:
    """Writes one program; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(f"resumable {seed}")
        self.counter = 0
        self.signatures: list[tuple[list[str], list[str]]] = []

    # --- choosing ---

    def one(self, *choices):
        return self.random.choice(choices)

    def chance(self, p: float) -> bool:
        return self.random.random() < p

    def label(self) -> str:
        self.counter += 1
        return f"$l{self.counter}"

    # --- the module ---

    def text(self) -> str:
        r = self.random
        count = r.randint(2, 6)
        self.signatures = [([], []) for _ in range(count)]
        for number in range(count):
            kind = r.random()
            if kind < 0.35:
                self.signatures[number] = (["i32"], ["i32"])
            elif kind < 0.5:
                self.signatures[number] = (["i64", "i32"], ["i32", "i64"])
            else:
                results = list(r.choices(TYPES, k=r.randint(0, 3)))
                self.signatures[number] = (r.choices(TYPES, k=r.randint(0, 4)), results)
        self.signatures[0] = (["i32"], ["i32"])
        self.unary = [n for n, s in enumerate(self.signatures) if s == (["i32"], ["i32"])]
        self.pairs = [n for n, s in enumerate(self.signatures) if s == (["i64", "i32"], ["i32", "i64"])]
        table = [*(f"$f{n}" for n in self.unary), "$ask", *(f"$f{n}" for n in self.pairs)]
        self.table_size = len(table)
        self.mutable = self.chance(0.4)
        lines = [HEAD, f"(table $t {self.table_size + 3} funcref)", f"(table $fixed {self.table_size} funcref)"]
        lines += [f"(elem (table {name}) (i32.const 0) func {' '.join(table)})" for name in ("$t", "$fixed")]
        lines += [self.function(number) for number in range(count)]
        lines += [self.runner(), ")"]
        return "\n".join(lines)

    def types_of(self, number: int) -> str:
        params, results = self.signatures[number]
        if number in self.unary:
            return "(type $sig) (param $p0 i32) (result i32)"
        if number in self.pairs:
            return "(type $pair) (param $p0 i64) (param $p1 i32) (result i32 i64)"
        return " ".join([*(f"(param $p{n} {t})" for n, t in enumerate(params)), *(f"(result {t})" for t in results)])

    def function(self, number: int) -> str:
        params, self.results = self.signatures[number]
        self.number = number
        locals_ = self.random.choices(TYPES, k=self.random.randint(1, 5))
        self.variables = [
            *((f"$p{n}", t) for n, t in enumerate(params)),
            *((f"$v{n}", t) for n, t in enumerate(locals_)),
        ]
        self.labels: list[tuple[str, list[str]]] = []
        self.tail = True
        starts = [f"{self.simple(t)} local.set $v{n}" for n, t in enumerate(locals_)]
        body = [*self.statements(3), *(self.value(t, 3) for t in self.results)]
        return "\n".join(
            [
                f"(func $f{number} {self.types_of(number)}",
                *(f"(local $v{n} {t})" for n, t in enumerate(locals_)),
                "global.get $fuel i32.const 1 i32.sub global.set $fuel",
                "global.get $fuel i32.const 0 i32.lt_s",
                f"if {' '.join(self.simple(t) for t in self.results)} return end",
                *starts,
                *body,
                ")",
            ]
        )

    def runner(self) -> str:
        """Calls the first function, and sees to what it throws."""
        self.number, self.results, self.labels, self.tail = -1, ["i32", "i64", "f32", "f64"], [], False
        self.variables = [("$a", "i32"), ("$b", "i32"), ("$c", "i32"), ("$d", "i64")]
        values = " ".join(self.value(t, 3) for t in self.results)
        return f"""(func (export "run") (param $a i32) (param $b i32) (result i32 i64 f32 f64)
  (local $c i32) (local $d i64)
  i32.const {self.random.randint(5, 60)} global.set $fuel
  block $out (result i32 i64)
    block $plain
      try_table (result i32 i64 f32 f64) (catch $fail $out) (catch $plain $plain)
        {" ".join(self.statements(2))}
        {values}
      end
      return
    end
    i32.const 7 i64.const 8
  end
  f32.const 1 f64.const 2)"""

    # --- values ---

    def simple(self, t: str) -> str:
        """A value that needs nothing."""
        n = self.random.randint(-3, 40)
        match t:
            case "i32" | "i64" | "f32" | "f64":
                return f"{t}.const {n}"
            case "v128":
                return f"v128.const i32x4 {n} 2 {n} 4"
            case "funcref":
                return self.one("ref.null func", "ref.func $f0", "ref.func $ask")
            case "(ref $sig)":
                return self.one("ref.func $f0", "ref.func $ask")
            case "(ref null $sig)":
                return self.one("ref.func $f0", "ref.func $ask", "ref.null $sig")
            case "externref":
                return self.one(
                    "ref.null extern", f"i32.const {n} call $thing", f"i32.const {n} ref.i31 extern.convert_any"
                )
            case "(ref $s)":
                return f"i32.const {n} i64.const {n} struct.new $s"
            case "(ref null $s)":
                return self.one("ref.null $s", f"i32.const {n} i64.const {n} struct.new $s")
            case "i31ref":
                return self.one("ref.null i31", f"i32.const {n} ref.i31")
            case "anyref":
                return self.one("ref.null any", f"i32.const {n} ref.i31", f"i32.const {n} i64.const 1 struct.new $s")
        raise AssertionError(t)

    def leaf(self, t: str) -> str:
        names = [name for name, of in self.variables if of == t]
        if names and self.chance(0.7):
            return f"local.get {self.one(*names)}"
        if t in ("i32", "i64", "f64") and self.chance(0.2):
            return f"global.get $g{t}"
        return self.simple(t)

    def value(self, t: str, depth: int) -> str:
        """Instructions that leave one value of a type."""
        if depth <= 0 or self.chance(0.1):
            return self.leaf(t)
        d = depth - 1
        choices = [self.operation, self.operation, self.block, self.block, self.if_, self.loop, self.call, self.try_]
        choices += [self.tee, self.select, self.indirect, self.leave]
        if t == "i32":
            choices += [self.ask, self.ask, self.ask, self.reference, self.looked_at]
        return self.one(*choices)(t, d)

    def operation(self, t: str, d: int) -> str:
        if t in BINARY:
            if t == "i32" and self.chance(0.2):
                return f"{self.address(d)} i32.load offset=4"
            if t == "i64" and self.chance(0.3):
                return f"{self.value('i32', d)} i64.extend_i32_s"
            if t == "f64" and self.chance(0.3):
                return f"{self.value('i32', d)} f64.convert_i32_s"
            return f"{self.value(t, d)} {self.value(t, d)} {t}.{self.one(*BINARY[t])}"
        if t == "v128":
            return self.one(
                f"{self.value(t, d)} {self.value(t, d)} i32x4.add",
                f"{self.value('i32', d)} i32x4.splat",
                f"{self.value(t, d)} {self.value('i32', d)} i32x4.replace_lane 2",
            )
        if t == "(ref $s)":
            return f"{self.value('i32', d)} {self.value('i64', d)} struct.new $s"
        if t == "i31ref":
            return f"{self.value('i32', d)} ref.i31"
        if t == "anyref":
            return self.value(self.one("i31ref", "(ref $s)"), d)
        if t == "externref":
            return f"{self.value('i32', d)} call $thing"
        return self.leaf(t)

    def looked_at(self, t: str, d: int) -> str:
        """A number that tells something of a value of another type."""
        kind = self.one("v128", *REFERENCES)
        value = self.value(kind, d)
        match kind:
            case "v128":
                return f"{value} i32x4.extract_lane {self.random.randint(0, 3)}"
            case "externref":
                return f"{value} call $see"
            case "(ref $s)":
                return f"{value} struct.get $s 0"
            case "(ref $sig)":
                return f"{self.value('i32', d)} {value} call_ref $sig"
            case _:
                return f"{value} ref.is_null"

    def reference(self, t: str, d: int) -> str:
        label = self.label()
        return f"""block {label} (result i32)
          block {label}n {self.value("(ref null $s)", d)} br_on_null {label}n struct.get $s 0 br {label} end
          {self.value("i32", d)} end"""

    def ask(self, t: str, d: int) -> str:
        return f"{self.value('i32', d)} call $ask"

    def tee(self, t: str, d: int) -> str:
        names = [name for name, of in self.variables if of == t]
        return f"{self.value(t, d)} local.tee {self.one(*names)}" if names else self.value(t, d)

    def select(self, t: str, d: int) -> str:
        typed = "" if t in NUMBERS and self.chance(0.5) else f"(result {t})"
        return f"{self.value(t, d)} {self.value(t, d)} {self.value('i32', d)} select {typed}"

    def taken(self, types: list[str]) -> list[str]:
        """Statements that take operands from the stack."""
        out = []
        for t in reversed(types):
            names = [name for name, of in self.variables if of == t]
            out.append(f"local.set {self.one(*names)}" if names and self.chance(0.8) else "drop")
        return out

    def inside(self, label: str, carried: list[str], t: str, d: int, params: list[str]) -> str:
        self.labels.append((label, carried))
        kept, taken = (params, []) if self.chance(0.3) else ([], self.taken(params))
        text = "\n".join([*taken, *self.statements(d), self.value(t, d)])
        if kept:  # they lie below what is calculated
            names = [name for name, of in self.variables if of == t]
            text += (
                f" local.set {names[0]} {' '.join(self.taken(kept))} local.get {names[0]}"
                if names
                else (f" drop {' '.join(self.taken(kept))} {self.simple(t)}")
            )
        self.labels.pop()
        return text

    def block(self, t: str, d: int) -> str:
        label, params = self.label(), self.params()
        given = " ".join(self.value(p, d) for p in params)
        types = "".join(f" (param {p})" for p in params)
        return f"{given} block {label}{types} (result {t})\n{self.inside(label, [t], t, d, params)}\nend"

    def params(self) -> list[str]:
        return self.random.choices(TYPES, k=self.random.choice([0, 0, 0, 1, 2]))

    def if_(self, t: str, d: int) -> str:
        label, params = self.label(), self.params()
        given = " ".join(self.value(p, d) for p in params)
        types = "".join(f" (param {p})" for p in params)
        if params == [t] and self.chance(0.5):
            return f"{given} {self.value('i32', d)} if {label} (param {t}) (result {t}) drop {self.value(t, d)} end"
        then, other = (self.inside(label, [t], t, d, params) for _ in range(2))
        return f"{given} {self.value('i32', d)} if {label}{types} (result {t})\n{then}\nelse\n{other}\nend"

    def loop(self, t: str, d: int) -> str:
        label, params = self.label(), self.params()
        given = " ".join(self.value(p, d) for p in params)
        types = "".join(f" (param {p})" for p in params)
        again = " ".join(self.value(p, 1) for p in params)
        inner = self.inside(self.label(), None, t, d, params)
        return f"""{given} loop {label}{types} (result {t})
          {inner}
          {again} {self.more(d)} br_if {label} {" ".join("drop" for _ in params)}
        end"""

    def more(self, d: int) -> str:
        """Whether a loop goes round again."""
        self.counter += 1
        return f"""global.get $fuel i32.const 3 i32.sub global.set $fuel
          global.get $fuel i32.const 0 i32.gt_s {self.value("i32", min(d, 1))} i32.const 1 i32.and i32.and"""

    def arguments(self, types: list[str], d: int) -> str:
        return " ".join(self.value(t, d) for t in types)

    def call(self, t: str, d: int) -> str:
        fitting = [n for n, (_, results) in enumerate(self.signatures) if t in results]
        if not fitting:
            return self.leaf(t)
        number = self.one(*fitting)
        params, results = self.signatures[number]
        at = results.index(t)
        text = f"{self.arguments(params, d)} call $f{number} {' '.join(self.taken(results[at + 1 :]))}"
        if at == 0:
            return text
        label = self.label()
        return f"block {label} (result {t}) {text} br {label} end"

    def indirect(self, t: str, d: int) -> str:
        if t != "i32":
            return self.leaf(t)
        table = self.one("$t", "$fixed")
        if self.pairs and self.chance(0.3):
            first = len(self.unary) + 1
            index = f"{self.value('i32', d)} i32.const {len(self.pairs)} i32.rem_u i32.const {first} i32.add"
            given = f"{self.value('i64', d)} {self.value('i32', d)}"
            return f"{given} {index} call_indirect {table} (type $pair) {self.taken(['i64'])[0]}"
        index = f"{self.value('i32', d)} i32.const {len(self.unary) + 1} i32.rem_u"
        if self.chance(0.05):
            index = f"i32.const {self.random.randint(0, self.table_size + 4)}"
        return f"{self.value('i32', d)} {index} call_indirect {table} (type $sig)"

    def try_(self, t: str, d: int) -> str:
        outer, all_, label = self.label(), self.label(), self.label()
        inner = self.inside(label, [t], t, d, [])
        if self.chance(0.3):
            again = self.one("throw_ref", f"drop {self.value(t, d)}")
            return f"""block {outer} (result {t}) block {all_} (result exnref)
              try_table {label} (result {t}) (catch_all_ref {all_}) {inner} end br {outer} end
              {self.value("i32", d)} drop {again} end"""
        return f"""block {outer} (result {t}) block {all_} block {label}f (result i32 i64)
          try_table {label} (result {t}) (catch $fail {label}f) (catch_all {all_}) {inner} end br {outer} end
          {self.taken(["i64"])[0]} {self.taken(["i32"])[0]} {self.value(t, d)} br {outer} end {self.value(t, d)} end"""

    def leave(self, t: str, d: int) -> str:
        """Leaves a block, perhaps, with a value."""
        fitting = [(label, carried) for label, carried in self.labels if carried == [t]]
        if not fitting:
            return self.leaf(t)
        label = self.one(*fitting)[0]
        if self.chance(0.3):
            return f"{self.value(t, d)} br {label}\n{self.dead(d)}"
        return f"{self.value(t, d)} {self.value('i32', d)} i32.const 3 i32.and i32.eqz br_if {label}"

    def dead(self, d: int) -> str:
        """Code that is never executed: anything goes with the stack."""
        return self.one(
            "unreachable",
            "call $f0 drop unreachable",
            f"i32.add {self.value('i64', d)} drop call $ask unreachable",
            "select drop unreachable",
            f"br_if {self.labels[-1][0]} unreachable" if self.labels and self.labels[-1][1] == [] else "unreachable",
            "i32.const 0 call $ask block (param i32) call $ask drop end unreachable",
            "loop i32.const 1 call $ask drop br 0 end unreachable",
            "if (result i32) i32.const 1 else i32.const 2 call $ask end drop unreachable",
        )

    # --- statements ---

    def address(self, d: int) -> str:
        return f"{self.value('i32', d)} i32.const 0xfff8 i32.and"

    def statements(self, depth: int) -> list[str]:
        if depth <= 0:
            return []
        return [self.statement(depth - 1) for _ in range(self.random.choice([0, 1, 1, 2, 3]))]

    def statement(self, d: int) -> str:
        kind = self.random.random()
        if kind < 0.3 and self.variables:
            name, t = self.one(*self.variables)
            return f"{self.value(t, d)} local.set {name}"
        if kind < 0.4:
            t = self.one("i32", "i64", "f64")
            return f"{self.value(t, d)} global.set $g{t}"
        if kind < 0.5:
            t = self.one("i32", "i64", "f32", "f64", "v128")
            return f"{self.address(d)} i32.const 16 i32.sub i32.const 0xfff0 i32.and {self.value(t, d)} {t}.store"
        if kind < 0.6:
            return f"{self.value(self.one(*TYPES), d)} drop"
        if kind < 0.66:
            return self.branch_table(d)
        if kind < 0.72:
            label = self.label()
            self.labels.append((label, []))
            text = "\n".join(self.statements(d + 1))
            self.labels.pop()
            return f"block {label}\n{text}\n{self.value('i32', d)} br_if {label}\n{self.value('i32', d)} drop end"
        if kind < 0.78 and self.number >= 0:
            return f"{self.value('i32', d)} i32.const 7 i32.and i32.eqz if {self.ending(d)} end"
        if kind < 0.82:
            thrown = self.one(f"{self.value('i32', d)} {self.value('i64', d)} throw $fail", "throw $plain")
            return f"{self.value('i32', d)} i32.const 7 i32.and i32.eqz if {thrown} {self.dead(d)} end"
        if kind < 0.86 and self.mutable:
            at = self.random.randrange(len(self.unary) + 1)
            return f"i32.const {at} {self.value('(ref $sig)', d)} table.set $t"
        number = self.random.randrange(len(self.signatures))
        params, results = self.signatures[number]
        return f"{self.arguments(params, d)} call $f{number} {' '.join(self.taken(results))}"

    def ending(self, d: int) -> str:
        """Returns, or calls in the end."""
        if self.chance(0.6):
            alike = [n for n, (_, results) in enumerate(self.signatures) if results == self.results]
            if alike:
                number = self.one(*alike)
                return f"{self.arguments(self.signatures[number][0], d)} return_call $f{number}"
        if self.results == ["i32"] and self.chance(0.7):
            index = f"{self.value('i32', d)} i32.const {len(self.unary) + 1} i32.rem_u"
            how = self.one(
                f"{index} return_call_indirect $t (type $sig)",
                f"{self.value('(ref $sig)', d)} return_call_ref $sig",
                "return_call $ask",
            )
            return f"{self.value('i32', d)} {how}"
        return f"{self.arguments(self.results, d)} return {self.dead(d)}"

    def branch_table(self, d: int) -> str:
        a, b = self.label(), self.label()
        t = self.one(*NUMBERS)
        self.labels += [(a, [t])]
        inner = f"{self.value(t, d)} {self.value('i32', d)} i32.const 3 i32.and br_table {a} {b} {a} {b}"
        self.labels.pop()
        return f"block {a} (result {t}) block {b} (result {t}) {inner} end {self.value(t, d)} drop end drop"
