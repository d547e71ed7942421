"""The lives of symbols, and where each line of a text comes from: as data and as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from meld.diagnostics import MeldError
from meld.journal import Difference, History, Journal, StepRecord, What
from meld.journal.lines import blocks
from meld.support.records import record

IN_FULL = 8
"""Up to how many symbols are shown with their differences."""


# --- steps ---------------------------------------------------------------------------------------------------------


def step_row(step: StepRecord) -> dict[str, Any]:
    """What a step did, as plain data."""
    return {
        "step": step.number,
        "pass": step.label,
        "spec": step.spec,
        "language": step.language,
        "created": step.count(What.CREATED),
        "changed": step.count(What.CHANGED),
        "removed": step.count(What.REMOVED),
        "rewrites": sum(done for _, _, done in step.rewrites),
        "seconds": step.seconds,
        "peak": step.peak,
        "facts": step.facts,
        "symbols": step.counts,
        "code": sum(size.code for size in step.sizes),
        "data": sum(size.data for size in step.sizes),
        "stats": step.stats,
        "remarks": step.remarks,
    }


def steps_text(journal: Journal) -> Iterator[str]:
    """A table of the steps."""
    rows = [("step", "pass", "created", "changed", "removed", "rewrites", "time", "code", "data")]
    for row in map(step_row, journal.steps):
        counts = [str(row[key] or "") for key in ("created", "changed", "removed", "rewrites")]
        time = f"{row['seconds'] * 1000:,.1f} ms" if row["step"] else ""
        code, data = (f"{row[key]:,} B" if row[key] else "" for key in ("code", "data"))
        rows.append((str(row["step"]), row["spec"] or row["pass"], *counts, time, code, data))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        shown = (f"{c:<{w}}" if i == 1 else f"{c:>{w}}" for i, (c, w) in enumerate(zip(cells, widths, strict=True)))
        yield "  ".join(shown).rstrip()
    if journal.status != "done":
        yield f"the run failed: {journal.message}"


# --- one symbol ----------------------------------------------------------------------------------------------------


def life_row(journal: Journal, symbol: int) -> dict[str, Any]:
    """The life of a symbol, as plain data."""
    one = journal.symbols[symbol]
    events = [
        {
            "step": step.number,
            "pass": step.label,
            "what": change.what.value,
            "diff": _difference(journal, symbol, step.number).lines() if change.what is What.CHANGED else None,
        }
        for step, change in journal.history(symbol)
    ]
    last = len(journal.steps) - 1
    return {
        "kind": one.kind,
        "name": one.name,
        "owner": one.owner,
        "origin": one.origin,
        "synthetic": one.synthetic,
        "imported": one.imported,
        "alive": journal.alive(symbol, last),
        "events": events,
        "rewrites": [
            {"step": s.number, "pass": s.label, "rewrite": w, "done": d} for s, w, d in rewrites(journal, symbol)
        ],
    }


def rewrites(journal: Journal, symbol: int) -> Iterator[tuple[StepRecord, str, bool]]:
    """The rewrites of passes on a symbol: step, kind, whether it was done."""
    name = journal.symbols[symbol].name
    for step in journal.steps:
        for what, item, done in step.rewrites:
            if item == name:
                yield step, what, done


def _difference(journal: Journal, symbol: int, number: int) -> Difference:
    texts = journal.text(symbol, number - 1), journal.text(symbol, number)
    return Difference(journal.symbols[symbol], What.CHANGED, *texts)


def lives(journal: Journal, symbols: Sequence[int]) -> Iterator[str]:
    """The lives of symbols: in full if they are few, else a line each."""
    if len(symbols) > IN_FULL:
        for symbol in symbols:
            events = ", ".join(f"{change.what.value} by {step.label}" for step, change in journal.history(symbol))
            yield f"{journal.symbols[symbol]}: {events}"
        yield f"{len(symbols)} symbols; up to {IN_FULL} are shown with what changed"
        return
    for position, symbol in enumerate(symbols):
        if position:
            yield ""
        yield from life(journal, symbol)


def life(journal: Journal, symbol: int) -> Iterator[str]:
    """The life of a symbol, with what each step changed."""
    one = journal.symbols[symbol]
    yield f"{one}{_descent(one.origin, one.synthetic, one.imported)}"
    asked = list(rewrites(journal, symbol))
    events = {step.number: (step, change) for step, change in journal.history(symbol)}
    for number in sorted({*events, *(step.number for step, _, _ in asked)}):
        step = journal.steps[number]
        for _, what, done in (r for r in asked if r[0].number == number):
            yield f"  {number:2} {step.label}: rewrite `{what}`" + ("" if done else " was refused")
        if number not in events:
            continue
        change = events[number][1]
        yield f"  {number:2} {step.label}: {change.what.value}"
        if change.what is What.CHANGED:
            yield from ("     " + line for line in _difference(journal, symbol, number).lines()[2:])
    last = journal.steps[-1]
    if journal.alive(symbol, last.number):
        text = journal.text(symbol, last.number)
        shown = "its text was not kept" if text is None else f"{len(text.splitlines())} lines"
        yield f"  in the program after {last.label}: {shown}"


def _descent(origin: str | None, synthetic: str | None, imported: str | None) -> str:
    found = []
    if imported:
        found.append(f"an import, {imported}")
    if origin:
        found.append(f"from {origin}")
    if synthetic:
        found.append(f"made by the compiler: {synthetic}")
    return f" ({'; '.join(found)})" if found else ""


# --- one line ------------------------------------------------------------------------------------------------------


@record()
class Line:
    """A line of a text, and how it came about.

    Attributes:
        text: the line.
        past: each step that wrote it, with what stood there before (None if nothing did), the first one first.
    """

    text: str
    past: list[tuple[StepRecord, str | None]]

    @property
    def step(self) -> StepRecord:
        """The step that wrote it as it is."""
        return self.past[-1][0]


def blame(journal: Journal, symbol: int, number: int) -> list[Line]:
    """The lines of a symbol's text after a step, each with the steps that wrote it.

    A line that a step replaced by another one is followed in that one if both stretches have as many lines.

    Raises:
        MeldError: the symbol is not there then, or its text was not kept.
    """
    history = [(step, change) for step, change in journal.history(symbol) if step.number <= number]
    one = journal.symbols[symbol]
    if not journal.alive(symbol, number):
        after = f"after step {number}, {journal.steps[number].label}"
        events = journal.history(symbol)
        hint = ", ".join(f"{change.what.value} by {step.label}" for step, change in events) or None
        raise MeldError(f"`{one.name}` is not in the program {after}", hint=hint)
    lines: list[Line] = []
    for step, _ in _last_life(history):
        text = journal.text(symbol, step.number)
        if text is None:
            raise MeldError(
                f"the text of `{one.name}` was not kept: it is as it was read",
                hint=f"no pass has changed it since `{step.label}`",
            )
        lines = _next(lines, text.splitlines(), step)
    return lines


def _last_life(history: History) -> History:
    """From the last time that the symbol was created."""
    starts = [i for i, (_, change) in enumerate(history) if change.what is What.CREATED]
    return history[starts[-1] if starts else 0 :]


def _next(lines: list[Line], text: list[str], step: StepRecord) -> list[Line]:
    found: list[Line] = []
    for same, a1, a2, b1, b2 in blocks([line.text for line in lines], text):
        if same:
            found += lines[a1:a2]
            continue
        paired = a2 - a1 == b2 - b1
        for i, new in enumerate(text[b1:b2]):
            old = lines[a1 + i] if paired else None
            found.append(Line(new, [*(old.past if old else ()), (step, old.text if old else None)]))
    return found


def first_instruction(lines: Sequence[Line]) -> int:
    """The line of instruction 0: behind the head of the function and the line of its locals."""
    return 2 if len(lines) > 1 and lines[1].text.lstrip().startswith("(local ") else 1


def blamed(lines: Sequence[Line]) -> Iterator[str]:
    """Each line behind the step that wrote it and the number of its instruction."""
    first = first_instruction(lines) if lines and lines[0].text.startswith("(func") and len(lines) > 1 else len(lines)
    width = max((len(line.step.label) for line in lines), default=0)
    digits = len(str(len(lines)))
    for at, line in enumerate(lines):
        number = str(at - first) if first <= at < len(lines) - 1 else ""
        yield f"{line.step.label:<{width}} {number:>{digits}} │ {line.text}"


def instruction(lines: Sequence[Line], number: int, name: str) -> Line:
    """The line of an instruction, by its number from 0. Raises MeldError if there is none."""
    at = first_instruction(lines) + number
    if len(lines) < 2 or not lines[0].text.startswith("(func") or not number >= 0 or at >= len(lines) - 1:
        count = max(0, len(lines) - 1 - first_instruction(lines)) if lines[0].text.startswith("(func") else 0
        raise MeldError(f"`{name}` has no instruction {number}", hint=f"it has {count}, numbered from 0")
    return lines[at]


def origin(line: Line) -> Iterator[str]:
    """How a line came about, a step each."""
    for position, (step, before) in enumerate(line.past):
        after = line.past[position + 1][1] if position + 1 < len(line.past) else line.text
        if before is None:
            yield f"  {step.number:2} {step.label}: {(after or '').strip()}"
        else:
            yield f"  {step.number:2} {step.label}: {(after or '').strip()}  ;; was {before.strip()}"
