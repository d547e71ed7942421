"""What a journal costs: whole processes without one, with one, and with a dump after every pass.

Times are of the processor, not of the clock: the work is the same however busy the machine is.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from measure import BIN, FIXTURES, LARGE, NO_INPUT, ROOT, Row, Sample, ratio, show

PROGRAMS = {
    "stream example": [ROOT / "examples/stream/producer.wat", ROOT / "examples/stream/consumer.wat"],
    "greet, C and QuickJS": [FIXTURES / "greet/cons.wasm", FIXTURES / "greet/qjsprov.wasm"],
    "JavaScript and JavaScript": [LARGE / "js-consumer.wasm", LARGE / "js-provider.wasm"],
    "Python and Python": [LARGE / "py-consumer.wasm", LARGE / "py-provider.wasm"],
}
TIMES = 5


@dataclass(frozen=True)
class Cost:
    """What a run takes: processor time, resident memory at most, and bytes written besides the product."""

    time: Sample
    memory: Sample
    written: int


def cost(inputs: list[Path], watch: list[str], directory: Path, times: int = TIMES) -> Cost:
    """Measures compiling with some options; the files that they name go to the directory."""
    seconds, memory = [], []
    for _ in range(times):
        words = [str(BIN / "meldc"), *map(str, inputs), "-q", "-o", "out.wasm", *watch]
        child = subprocess.Popen(words, cwd=directory)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"{' '.join(words)} failed")
        seconds.append(usage.ru_utime + usage.ru_stime)
        memory.append(usage.ru_maxrss * 1024 / 1e6)
    files = [path for path in directory.rglob("*") if path.is_file() and path.name != "out.wasm"]
    return Cost(Sample(tuple(seconds)), Sample(tuple(memory), unit="MB"), sum(path.stat().st_size for path in files))


WATCHES = (["--journal=run.json"], ["--dump-after=all", "--dump-dir=dumps"])


def measured(*, large_dumps: bool) -> Iterator[tuple[str, int, list[Cost] | None]]:
    """Per program: name, bytes of the inputs, and the cost without a journal, with one, and with all dumps.

    Args:
        large_dumps: whether the large programs are dumped too, which takes minutes.
    """
    for name, inputs in PROGRAMS.items():
        if not all(path.exists() for path in inputs):
            yield name, 0, None
            continue
        large = inputs[0].parent == LARGE
        found = []
        for watch in ([], *WATCHES[: 2 if large_dumps or not large else 1]):
            with tempfile.TemporaryDirectory() as directory:
                once = watch is WATCHES[1] and sum(path.stat().st_size for path in inputs) > 1 << 20
                found.append(cost(inputs, list(watch), Path(directory), 1 if once else TIMES))
        yield name, sum(path.stat().st_size for path in inputs), found


def rows() -> list[Row]:
    """Compiling with a journal, and with all dumps; the floor is compiling without."""
    found = []
    for name, _, costs in measured(large_dumps=False):
        if costs is None:
            found.append(Row(f"journal: {name}", NO_INPUT))
            continue
        plain, *watched = costs
        for what, one in zip(("journal", "dumps after all passes"), watched, strict=False):
            work = f"{what}: {name}, {one.written / 1e6:,.2f} MB"
            reached = f"{ratio(one.time, plain.time)} ×"
            found.append(Row(work, one.time, floor=plain.time, target="< 1.5 ×" * (what == "journal"), reached=reached))
    return found


def main() -> None:
    """Prints the table."""
    lines = []
    for name, size, costs in measured(large_dumps=True):
        if costs is None:
            lines.append((name, NO_INPUT, "", "", ""))
            continue
        shown = [f"{c.time.shown()}\n{c.memory.shown()}\n{c.written / 1e6:,.2f} MB written" for c in costs]
        lines.append((name, f"{size / 1e6:,.1f} MB", *shown))
    headings = ("program", "input", "meldc", "with a journal", "with --dump-after=all")
    show("A journal, whole process: processor time, memory, bytes; median (least – most)", headings, lines)


if __name__ == "__main__":
    main()
