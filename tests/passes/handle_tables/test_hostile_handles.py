"""An instance that follows no rule about handles reaches nothing fused that it does not reach unfused.

Random sequences over handles of the host's resource and of an exposed one: forged, dropped, lent, given away, kept.
Each sequence is made up while it runs unfused under the engine's component support, and then repeated with the fused
core module, whose host goes by names and believes what it is given, and with the fused component. What is answered, why
it traps, what the host sees and what is destroyed has to be the same.

``MELD_CASES`` says how many; the gate runs a few.
"""

from __future__ import annotations

import os
import random
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from adapter_pairs import reason
from hostile_handles import HOST, HOSTILE, NUMBERS, program
from wasmtime import component as wc
from wrapped import ROOT

import meld
from meld.ir.module import Module
from meld.runtime.instantiate import Trapped, instantiate
from meld.views.manifest import manifest

SEQUENCES = int(os.environ.get("MELD_CASES", "150"))
LENGTH = 12
KIND = 1
"""The number of the host's resource type for the engine."""

Step = tuple[Any, ...]
"""What is called, with its arguments: for a handle of `r` its representation, for one of `s` its place in `kept`."""


class Stop(Exception):
    """The program trapped, for a reason."""


@dataclass
class Host:
    """What the host has seen, and the handles of `s` that it has."""

    log: list[Any] = field(default_factory=list)
    kept: list[Any] = field(default_factory=list)


# --- as components -------------------------------------------------------------------------------------------------


class Components:
    """A component under the engine: the composition itself, or what it was fused to."""

    def __init__(self, wasm: bytes) -> None:
        self.engine = wasmtime.Engine()
        self.component = wc.Component(self.engine, wasm)
        self.linker = wc.Linker(self.engine)
        self.host = Host()
        given: dict[str, Callable[..., Any]] = {
            "make": lambda _, n: wc.ResourceHost.own(n, KIND),
            "look": lambda store, x: self._saw("look", store, x),
            "eat": lambda store, x: self._saw("eat", store, x),
            "many": lambda store, own, lent: len([self._saw("many", store, x) for x in (*own, *lent)]),
            "some": lambda _, n: [wc.ResourceHost.own(900 + i, KIND) for i in range(n)],
            "swap": self._swap,
            "label": lambda store, x: self._label(store, x),
            "trade": lambda store, given: [wc.ResourceHost.own(self._saw("trade", store, x) + 1, KIND) for x in given],
            "named": lambda _, n: [(wc.ResourceHost.own(700 + i, KIND), "ab") for i in range(n)],
            "mix": lambda store, given: sum(1 if x is None else self._saw("mix", store, x) for x in given),
        }
        with self.linker.root() as root:
            root.add_resource("r", wc.ResourceType.host(KIND), lambda _, rep: self.host.log.append(("end", rep)))
            for name in HOST:
                root.add_func(name, given[name])
        self.exports = {name: self.component.get_export_index(name) for name in ("do", "ended", *HOSTILE)}
        self.exports |= {name: self.component.get_export_index(name) for name in ("honest-see-s", "honest-new-s")}

    def _saw(self, what: str, store: Any, handle: Any) -> int:
        rep = handle.to_host(store).rep
        self.host.log.append((what, rep))
        return rep

    def _swap(self, store: Any, handle: Any, fail: int) -> Any:
        rep = self._saw("swap", store, handle)
        return rep if fail else wc.ResourceHost.own(rep + 1, KIND)

    def _label(self, store: Any, handle: Any) -> Any:
        return (0 if handle is None else self._saw("label", store, handle), "x")

    def start(self) -> None:
        """A new instance, and a host that has seen nothing."""
        self.host = Host()
        self.store = wasmtime.Store(self.engine)
        self.instance = self.linker.instantiate(self.store, self.component)

    def step(self, step: Step) -> Any:
        """What a step answers. Raises Stop."""
        name, *args = step
        try:
            return self._step(name, args)
        except (wasmtime.Trap, wasmtime.WasmtimeError) as e:
            raise Stop(without_number(reason(e))) from e

    def _step(self, name: str, args: list[Any]) -> Any:
        kept = self.host.kept
        match name, args:
            case "do", [op, a, b]:
                return self._call("do", NUMBERS[op], a, b)
            case "take-r", [n]:
                return self._call(name, wc.ResourceHost.own(n, KIND))
            case "lent-r", [n, what]:
                return self._call(name, wc.ResourceHost.borrow(n, KIND), what)
            case "give-r", [i]:
                return self._rep(self._call(name, i))
            case "take-rs", [given, lent]:
                own = [wc.ResourceHost.own(n, KIND) for n in given]
                return self._call(name, own, [wc.ResourceHost.borrow(n, KIND) for n in lent])
            case "give-rs", [i, j]:
                return [self._rep(x) for x in self._call(name, i, j)]
            case "give-or", [i, fail]:
                answer = self._call(name, i, fail)
                return answer if isinstance(answer, str) else self._rep(answer)
            case "ended", []:
                return self._call(name)
            case "new-s", [n]:
                kept.append(self._call("honest-new-s", n))
            case "see-s", [k]:
                return self._call("honest-see-s", kept[k])
            case "take-s", [k]:
                return self._call(name, kept.pop(k))
            case "lent-s", [k, what]:
                return self._call(name, kept[k], what)
            case "give-s", [i]:
                kept.append(self._call(name, i))
            case "both", [k, n]:
                r, s = self._call(name, kept.pop(k), wc.ResourceHost.own(n, KIND))
                kept.append(s)
                return self._rep(r)
            case "drop-s", [k]:
                kept.pop(k).drop(self.store)
            case _:
                raise AssertionError(name)
        return None

    def _call(self, name: str, *args: Any) -> Any:
        function = self.instance.get_func(self.store, self.exports[name])
        assert function is not None, name
        return function(self.store, *args)

    def _rep(self, handle: Any) -> int:
        assert handle.owned
        return int(handle.to_host(self.store).rep)


