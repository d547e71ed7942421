"""Fusing programs as whole processes: with the kernel and without, by the published tool, and at the least.

The floor copies what must be copied: a process that reads the inputs, has the kernel rewrite every code section with
every index moved, and writes the lot. For a small program it is the start of the interpreter.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import inputs
from measure import BIN, FIXTURES, NO_INPUT, RIVAL, ROOT, Process, Row, Sample, in_turn, process, ratio, show_rows

SMALL = {
    "fuse the stream example": [ROOT / "examples/stream/producer.wat", ROOT / "examples/stream/consumer.wat"],
    "fuse greet, C and C": [FIXTURES / "greet/cons.wasm", FIXTURES / "greet/prov.wasm"],
    "fuse shop, C and C, resources": [FIXTURES / "shop/consumer.wasm", FIXTURES / "shop/provider.wasm"],
    "fuse greet, C and QuickJS": [FIXTURES / "greet/cons.wasm", FIXTURES / "greet/qjsprov.wasm"],
    "fuse redact, Rust": [FIXTURES / "arcjet-redact/redact-composed.wasm"],
}
TIMES = 7
LARGE_TIMES = 5

FLOOR = """
import sys
from pathlib import Path
from meld.files import load
from meld.ir.component import CoreModule, NestedComponent
from meld.ir.instructions import Scope
from meld.binary.kernel import Kernel
out, pieces = Path(sys.argv[1]), []
for name in sys.argv[2:]:
    pending = [load(name)]
    while pending:
        for d in pending.pop().definitions:
            if isinstance(d, NestedComponent):
                pending.append(d.component)
            if isinstance(d, CoreModule):
                pieces += [segment.data for segment in d.module.datas]
                for section in {id(f.body.section): f.body.section for f in d.module.functions}.values():
                    sizes = [len(space) for space in d.module.scopes[0].spaces()]
                    maps = {s: range(1, n + 1) for s, n in zip(Scope.SPACES, sizes)}
                    kernel = Kernel(section.data, len(section.starts), sizes)
                    pieces.append(kernel.rewrite(maps, b"\\1" * len(section.starts)))
with out.open("wb") as file:
    file.writelines(piece.get().data if hasattr(piece, "get") else piece for piece in pieces)
"""


def rows() -> list[Row]:
    """One row per program, and one for the memory of each large one."""
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "out.wasm"
        for name, paths in SMALL.items():
            target = "≤ 0.20 s" if name.startswith(("fuse the stream", "fuse greet, C and C")) else ""
            found.append(_small(name, paths, out, target))
        for language, what, target in (
            ("js", "componentize-js", "rival ≥ 8×"),
            ("py", "componentize-py", "≤ 3× floor"),
        ):
            found += _large(language, what, out, target)
    return found


def _small(name: str, paths: list[Path], out: Path, target: str) -> Row:
    if not all(path.exists() for path in paths):
        return Row(name, NO_INPUT, target=target)
    commands: dict[str, list[str | Path]] = {
        "ours": [BIN / "meldc", *paths, "-q", "-o", out],
        "floor": [sys.executable, "-c", "pass"],
    }
    if all(path.suffix == ".wasm" for path in paths):
        commands["rival"] = [RIVAL, "fuse", *paths, "-o", out, "--no-attestation"]
    found = in_turn(commands, times=TIMES)
    ours, floor, rival = found["ours"], found["floor"], found.get("rival", "")
    return Row(name, _time(ours), _time(rival), floor=_time(floor), target=target, reached=_shown(ours))


def _large(language: str, what: str, out: Path, target: str) -> list[Row]:
    paths = inputs.pair(language)
    if paths is None:
        return [Row(f"fuse the {what} pair", NO_INPUT, target=target)]
    size = sum(path.stat().st_size for path in paths) / 1e6
    found = in_turn(
        {
            "ours": [BIN / "meldc", *paths, "-q", "-o", out],
            "rival": [RIVAL, "fuse", *paths, "-o", out, "--no-attestation"],
            "floor": [sys.executable, "-c", FLOOR, out, *paths],
        },
        times=LARGE_TIMES,
    )
    ours, rival, floor = found["ours"], found["rival"], found["floor"]
    python = process(BIN / "meldc", *paths, "-q", "-o", out, times=1, env={"MELDC_KERNEL": "off"})
    times = [_time(each) for each in (ours, rival, floor)]
    reached = ratio(times[1], times[0], 1) + "× rival" if isinstance(times[1], Sample) else ""
    reached = ", ".join(filter(None, (reached, ratio(times[0], times[2], 1) + "× floor")))
    name = f"fuse the {what} pair, {size:.0f} MB"
    memory = [_memory(each) for each in (ours, rival, floor)]
    return [
        Row(name, times[0], times[1], floor=times[2], target=target, reached=reached),
        Row(f"{name}, kernel off", _time(python), floor=times[2]),
        Row(
            f"{name}: peak memory",
            memory[0],
            memory[1],
            floor=memory[2],
            target=f"≤ 4× input + 60 MB = {4 * size + 60:.0f} MB",
            reached=_shown(ours, memory=True),
        ),
    ]


def _time(one: Process | str) -> Sample | str:
    return one if isinstance(one, str) else one.time


def _memory(one: Process | str) -> Sample | str:
    return one if isinstance(one, str) else one.memory


def _shown(one: Process | str, memory: bool = False) -> str:
    if isinstance(one, str):
        return ""
    return f"{one.memory.median:.0f} MB" if memory else f"{one.time.median:.2f} s"


if __name__ == "__main__":
    show_rows("Fusing, whole process: median (least – most)", rows())
