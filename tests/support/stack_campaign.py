"""Random asynchronous programs by the hundred: frames saved in memory, beside stacks of their own.

Programs of one shape differ in their scripts only, and are compiled once for each carrier of frames. Either all
instances are fused to a core module, or some stay outside, as the host of a component (`open_async.py`).

    python tests/support/stack_campaign.py SHAPES STATE     goes on where STATE, a file, ends; a line for each shape
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from async_guests import Program
from both import Fused, Unfused
from engine_cli import CLI, FEATURES, STACKS
from hosted import product
from open_async import composed, inside, split
from random_async import generate

from meld.cli import main as meldc

SCRIPTS = 10
"""Programs of one shape."""

Call = tuple[Any, ...]


@dataclass
class Shape:
    """One shape, fused with each carrier.

    Attributes:
        frames: with frames that are saved in memory.
        stacks: the binary with stacks of their own.
        word: what the binary is, to a script for the engine.
    """

    frames: Fused | Unfused
    stacks: bytes
    word: str

    @classmethod
    def closed(cls, program: Program, pool: int) -> Shape:
        """All instances in a core module."""
        with TemporaryDirectory() as directory:
            source, made = Path(directory) / "a.wasm", Path(directory) / "p.wasm"
            source.write_bytes(program.wasm)
            assert meldc([str(source), "-o", str(made), f"--passes={_passes(pool)}", "-q"]) == 0
            return cls(Fused(program.wasm), made.read_bytes(), "module")

    @classmethod
    def hosted(cls, program: Program, pool: int) -> Shape:
        """Some of them in a component, the others outside."""
        first, last = split(program)
        text = inside(program, first, last)
        frames = Unfused(composed(program, first, last, product(text)))
        return cls(frames, composed(program, first, last, product(text, passes=_passes(pool))), "component")

    def differing(self, programs: list[Program]) -> list[str]:
        """The programs that are answered differently, with what the engine says."""
        wanted = [self._wanted(program) for program in programs]
        lines = [f'({self.word} definition $d binary "{"".join(f"{chr(92)}{byte:02x}" for byte in self.stacks)}")']
        for number, calls in enumerate(wanted):
            lines.append(f"({self.word} instance $i{number} $d)")
            lines += [self._line(call, answer) for call, answer in calls]
        said = _run(lines)
        if said is None:
            return []
        alone = []
        for program, calls in zip(programs, wanted, strict=True):
            said = _run([lines[0], f"({self.word} instance $i $d)", *(self._line(*each) for each in calls)])
            alone += [] if said is None else [f"{program}\n{calls[len(program.loads) :]}\n{said}"]
        return alone or [said or "only together"]

    def _wanted(self, program: Program) -> list[tuple[Call, Any]]:
        """The calls up to the first trap, with their answers. After one, versions of the engine differ."""
        calls = (*program.loads, *program.calls)
        answers = self.frames.answers(calls)
        end = next((at + 1 for at, answer in enumerate(answers) if isinstance(answer, str)), None)
        return list(zip(calls, answers, strict=False))[:end]

    def _line(self, call: Call, answer: Any) -> str:
        one, more = ("u32", "u64") if self.word == "component" else ("i32", "i64")
        name, *given = call
        types = [one] + [more] * (len(given) - 1)
        arguments = " ".join(f"({t}.const {value})" for t, value in zip(types, given, strict=False))
        invoked = f'(invoke "{name}" {arguments})'
        if isinstance(answer, str):
            return f'(assert_trap {invoked} "{answer.removeprefix("trap: ")}")'
        return invoked if answer is None else f"(assert_return {invoked} ({one}.const {answer}))"


def _passes(pool: int) -> str:
    return f"default,stack-switching{{pool={pool}}}"


def _run(lines: list[str]) -> str | None:
    """Why a script for the engine fails."""
    with TemporaryDirectory() as directory:
        script = Path(directory) / "a.wast"
        script.write_text("\n".join(lines))
        command = [CLI, "wast", "-O", "opt-level=0", "-W", f"{STACKS},{FEATURES}", str(script)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        return None if done.returncode == 0 else done.stderr[:600] or f"status {done.returncode}"


def differing(seed: int, scripts: int, *, hosted: bool) -> list[str]:
    """Of the shape of a seed, and of scripts in it."""
    first = generate(seed, more=hosted)
    shape = (Shape.hosted if hosted else Shape.closed)(first, seed % 3)
    return shape.differing([first, *(generate(seed * 1000 + k, first) for k in range(1, scripts))])


def main(shapes: int, state: Path) -> None:
    done = len(state.read_text().splitlines()) if state.exists() else 0
    for number in range(done, shapes):
        seed, hosted = number // 2, bool(number % 2)
        row: dict[str, Any] = {"seed": seed, "hosted": hosted, "programs": SCRIPTS}
        try:
            row["odd"] = differing(seed, SCRIPTS, hosted=hosted)
        except Exception as e:
            row["error"] = f"{type(e).__name__}: {e}"[:2000]
        with state.open("a") as lines:
            print(json.dumps(row), file=lines)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