# --- as a core module ----------------------------------------------------------------------------------------------


@dataclass
class Numbers:
    """A host that goes by names: its handles are numbers, and it believes whoever has one.

    Attributes:
        strange: what it was given and does not know; nothing may ever be in here.
    """

    reps: dict[int, int] = field(default_factory=dict)
    lent: set[int] = field(default_factory=set)
    strange: list[Any] = field(default_factory=list)
    next: int = 3

    def new(self, rep: int) -> int:
        """A handle for a new thing. Small numbers, which are indices of tables too."""
        self.next += 1
        self.reps[self.next] = rep
        return self.next

    def rep(self, what: str, number: int) -> int:
        """What a handle stands for."""
        if number not in self.reps:
            self.strange.append((what, number))
            return 0xDEAD
        return self.reps[number]

    def take(self, what: str, number: int) -> int:
        """The same, and the handle is the host's again."""
        rep = self.rep(what, number)
        if number in self.lent:
            self.strange.append((what, number, "lent"))
        self.reps.pop(number, None)
        return rep


class Core:
    """A fused core module under the engine."""

    def __init__(self, module: Module) -> None:
        self.engine = wasmtime.Engine()
        self.module = wasmtime.Module(self.engine, meld.encode(module))
        rows = manifest(module)
        self.rows = {row["export"]: row for row in rows["exports"]}
        self.options = {row["name"]: row for row in rows["imports"] if row["kind"] == "function"}
        self.given = {
            "make": lambda n: self.numbers.new(n),
            "look": lambda h: self._saw("look", h),
            "eat": lambda h: self._saw("eat", h, own=True),
            "many": self._many,
            "some": self._some,
            "swap": self._swap,
            "label": self._label,
            "trade": self._trade,
            "named": self._named,
            "mix": self._mix,
            "[resource-drop]r": self._drop,
        }

    def start(self) -> None:
        """A new instance, and a host that has seen nothing."""
        self.host, self.numbers = Host(), Numbers()
        self.store = wasmtime.Store(self.engine)
        imports = [
            wasmtime.Func(self.store, wanted.type, self.given[wanted.name])
            for wanted in self.module.imports
            if isinstance(wanted.type, wasmtime.FuncType)
        ]
        self.exports = wasmtime.Instance(self.store, self.module, imports).exports(self.store)

    # --- what the host provides ---

    def _saw(self, what: str, number: int, *, own: bool = False) -> int:
        rep = (self.numbers.take if own else self.numbers.rep)(what, number)
        self.host.log.append((what, rep))
        return rep

    def _many(self, at: int, count: int, lent_at: int, lent_count: int) -> int:
        own = self._read("many", at, f"<{count}I")
        lent = self._read("many", lent_at, f"<{lent_count}I")
        return len([*(self._saw("many", x, own=True) for x in own), *(self._saw("many", x) for x in lent)])

    def _some(self, n: int, out: int) -> None:
        made = [self.numbers.new(900 + i) for i in range(n)]
        at = self._allocate(self.options["some"], 4, 4 * n)
        self._write("some", at, f"<{n}I", *made)
        self._write("some", out, "<II", at, n)

    def _swap(self, number: int, fail: int, out: int) -> None:
        rep = self._saw("swap", number, own=True)
        self._write("swap", out, "<B", 1 if fail else 0)
        self._write("swap", out + 4, "<I", rep if fail else self.numbers.new(rep + 1))

    def _label(self, some: int, number: int, out: int) -> None:
        rep = self._saw("label", number) if some else 0
        at = self._allocate(self.options["label"], 1, 1)
        self._write("label", at, "<1s", b"x")
        self._write("label", out, "<III", rep, at, 1)

    def _trade(self, at: int, count: int, out: int) -> None:
        made = [self.numbers.new(self._saw("trade", x, own=True) + 1) for x in self._read("trade", at, f"<{count}I")]
        at = self._allocate(self.options["trade"], 4, 4 * count)
        self._write("trade", at, f"<{count}I", *made)
        self._write("trade", out, "<II", at, count)

    def _named(self, n: int, out: int) -> None:
        at = self._allocate(self.options["named"], 4, 12 * n)
        for i in range(n):
            name = self._allocate(self.options["named"], 1, 2)
            self._write("named", name, "<2s", b"ab")
            self._write("named", at + 12 * i, "<III", self.numbers.new(700 + i), name, 2)
        self._write("named", out, "<II", at, n)

    def _mix(self, at: int, count: int) -> int:
        found = self._read("mix", at, f"<{2 * count}I")
        return sum(
            self._saw("mix", x, own=True) if some & 255 else 1 for some, x in zip(found[::2], found[1::2], strict=True)
        )

    def _drop(self, number: int) -> None:
        if number in self.numbers.lent:
            self.numbers.lent.discard(number)
        else:
            self.host.log.append(("end", self.numbers.take("drop", number)))

    def _memory(self, row: dict[str, Any]) -> wasmtime.Memory:
        memory = self.exports[row["memory"]]
        assert isinstance(memory, wasmtime.Memory)
        return memory

    def _read(self, name: str, at: int, form: str) -> tuple[Any, ...]:
        row = self.options.get(name) or self.rows[name]
        data = self._memory(row).read(self.store, at, at + struct.calcsize(form))
        return struct.unpack(form, data)

    def _write(self, name: str, at: int, form: str, *values: Any) -> None:
        row = self.options.get(name) or self.rows[name]
        self._memory(row).write(self.store, struct.pack(form, *values), at)

    def _allocate(self, row: dict[str, Any], align: int, size: int) -> int:
        realloc = self.exports[row["realloc"]]
        assert isinstance(realloc, wasmtime.Func)
        return int(realloc(self.store, 0, 0, align, size))

    # --- what it calls ---

    def step(self, step: Step) -> Any:
        """What a step answers. Raises Stop."""
        name, *args = step
        try:
            return self._step(name, args)
        except (wasmtime.Trap, wasmtime.WasmtimeError) as e:
            raise Stop(without_number(reason(e))) from e

    def _step(self, name: str, args: list[Any]) -> Any:
        match name, args:
            case "do", [op, a, b]:
                return self._call("do", NUMBERS[op], a, b)
            case "take-r", [n]:
                return self._call(name, self.numbers.new(n))
            case "lent-r", [n, what]:
                return self._call(name, self._lend(n), what)
            case "give-r", [i]:
                return self.numbers.take(name, self._call(name, i))
            case "take-rs", [given, lent]:
                own, borrowed = [self.numbers.new(n) for n in given], [self._lend(n) for n in lent]
                ranges = []
                for numbers in (own, borrowed):
                    at = self._allocate(self.rows[name], 4, 4 * len(numbers)) if numbers else 4
                    self._write(name, at, f"<{len(numbers)}I", *numbers)
                    ranges += [at, len(numbers)]
                return self._call(name, *ranges)
            case "give-rs", [i, j]:
                out = self._call(name, i, j)
                at, count = self._read(name, out, "<II")
                return self._returned(
                    name, out, [self.numbers.take(name, x) for x in self._read(name, at, f"<{count}I")]
                )
            case "give-or", [i, fail]:
                out = self._call(name, i, fail)
                ((failed,), (at, size)) = self._read(name, out, "<B"), self._read(name, out + 4, "<II")
                if failed:
                    return self._returned(name, out, self._read(name, at, f"<{size}s")[0].decode())
                return self._returned(name, out, self.numbers.take(name, at))
            case "ended", []:
                return self._call(name)
        raise AssertionError(name)

    def _lend(self, rep: int) -> int:
        number = self.numbers.new(rep)
        self.numbers.lent.add(number)
        return number

    def _call(self, name: str, *args: int) -> int:
        function = self.exports[name]
        assert isinstance(function, wasmtime.Func)
        return function(self.store, *(x - (1 << 32) if x >> 31 else x for x in args)) & 0xFFFF_FFFF

    def _returned(self, name: str, out: int, answer: Any) -> Any:
        post_return = self.exports[self.rows[name]["post_return"]]
        assert isinstance(post_return, wasmtime.Func)
        post_return(self.store, out)
        return answer


