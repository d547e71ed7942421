"""The journal of a run: what each step did, to which functions, imports, memories, exports and annotations.

Everything that looks back on a run (dumps of changes, traces, differences, reports, bisection, the debugger) is a
view of this. A journal knows the things of a program by *symbols*, each with a name of its own for the whole run, and
keeps texts by their hash, so what does not change costs nothing.

    journal = Journal.load(path)
    for step, change in journal.history(journal.find("producer/p_write")[0]):
        print(step.label, change.what.value)
        print(journal.blob(change.after))

Step 0 is the input. As a file it is JSON: `meld.journal.file`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias

from meld.diagnostics import MeldError
from meld.journal.graph import Graph
from meld.support.records import record


class What(Enum):
    """What a step did to a symbol."""

    CREATED = "created"
    CHANGED = "changed"
    REMOVED = "removed"


@record()
class Symbol:
    """Something that lives in the program for a while.

    Attributes:
        kind: ``func``, ``table``, ``memory``, ``global``, ``tag``, ``elem``, ``data``, ``export``, ``start``, ``note``,
            ``custom``; in a composition ``definition``.
        name: how texts of the journal call it; unique among symbols of its kind.
        origin: where it came from: ``producer 4`` is index 4 of its kind in the core module of the instance `producer`;
            ``producer 4 (module 1)`` in the second one of it.
        synthetic: what kind of thing it is, if the compiler made it.
        imported: ``"module" "field"`` if it is an import.
        owner: the component instance it belongs to.
        size: of a function's code or a segment's data when it was last seen, in bytes (`StepRecord.sizes`).
    """

    kind: str
    name: str
    origin: str | None = None
    synthetic: str | None = None
    imported: str | None = None
    owner: str | None = None
    size: int = 0

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@record()
class Change:
    """What a step did to a symbol (its number). `before` and `after` are hashes of texts.

    A text that was not kept is None too: in a large program, that of a function or data segment as it was read.
    """

    symbol: int
    what: What
    before: str | None = None
    after: str | None = None


@record()
class Size:
    """What a part of a program takes: `code` and `data` in bytes.

    Code that is still as it was read counts as it was read; code of a pass, or from a text, counts encoded, as if
    each index were 0 (of a program with more code than `meld.observers.recorder.KEEP_ALL` text counts in characters).

    Attributes:
        owner: the component instance; None if it has none.
        made: the kind of generated code; None for what came from the inputs.
    """

    owner: str | None
    made: str | None
    functions: int = 0
    code: int = 0
    data: int = 0


@record()
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
        rewrites: those of the pass: kind, name of the item or None, whether it was done.
        counts: how many symbols of each kind there are after it.
        sizes: what the parts of the program take after it.
        graph: who is linked to whom after it; None if as before.
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
    sizes: list[Size] = field(default_factory=list)
    graph: Graph | None = None
    changes: list[Change] = field(default_factory=list)

    def count(self, what: What) -> int:
        """How many symbols were created, changed or removed."""
        return sum(1 for change in self.changes if change.what is what)


History: TypeAlias = list[tuple[StepRecord, Change]]


@record()
class Difference:
    """How a symbol differs between two points of a run; a text is None where it is not there or none was kept."""

    symbol: Symbol
    what: What
    before: str | None
    after: str | None

    def lines(self, context: int = 3) -> list[str]:
        """A unified diff of the texts, without newlines; empty if there is no text on either side."""
        from meld.journal.lines import unified

        before, after = (text.splitlines() if text else [] for text in (self.before, self.after))
        return unified(before, after, str(self.symbol), context)


@record()
class Journal:
    """A run.

    Attributes:
        version: of meldc.
        command: the run, as command line arguments.
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
    _histories: tuple[int, dict[int, History]] = field(default_factory=lambda: (0, {}), repr=False, compare=False)

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
            import difflib

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
        return find(self.symbols, pattern, "in the journal")

    def graph(self, number: int) -> Graph | None:
        """Who is linked to whom after step `number`."""
        return next((step.graph for step in reversed(self.steps[: number + 1]) if step.graph is not None), None)

    def history(self, symbol: int) -> History:
        """What happened to a symbol, in order."""
        if self._histories[0] != len(self.steps):
            found: dict[int, History] = {}
            for step in self.steps:
                for change in step.changes:
                    found.setdefault(change.symbol, []).append((step, change))
            self._histories = len(self.steps), found
        return self._histories[1].get(symbol, [])

    def alive(self, symbol: int, number: int) -> bool:
        """Whether the symbol is in the program after step `number`."""
        past = [change for step, change in self.history(symbol) if step.number <= number]
        return bool(past) and past[-1].what is not What.REMOVED

    def text(self, symbol: int, number: int) -> str | None:
        """The text of a symbol after step `number`; None if it is not there, or its text was not kept."""
        if not self.alive(symbol, number):
            return None
        past = [change for step, change in self.history(symbol) if step.number <= number]
        if past[-1].after is not None:
            return self.blob(past[-1].after)
        return next((self.blob(c.before) for step, c in self.history(symbol) if step.number > number), None)

    def between(self, first: int, last: int) -> Iterator[Difference]:
        """What differs between the programs after steps `first` and `last`, in the order of the symbols."""
        low, high = sorted((first, last))
        touched = {c.symbol for step in self.steps if low < step.number <= high for c in step.changes}
        for symbol in sorted(touched):
            there = [self.alive(symbol, number) for number in (first, last)]
            texts = [self.text(symbol, number) for number in (first, last)]
            if not any(there) or (all(there) and texts[0] == texts[1]):
                continue
            what = What.CHANGED if all(there) else What.CREATED if there[1] else What.REMOVED
            yield Difference(self.symbols[symbol], what, *texts)

    # --- as a file ---

    def save(self, path: str | Path) -> None:
        """Writes the file whole or not at all. Raises MeldError."""
        from meld.files import write_file
        from meld.journal.file import to_json

        write_file(Path(path), to_json(self).encode())

    @classmethod
    def load(cls, path: str | Path) -> Journal:
        """Reads a journal. MeldError if the file is none, is broken, or is of another version."""
        from meld.journal.file import read

        return read(path)


def find(symbols: Sequence[Symbol], pattern: str, where: str) -> list[int]:
    """`Journal.find` among any symbols; the error says that they are not `where` they were looked for."""
    kind, colon, name = pattern.partition(":")
    if not (colon and any(s.kind == kind for s in symbols)):
        kind, name = "", pattern
    name = name.removeprefix("$")
    of_kind = [(i, s) for i, s in enumerate(symbols) if not kind or s.kind == kind]
    exact = [i for i, s in of_kind if s.name == name]
    found = exact or [i for i, s in of_kind if fnmatchcase(s.name, name)]
    if not found:
        import difflib

        near = difflib.get_close_matches(name, [s.name for _, s in of_kind], 3, 0.5)
        hint = "did you mean " + " or ".join(f"`{n}`" for n in dict.fromkeys(near)) + "?" if near else None
        raise MeldError(f"no symbol `{pattern}` {where}", hint=hint)
    return found
