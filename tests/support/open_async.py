"""Random asynchronous programs of which some instances stay outside: they are the host of those that are fused.

The instances of a program call later ones only. So those in the middle are a component that the earlier ones call, at
once and in any order, and that calls the later ones: numbers, ends of streams and resources cross in both directions.
Unfused, all are one component; fused, those inside are replaced by what `--emit=component` makes of them. Where
the two differ, the interpreter shows whether a schedule makes the one answer what the other does.

    python tests/support/open_async.py SHAPES STATE      as async_campaign.py
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import wasmtime
from async_campaign import Model, Verdict, judged, plain
from async_guests import Program, callees, component, imported, passed, typed
from async_scripts import Script
from both import Unfused
from hosted import product
from random_async import generate

from meld.notes.boundaries import Boundary
from meld.runtime.instantiate import Running
from meld.runtime.tasks.scheduler import InstanceState


def split(program: Program) -> tuple[int, int]:
    """Which instances are inside: from, and up to."""
    r, count = random.Random(program.seed), len(program.instances)
    first = r.randrange(count)
    last = r.randrange(first + 1, count + 1)
    return (first, last) if (first, last) != (0, count) else (0, count - 1) if count > 1 else (0, 1)


def _stream(program: Program) -> str:
    return f"(stream {program.element})" if program.element else "(stream)"


def inside(program: Program, first: int, last: int) -> str:
    """The component of the instances inside."""
    parts = []
    outer = [(j, n, s) for j, n, s in callees(program, last - 1)]
    parts += [imported(s, j, n, _stream(program)) for j, n, s in outer]
    for k in reversed(range(first, last)):
        given = " ".join(
            passed(s, j, n, f"$i{j}", str(n)) if j < last else _outer(s, j, n) for j, n, s in callees(program, k)
        )
        parts.append(component(program, k))
        parts.append(f"(instance $i{k} (instantiate $c{k} {given}))")
    for k in range(first, last):
        for n, s in enumerate(program.instances[k].scripts):
            parts.append(_exported(s, k, n, _stream(program)))
        parts += [f'(export "{name}{k}" (func $i{k} "{name}"))' for name in ("log", "script")]
    return "(component\n" + "\n".join(parts) + ")"


def _outer(s: Script, j: int, n: int) -> str:
    """The argument that is an import."""
    if s.kind == "d":
        return f'(with "r{j}-{n}" (type $r{j}-{n})) (with "make{j}-{n}" (func $make{j}-{n}))'
    return f'(with "{s.kind}{j}-{n}" (func ${s.kind}{j}-{n}))'


def _exported(s: Script, k: int, n: int, stream: str) -> str:
    if s.kind == "d":
        return (
            f'(export $e{k}-{n} "r{k}-{n}" (type $i{k} "r{n}"))'
            f' (export "make{k}-{n}" (func $i{k} "make{n}") (func (result (own $e{k}-{n}))))'
        )
    return f'(export "{s.kind}{k}-{n}" (func $i{k} "{s.kind}{n}") (func {typed(s, stream)}))'


def composed(program: Program, first: int, last: int, made: str) -> bytes:
    """The whole program, with those inside as a component `made`, in text."""
    head, _, rest = made.partition("(component")
    assert not head.strip()
    name = rest.split(maxsplit=1)[0]
    made = f"(component $P {rest.replace(name, '', 1) if name.startswith('$') else rest}"
    parts = [made]
    count = len(program.instances)

    def source(j: int, n: int) -> tuple[str, str]:
        return ("$p", f"{j}-{n}") if first <= j < last else (f"$i{j}", str(n))

    for k in (*reversed(range(last, count)), first, *reversed(range(first))):
        called = callees(program, last - 1 if k == first else k)
        given = " ".join(passed(s, j, n, *source(j, n)) for j, n, s in called)
        if k == first:
            parts.append(f"(instance $p (instantiate $P {given}))")
            continue
        parts.append(component(program, k))
        parts.append(f"(instance $i{k} (instantiate $c{k} {given}))")
    place, label = source(0, 0)
    parts.append(f'(export "run" (func {place} "f{label}"))')
    for k in range(count):
        place, label = ("$p", str(k)) if first <= k < last else (f"$i{k}", "")
        parts += [f'(export "{name}{k}" (func {place} "{name}{label}"))' for name in ("log", "script")]
    return bytes(wasmtime.wat2wasm("(component\n" + "\n".join(parts) + ")"))


SCRIPTS = 200
"""Programs of one shape: what takes long is to compile it."""


class OpenModel(Model):
    """The interpreter of all instances, where those inside are one component for the others.

    So a call may be let in while another instance inside is free, and wait there for its own: it has started.
    """

    def __init__(self, program: Program, first: int, last: int) -> None:
        super().__init__(program.wasm)
        called = {
            f"i{k}"
            for k, instance in enumerate(program.instances[first:last], first)
            if any(s.kind != "d" and not s.plain for s in instance.scripts)
        }
        inside = {f"i{k}" for k in range(first, last)}
        notes = {note for _, n in self.merged.noted(Boundary) for note in (n.caller, n.callee)}
        self.called = {note for note in notes if note.name in called}
        self.inside = {note for note in notes if note.name in inside}

    def start(self, choose: Callable[[int], int]) -> Running:
        running = super().start(choose)
        calls = running.interpreter._tasks

        def lets_in(caller: InstanceState, callee: InstanceState) -> bool:
            if caller.note in self.inside or callee.note not in self.inside:
                return False
            others = [calls.state(note) for note in self.called if note is not callee.note]
            return any(not s.backpressure and s.exclusive is None for s in others) and choose(2) == 1

        calls.lets_in = lets_in
        return running


class OpenShape:
    """The programs that differ in nothing but their scripts, and of which the same instances are inside."""

    def __init__(self, program: Program) -> None:
        self.first, self.last = split(program)
        self.program = program
        self.unfused = Unfused(program.wasm)
        made = product(inside(program, self.first, self.last))
        self.fused = Unfused(composed(program, self.first, self.last, made))

    @cached_property
    def model(self) -> OpenModel:
        """The interpreter of all instances."""
        return OpenModel(self.program, self.first, self.last)

    def verdict(self, program: Program) -> Verdict:
        """Runs one program on two, or on all three."""
        loads, calls = program.loads, program.calls
        want, mine = (side.answers((*loads, *calls))[len(loads) :] for side in (self.unfused, self.fused))
        if plain(want) == plain(mine):
            return Verdict(program, want, [], mine)
        return judged(self, program)


def verdicts(seed: int, scripts: int = SCRIPTS) -> list[Verdict]:
    """Of the shape of a seed, and of scripts in it."""
    first = generate(seed, more=True)
    shape = OpenShape(first)
    programs = [first, *(generate(seed * 1000 + k, first) for k in range(1, scripts))]
    return [shape.verdict(program) for program in programs]


def main(shapes: int, state: Path) -> None:
    done = len(state.read_text().splitlines()) if state.exists() else 0
    for seed in range(done, shapes):
        try:
            found = verdicts(seed)
        except Exception as e:
            row = {"seed": seed, "programs": 0, "error": f"{type(e).__name__}: {e}"[:2000]}
        else:
            odd = [str(verdict) for verdict in found if verdict.word != "same"]
            row = {"seed": seed, "programs": len(found), "odd": odd}
        with state.open("a") as lines:
            print(json.dumps(row), file=lines)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