# --- sequences -----------------------------------------------------------------------------------------------------


def without_number(why: str) -> str:
    """A reason without the index, and what the engine says of the types behind it: a name holds only small ones."""
    return re.sub(r" index \d+", " index", why).partition(", expected")[0]


INTERESTING = (0, 1, 2, 3, 4, 5, 6, 7, 0xFFFF_FFFF, 0x8000_0001)
OF_S = {"see-s", "end-s", "drop-s"}
NO_HANDLE = {"make", "new-s", "some", "named", "peek", "realloc"}
GIVES = {
    "make": "r",
    "new-s": "s",
    "hand": "r",
    "take-r": "r",
    "take-rs": "r",
    "take-s": "s",
    "some": "r",
    "swap": "r",
    "trade": "r",
}
"""Whose index a step answers."""
FAIR = {True: (0, 1), False: (0, 1, 2, 3, 4)}
"""What is done with a borrowed handle, by whether rules are kept."""


@dataclass
class Chooser:
    """Makes up the next step, from what was answered so far.

    Attributes:
        seen: indices that were given out, at some time, for handles of either resource.
    """

    chance: random.Random
    exposed: bool
    seen: dict[str, list[int]] = field(default_factory=lambda: {"r": [], "s": []})

    def index(self, of: str) -> int:
        """Something for a handle: mostly one that was given out, and mostly one of the right type."""
        c, fair = self.chance, self.seen[of]
        if fair and c.random() < 0.85:
            return c.choice(fair[-3:])
        anything = [*self.seen["r"], *self.seen["s"], *INTERESTING]
        return c.choice(anything)

    def step(self, kept: int) -> Step:
        """The next step; the host has `kept` handles of `s`."""
        c = self.chance
        n, m = c.randrange(100, 200), c.randrange(200, 300)
        if sum(map(len, self.seen.values())) < 3:
            return c.choice((("do", c.choice(("make", "new-s", "realloc")), n, 0), ("take-r", n)))
        what = c.choice(FAIR[c.random() < 0.7])
        r, s = self.index("r"), self.index("s")
        steps: list[Step] = [
            *(self._done(c.choice(list(NUMBERS))) for _ in range(8)),
            ("do", "make", n, 0),
            ("take-r", n),
            ("lent-r", n, what),
            ("give-r", r),
            ("take-rs", [n + i for i in range(c.randrange(1, 4))], [m + i for i in range(c.randrange(3))]),
            ("give-rs", r, self.index("r")),
            ("give-or", r, c.randrange(2)),
            ("ended",),
        ]
        if self.exposed:
            steps += [("new-s", n), ("give-s", s)]
            if kept:
                k = c.randrange(kept)
                steps += [("see-s", k), ("take-s", k), ("lent-s", k, what), ("both", k, n), ("drop-s", k)]
        return c.choice(steps)

    def _done(self, name: str) -> Step:
        """A step of `do`."""
        a = self.chance.randrange(200) if name in NO_HANDLE else self.index("s" if name in OF_S else "r")
        if name in ("show", "swap", "label"):
            return ("do", name, a, self.chance.choice(FAIR[self.chance.random() < 0.7]))
        return ("do", name, a, self.index("r"))

    def answered(self, step: Step, answer: Any) -> None:
        """Remembers what may be an index."""
        name = step[1] if step[0] == "do" else step[0]
        if name in GIVES and isinstance(answer, int):
            self.seen[GIVES[name]].append(answer % 1000)


