"""The journal of a run: what each step did, to which functions, imports, memories, exports and annotations.

Everything that looks back on a run (dumps of changes, traces, differences, reports, bisection, the debugger) is a
view of this. A journal knows the things of a program by *symbols*, each with a name of its own for the whole run, and
keeps texts by their hash, so what does not change costs nothing.

    journal = Journal.load(path)
    for step, change in journal.history(journal.find("producer/p_write")[0]):
        print(step.label, change.what.value)
        print(journal.blob(change.after))

As a file it is JSON: the fields below, with enums as their values. Step 0 is the input.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from meld.diagnostics import MeldError

FORMAT = 1
"""Version of the file format; a reader refuses others."""


class What(Enum):
    """What a step did to a symbol."""

    CREATED = "created"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(slots=True)
class Symbol:
    """Something that lives in the program for a while.

    Attributes:
        kind: ``func``, ``table``, ``memory``, ``global``, ``tag``, ``elem``, ``data``, ``export``, ``start``, ``note``,
            ``custom``; in a composition ``definition``.
        name: how texts of the journal call it; unique among symbols of its kind.
        origin: where it came from: ``producer 4`` is index 4 of its kind in a core module of the instance `producer`.
        synthetic: what kind of thing it is, if the compiler made it.
        imported: ``"module" "field"`` if it is an import.
    """

    kind: str
    name: str
    origin: str | None = None
    synthetic: str | None = None
    imported: str | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(slots=True)
class Change:
    """What a step did to a symbol (its number). `before` and `after` are hashes of texts.

    A text that was not kept is None too: in a large program, that of a function as it was read from a binary.
    """

    symbol: int
    what: What
    before: str | None = None
    after: str | None = None


@dataclass(slots=True)
class StepRecord:
    """One step.

    Attributes:
        label: of the step: ``finish``, ``finish#2``; ``input`` for step 0.
        spec: the pass with its options, as a pipeline names it.
        language: what it left: ``component`` or ``module``.
        facts: those that hold after it.
        seconds: how long the pass took.
        peak: the most memory that the process had used by then, in bytes; 0 where the system does not tell.
        stats, remarks: what the pass said.
        rewrites: each that the pass asked for: kind, name of the item or None, whether it was done.
        counts: how many symbols of each kind there are after it.
    """

    number: int
    label: str
    spec: str = ""
    language: str = "module"
    facts: list[str] = field(default_factory=list)
    seconds: float = 0.0
    peak: int = 0
    stats: dict[str, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    rewrites: list[tuple[str, str | None, bool]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)

    def count(self, what: What) -> int:
        """How many symbols were created, changed or removed."""
        return sum(1 for change in self.changes if change.what is what)


@dataclass(slots=True)
class Difference:
    """How a symbol differs between two points of a run; a text is None where it is not there or none was kept."""

    symbol: Symbol
    what: What
    before: str | None
    after: str | None

    def lines(self, context: int = 3) -> list[str]:
        """A unified diff of the texts, without newlines; empty if there is no text on either side."""
        name = str(self.symbol)
        before, after = (text.splitlines() if text else [] for text in (self.before, self.after))
        return list(difflib.unified_diff(before, after, name, name, n=context, lineterm=""))


@dataclass(slots=True)
class Journal:
    """A run.

    Attributes:
        version: of meldc.
        command: what was asked for, as command line arguments.
        inputs: name, size in bytes and SHA-256 of each input file.
        plan: the labels of all steps that were to run.
        status: ``done``, or ``failed`` with the `message`; the step that failed is the one after the last record.
        decisions: on streams and boundaries, as `--explain` shows them: kind, subject, parties, decision, reason.
    """

    version: str = ""
    command: list[str] = field(default_factory=list)
    inputs: list[tuple[str, int, str]] = field(default_factory=list)
    plan: list[str] = field(default_factory=list)
    status: str = "done"
    message: str = ""
    symbols: list[Symbol] = field(default_factory=list)
    steps: list[StepRecord] = field(default_factory=list)
    blobs: dict[str, str] = field(default_factory=dict)
    decisions: list[tuple[str, str, str, str, str]] = field(default_factory=list)

    # --- looking back ---

    def blob(self, key: str | None) -> str | None:
        """The text with that hash."""
        return None if key is None else self.blobs[key]

    def step(self, wanted: str | int) -> StepRecord:
        """The step with that number or label (a bare name: its last occurrence).

        Raises:
            MeldError: there is none, with what was probably meant.
        """
        if isinstance(wanted, int) or wanted.isdigit():
            number = int(wanted)
            if number < len(self.steps):
                return self.steps[number]
            raise MeldError(f"no step {number} in the journal", hint=f"it has steps 0 to {len(self.steps) - 1}")
        found = [s for s in self.steps if wanted in (s.label, s.label.partition("#")[0])]
        found = [s for s in found if s.label == wanted] or found
        if wanted.endswith("#1"):
            found = [s for s in self.steps if s.label == wanted[:-2]]
        if not found:
            labels = [s.label for s in self.steps]
            near = difflib.get_close_matches(wanted, labels, 1)
            hint = f"did you mean `{near[0]}`?" if near else "it has: " + ", ".join(labels)
            raise MeldError(f"no step `{wanted}` in the journal", hint=hint)
        return found[-1]

    def find(self, pattern: str) -> list[int]:
        """The numbers of the symbols with that name (``$`` in front is skipped), or that match a pattern with ``*``.

        ``func:NAME`` and so on mean that kind only.

        Raises:
            MeldError: there is none, with what was probably meant.
        """
        kind, colon, name = pattern.partition(":")
        if not (colon and any(s.kind == kind for s in self.symbols)):
            kind, name = "", pattern
        name = name.removeprefix("$")
        of_kind = [(i, s) for i, s in enumerate(self.symbols) if not kind or s.kind == kind]
        exact = [i for i, s in of_kind if s.name == name]
        found = exact or [i for i, s in of_kind if fnmatchcase(s.name, name)]
        if not found:
            near = difflib.get_close_matches(name, [s.name for _, s in of_kind], 3, 0.5)
            hint = "did you mean " + " or ".join(f"`{n}`" for n in dict.fromkeys(near)) + "?" if near else None
            raise MeldError(f"no symbol `{pattern}` in the journal", hint=hint)
        return found

    def history(self, symbol: int) -> list[tuple[StepRecord, Change]]:
        """What happened to a symbol, in order."""
        return [(step, change) for step in self.steps for change in step.changes if change.symbol == symbol]

    def alive(self, symbol: int, number: int) -> bool:
        """Whether the symbol is in the program after step `number`."""
        past = [change for step, change in self.history(symbol) if step.number <= number]
        return bool(past) and past[-1].what is not What.REMOVED

    def text(self, symbol: int, number: int) -> str | None:
        """The text of a symbol after step `number`; None if it is not there, or its text was not kept."""
        return self._text(self.history(symbol), number)

    def _text(self, history: list[tuple[StepRecord, Change]], number: int) -> str | None:
        past = [change for step, change in history if step.number <= number]
        if not past or past[-1].what is What.REMOVED:
            return None
        if past[-1].after is not None:
            return self.blob(past[-1].after)
        return next((self.blob(c.before) for step, c in history if step.number > number), None)

    def between(self, first: int, last: int) -> Iterator[Difference]:
        """What differs between the programs after steps `first` and `last`, in the order of the symbols."""
        low, high = sorted((first, last))
        touched = {c.symbol for step in self.steps if low < step.number <= high for c in step.changes}
        histories: dict[int, list[tuple[StepRecord, Change]]] = {symbol: [] for symbol in sorted(touched)}
        for step in self.steps:
            for change in step.changes:
                if change.symbol in histories:
                    histories[change.symbol].append((step, change))
        for symbol, history in histories.items():
            there = [self._there(history, number) for number in (first, last)]
            texts = [self._text(history, number) for number in (first, last)]
            if there == [False, False] or (there == [True, True] and texts[0] == texts[1]):
                continue
            what = What.CHANGED if all(there) else What.CREATED if there[1] else What.REMOVED
            yield Difference(self.symbols[symbol], what, *texts)

    @staticmethod
    def _there(history: list[tuple[StepRecord, Change]], number: int) -> bool:
        past = [change for step, change in history if step.number <= number]
        return bool(past) and past[-1].what is not What.REMOVED

    # --- as a file ---

    def to_json(self) -> str:
        """The file's text, one line for each symbol, step and blob."""
        data = {f: getattr(self, f) for f in ("version", "command", "inputs", "plan", "status", "message", "decisions")}
        head = json.dumps({"format": FORMAT, **data}, ensure_ascii=False)[:-1]
        symbols = ",\n".join(json.dumps(_row(s), ensure_ascii=False) for s in self.symbols)
        steps = ",\n".join(json.dumps(_step_row(s), ensure_ascii=False) for s in self.steps)
        blobs = ",\n".join(f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in self.blobs.items())
        return f'{head},\n"symbols": [\n{symbols}],\n"steps": [\n{steps}],\n"blobs": {{\n{blobs}}}}}\n'

    def save(self, path: str | Path) -> None:
        """Writes the file whole or not at all. Raises MeldError."""
        from meld.output import write_file

        write_file(Path(path), self.to_json().encode())

    @classmethod
    def load(cls, path: str | Path) -> Journal:
        """Reads a journal. MeldError if the file is none, or of another version."""
        try:
            data = json.loads(Path(path).read_text())
        except OSError as e:
            raise MeldError(f"cannot read: {e.strerror}", where=str(path)) from e
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict) or "format" not in data:
            raise MeldError("is not a journal", where=str(path), hint="`meldc INPUT… --journal=FILE` writes one")
        if data["format"] != FORMAT:
            raise MeldError(f"a journal of format {data['format']}, not {FORMAT}", where=str(path))
        try:
            return cls._from(data)
        except (TypeError, KeyError, ValueError, AttributeError, IndexError) as e:
            raise MeldError(f"is not a whole journal: {type(e).__name__}: {e}", where=str(path)) from e

    @classmethod
    def _from(cls, data: dict[str, Any]) -> Journal:
        plain = {k: data[k] for k in ("version", "command", "plan", "status", "message", "blobs")}
        return cls(
            **plain,
            inputs=[(name, size, digest) for name, size, digest in data["inputs"]],
            decisions=[(a, b, c, d, e) for a, b, c, d, e in data["decisions"]],
            symbols=[Symbol(**row) for row in data["symbols"]],
            steps=[_step_of(row) for row in data["steps"]],
        )


def _row(symbol: Symbol) -> dict[str, Any]:
    return {k: v for k, v in asdict(symbol).items() if v is not None}


def _step_row(step: StepRecord) -> dict[str, Any]:
    row = {f: getattr(step, f) for f in StepRecord.__slots__ if f != "changes"}
    return {**row, "changes": [[c.symbol, c.what.value, c.before, c.after] for c in step.changes]}


def _step_of(row: dict[str, Any]) -> StepRecord:
    changes = [Change(symbol, What(what), before, after) for symbol, what, before, after in row.pop("changes")]
    rewrites = [(what, name, bool(done)) for what, name, done in row.pop("rewrites")]
    return StepRecord(**row, rewrites=rewrites, changes=changes)