def outcomes(running: Any, steps: Iterator[Step] | list[Step], chooser: Chooser | None = None) -> list[Any]:
    """What each step answers, what the host saw, and at last why it trapped, if it did."""
    found: list[Any] = []
    for step in steps:
        before = len(running.host.log)
        try:
            answer = running.step(step)
        except Stop as e:
            return [*found, ("trap", str(e), running.host.log[before:])]
        if chooser is not None:
            chooser.answered(step, answer)
        found.append((step, answer, running.host.log[before:]))
    return found


def made_up(chooser: Chooser, running: Any, steps: list[Step]) -> Iterator[Step]:
    """Steps as they come; they are noted in `steps`."""
    for _ in range(LENGTH):
        steps.append(chooser.step(len(running.host.kept)))
        yield steps[-1]


@cache
def composition(exposed: bool) -> bytes:
    """The composition as a binary."""
    return bytes(wasmtime.wat2wasm(program(exposed)))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, str]:
    directory = tmp_path_factory.mktemp("handles")
    for exposed in (False, True):
        (directory / f"{exposed}.wasm").write_bytes(composition(exposed))
    return {exposed: str(directory / f"{exposed}.wasm") for exposed in (False, True)}


def compare(exposed: bool, other: Any, seeds: Iterable[int]) -> Counter[str]:
    """Makes up sequences and repeats them; how often they ended for which reason."""
    unfused = Components(composition(exposed))
    ends: Counter[str] = Counter()
    for seed in seeds:
        chooser, steps = Chooser(random.Random(seed), exposed), list[Step]()
        unfused.start()
        want = outcomes(unfused, made_up(chooser, unfused, steps), chooser)
        other.start()
        got = outcomes(other, steps)
        assert got == want, (seed, [pair for pair in zip(want, got, strict=False) if pair[0] != pair[1]], steps)
        if isinstance(other, Core):
            assert not other.numbers.strange, (seed, steps, other.numbers.strange)
        ends[want[-1][1] if want[-1][0] == "trap" else "none"] += 1
    return ends


OVERLAPPING = """(component
  (import "r" (type $r (sub resource)))
  (import "named" (func $named (param "what" string) (result (list (tuple (own $r) string)))))
  (component $Hostile
    (import "r" (type $r (sub resource)))
    (import "named" (func $named (param "what" string) (result (list (tuple (own $r) string)))))
    (core module $mem (memory (export "memory") 1)
      (data (i32.const 8) "\\4d\\00\\00\\00")  ;; a number of the host's
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 512)))
    (core instance $mem (instantiate $mem))
    (alias core export $mem "memory" (core memory $memory))
    (alias core export $mem "realloc" (core func $realloc))
    (core func $named' (canon lower (func $named) (memory $memory) (realloc $realloc)))
    (core module $m
      (import "" "named" (func $named (param i32 i32 i32)))
      (func (export "attack") (call $named (i32.const 8) (i32.const 4) (i32.const 32))))
    (core instance $i (instantiate $m (with "" (instance (export "named" (func $named'))))))
    (func (export "attack") (canon lift (core func $i "attack"))))
  (instance $hostile (instantiate $Hostile (with "r" (type $r)) (with "named" (func $named))))
  (export "attack" (func $hostile "attack")))"""
"""The host says a handle and a text that it was given; `realloc` has it write the text where the handle stands."""


def test_overlapping_memory(tmp_path: Path) -> None:
    """A number that the host writes where a handle stands is not taken for one.

    The engine has no handles in memory, so it need not look; a fused program traps.
    """
    source = tmp_path / "source.wasm"
    source.write_bytes(wasmtime.wat2wasm(OVERLAPPING))
    module = meld.compile(str(source))
    (row,) = (row for row in manifest(module)["imports"] if row["name"] == "named")
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    exports: dict[str, Any] = {}

    def named(at: int, size: int, out: int) -> None:
        memory, realloc = exports[row["memory"]], exports[row["realloc"]]
        text = memory.read(store, at, at + size)
        handles = realloc(store, 0, 0, 4, 12)
        memory.write(store, struct.pack("<I", 5), handles)
        copy = realloc(store, 0, 0, 1, size)
        memory.write(store, text, copy)
        memory.write(store, struct.pack("<II", handles, 1), out)

    compiled = wasmtime.Module(engine, meld.encode(module))
    given = [
        wasmtime.Func(store, one.type, named) for one in compiled.imports if isinstance(one.type, wasmtime.FuncType)
    ]
    exports.update(wasmtime.Instance(store, compiled, given).exports(store).items())
    with pytest.raises((wasmtime.Trap, wasmtime.WasmtimeError), match="overlapping memory from `realloc`"):
        exports["attack"](store)


LOWERED = "link,merge,expose-resources,handle-tables,adapter-wiring,lower-multi-memory,finish"
"""One memory: handles go through the memory that the host is given, in each call that has a list of them."""


@pytest.mark.parametrize("passes", [None, LOWERED], ids=["memories", "one memory"])
def test_core_module(files: dict[bool, str], passes: str | None) -> None:
    """The host goes by names, and nobody reaches it with a number that it did not give."""
    if passes is not None:
        passes = passes.replace("expose-resources,", "")
    ends = compare(False, Core(meld.compile(files[False], passes=passes)), range(SEQUENCES))
    assert len(ends) > 3  # they do not all end in the same way


@pytest.mark.parametrize("passes", [None, LOWERED], ids=["memories", "one memory"])
@pytest.mark.parametrize("exposed", [False, True])
def test_component(files: dict[bool, str], exposed: bool, passes: str | None) -> None:
    wrapped = meld.compile(files[exposed], wrap=True, passes=passes)
    compare(exposed, Components(meld.encode(wrapped)), range(SEQUENCES, 2 * SEQUENCES))


# --- interpreted ---------------------------------------------------------------------------------------------------

WITHOUT_MEMORY = ("make", "look", "eat", "drop-r", "hold", "hand", "show", "new-s", "see-s", "end-s", "drop-s")


class Interpreted:
    """The program after a pass: what is pending is interpreted; tables are in Python, or in the module already."""

    def __init__(self, module: Module) -> None:
        self.module = module

    def start(self) -> None:
        """A new instance, and a host that has seen nothing."""
        self.host, self.numbers = Host(), Numbers()
        given = {
            "make": self.numbers.new,
            "look": lambda h: self._saw("look", self.numbers.rep("look", h)),
            "eat": lambda h: self._saw("eat", self.numbers.take("eat", h)),
            "[resource-drop]r": lambda h: self.host.log.append(("end", self.numbers.take("drop", h))),
        }
        self.running = instantiate(
            self.module, given={("$root", name): function for name, function in given.items()}, lenient=True
        )

    def _saw(self, what: str, rep: int) -> int:
        self.host.log.append((what, rep))
        return rep

    def step(self, step: Step) -> Any:
        """What a step answers. Raises Stop."""
        name, op, *operands = step
        try:
            return self.running.call(name, NUMBERS[op], *operands)
        except Trapped as e:
            raise Stop(str(e)) from e


@pytest.mark.parametrize("stage", ["merge", "handle-tables"])
def test_interpreted(files: dict[bool, str], stage: str) -> None:
    unfused, other = Components(composition(False)), Interpreted(meld.compile(files[False], stop_after=stage))
    for seed in range(max(SEQUENCES // 10, 1)):
        chance = random.Random(seed)
        steps: list[Step] = [("do", "make", 100, 0), ("do", "make", 101, 0), ("do", "new-s", 7, 0)]
        for _ in range(8):
            op = chance.choice(WITHOUT_MEMORY)
            steps.append(("do", op, chance.randrange(6), chance.choice((0, 1, 1, 0, 2))))
        unfused.start()
        other.start()
        want, got = outcomes(unfused, steps), outcomes(other, steps)
        if want[-1][0] == "trap":  # the interpreter has other words
            want[-1], got[-1] = (*want[-1][:1], *want[-1][2:]), (*got[-1][:1], *got[-1][2:])
        assert got == want, (seed, steps)
        assert not other.numbers.strange


# --- cases of old --------------------------------------------------------------------------------------------------

ISOLATION = ROOT.parent / "shared" / "cases" / "isolation"


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("host-handle-forged", ("attack", 1)),
        ("host-handle-dropped-twice", ("run",)),
        ("exposed-handle", ("attack", 1)),
        ("exposed-handle", ("drop", 1)),
    ],
)
def test_case(name: str, call: tuple[Any, ...], tmp_path: Path) -> None:
    """What a hostile component did with handles of others traps, as it does unfused."""
    source = ISOLATION / f"{name}.wat"
    unfused, fused = tmp_path / "unfused.wasm", tmp_path / "fused.wasm"
    unfused.write_bytes(meld.encode(meld.compile(source, passes="")))
    fused.write_bytes(meld.encode(meld.compile(source, wrap=True)))
    ends = []
    for path in (unfused, fused):
        engine = wasmtime.Engine()
        store, linker, dropped = wasmtime.Store(engine), wc.Linker(engine), list[int]()
        store.set_wasi(wasmtime.WasiConfig())
        linker.add_wasip2()
        with linker.root() as root:
            root.add_resource("r", wc.ResourceType.host(KIND), lambda _, rep, seen=dropped: seen.append(rep))
            root.add_func("make", lambda _: wc.ResourceHost.own(5, KIND))
        instance = linker.instantiate(store, wc.Component(engine, path.read_bytes()))
        function = instance.get_func(store, call[0])
        assert function is not None
        with pytest.raises((wasmtime.Trap, wasmtime.WasmtimeError)) as caught:
            function(store, *call[1:])
        ends.append((without_number(reason(caught.value)), dropped))
    assert ends[0] == ends[1] == ("unknown handle index", [])
