"""The recorder: an observer that writes a journal while passes run.

A journal says what each pass did to each part of the program: a function was created, changed, removed, and what its
text was before and after. It is the source of `meldc trace`, `diff`, `report` and the debugger. The difficulty is cost.
A program has tens of thousands of functions, most passes touch a dozen of them, and printing all functions after each
step would take many times as long as compiling.

So the recorder does not compare texts. After each step it compares *fingerprints* (the states of
`meld.observers.state`), values that are cheap to take and have one property: if two of them are equal, the texts are
equal. The reverse need not hold. Where fingerprints differ, both texts are printed and compared, and only then is there
a change in the journal.

The fingerprint of a body that no pass has decoded is what it was read from (a function of a code section) and the
meaning of its scope: the objects that its indices stand for. A pass that replaces an item everywhere changes the scope,
not the body, so the body counts as changed only if it names an entry of the scope that means something else now. That
makes a step cost time for each function, not for each instruction. Functions and data segments that stand one behind
the other are compared in runs of a thousand.

Parts are recognized by identity: the same object is the same part, whatever its name or place. Exports, custom sections
and most notes have no identity, and are recognized by their text. An item that is new takes over the history of one
that is gone if it has its kind and name, since a pass may build a program anew. Each part becomes a *symbol* with a
name of its own for the whole run.

A text is kept where it would be lost: that of a function whose body some pass has decoded or generated. Others can be
printed from their fingerprint when somebody asks. Small programs keep all texts.
"""

from __future__ import annotations

import gc
import hashlib
from collections import Counter
from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from meld.binary.encode import Encoder
from meld.binary.kernel import start
from meld.diagnostics import MeldError
from meld.ir.component import Component
from meld.ir.instructions import Code, LazyBody, Scope
from meld.ir.module import KEYWORD_OF, SPACE_OF, DataSegment, Function, Item, Module
from meld.ir.notes import Note
from meld.journal import Change, Journal, Size, StepRecord, Symbol, What
from meld.journal.graph import graph_of
from meld.observers.state import LazyState, Meaning, Run, SegmentState, runs_of, state_of
from meld.observers.texts import KINDS, DefinitionPrinter, ItemPrinter, StableNames, definition_name
from meld.passes.base import Program
from meld.passmanager import Observer, Plan, Ran, Step
from meld.support.records import record
from meld.text.literals import quoted
from meld.text.reading.body import TextBody

KEEP_ALL = 256 << 10
"""Bytes of code up to which a journal keeps all texts, and not only those of functions and data segments that a pass
made or changed."""


@record()
class _Thing:
    """What was seen of a thing; its text is None while only `state` has it."""

    symbol: int
    state: Any
    text: str | None = None


@record()
class Recorder(Observer):
    """An observer that fills `journal`; with `only`, with the symbols for which that holds."""

    journal: Journal = field(default_factory=Journal)
    only: Callable[[Symbol], bool] | None = None
    _names: StableNames = field(default_factory=StableNames)
    _seen: dict[Any, _Thing] = field(default_factory=dict)
    _keep: bool = True
    _runs: dict[Any, Run] = field(default_factory=dict)
    _meanings: dict[int, Meaning] = field(default_factory=dict)
    _next: dict[int, Meaning] = field(default_factory=dict)
    _encoder: Encoder | None = None
    _judged: dict[Any, Symbol] = field(default_factory=dict)

    @classmethod
    def of_files(cls, command: Sequence[str], inputs: Sequence[str]) -> Recorder:
        """A recorder of a run on files. Files that cannot be read are left out; whoever loads them will complain."""
        from meld.version import __version__

        journal = Journal(version=__version__, command=list(command))
        for name in inputs:
            with suppress(OSError):
                data = Path(name).read_bytes()
                journal.inputs.append((Path(name).name, len(data), hashlib.sha256(data).hexdigest()))
        return cls(journal)

    def planned(self, plan: Plan) -> None:
        self.journal.plan = [step.label for step in plan.steps]

    def before(self, number: int, step: Step, program: Program) -> None:
        if not self.journal.steps:
            self._record(StepRecord(0, "input"), program)

    def after(self, ran: Ran, program: Program) -> None:
        cx = ran.context
        record = StepRecord(ran.number, ran.step.label, ran.step.instance.spec(), seconds=round(ran.seconds, 6))
        record.stats = {str(name): count for name, count in cx.stats.items()}
        record.remarks = [remark.message for remark in cx.remarks]
        self._record(record, program)
        record.rewrites = [(r.what, self._named(r.item), r.done) for r in cx.rewrites]
        if isinstance(program, Module):
            from meld.views.explain import rows

            self.journal.decisions = [
                (row.kind, row.subject, row.parties, row.decision, row.reason) for row in rows(program)
            ]

    def failed(self, number: int, step: Step, program: Program, error: MeldError) -> None:
        self.journal.status, self.journal.message = "failed", str(error)

    def _named(self, item: Item | Note | None) -> str | None:
        if item is None:
            return None
        return self._names.name("note" if isinstance(item, Note) else _space(item), item)

    def _record(self, record: StepRecord, program: Program) -> None:
        record.language = type(program).__name__.lower()
        record.facts = list(program.facts)
        record.peak = peak_memory()
        collects = gc.isenabled()
        gc.disable()  # what is made here stays, and there is much of it
        try:
            record.changes = self._compare(program)
        finally:
            if collects:
                gc.enable()
        if record.changes or not self.journal.steps:
            kinds = Counter(self.journal.symbols[thing.symbol].kind for thing in self._seen.values())
            record.counts = dict(sorted(kinds.items()))
            record.sizes = self._sizes()
        else:
            last = self.journal.steps[-1]
            record.counts, record.sizes = dict(last.counts), [replace(size) for size in last.sizes]
        if any(self._linked(self.journal.symbols[change.symbol]) for change in record.changes):
            graph = graph_of(program)
            record.graph = graph if graph != self.journal.graph(record.number) else None
        self.journal.steps.append(record)

    @staticmethod
    def _linked(symbol: Symbol) -> bool:
        """Whether a change of the symbol may be one of the graph."""
        return symbol.imported is not None or symbol.kind in ("definition", "memory", "note")

    def _sizes(self) -> list[Size]:
        found: dict[tuple[str | None, str | None], Size] = {}
        for thing in self._seen.values():
            symbol = self.journal.symbols[thing.symbol]
            if symbol.kind not in ("func", "data") or symbol.imported is not None:
                continue
            key = symbol.owner, symbol.synthetic
            size = found.get(key)
            if size is None:
                size = found[key] = Size(*key)
            if symbol.kind == "func":
                size.functions += 1
                size.code += symbol.size
            else:
                size.data += symbol.size
        return list(found.values())

    # --- comparing ---

    def _compare(self, program: Program) -> list[Change]:
        if isinstance(program, Module):
            self._keep = _code_size(program) <= KEEP_ALL
            if not self._keep:
                start()  # from now on the kernel pays for smaller modules too
        seen, self._next = self._seen, {}
        parts = parts_of(program, self._names, seen)
        here = {key for key, _ in parts}
        if not seen.keys() <= here:
            self._adopt([key for key, _ in parts], seen)
        gone = [key for key in seen if key not in here]
        changes = [Change(old.symbol, What.REMOVED, self._blob(old.text), None) for old in map(seen.pop, gone)]
        if self.only is not None:
            parts = [(key, thing) for key, thing in parts if key in seen or self._wanted(key, thing)]
        unchanged = self._unchanged(program)
        show = ItemPrinter(self._names)
        texts = {} if isinstance(program, Module) else DefinitionPrinter().texts(program)
        for key, thing in parts:
            if key in unchanged:
                continue
            old = seen.get(key)
            state: Any = None
            if isinstance(thing, Function) and thing.body is not None and not isinstance(thing.body, Code):
                meant = self._meaning(thing.body.scope)
                if old is not None and isinstance(old.state, LazyState) and old.state.is_of(thing, meant):
                    continue
                state = LazyState.of(thing, self._names, meant)
            elif isinstance(thing, DataSegment) and not self._keep:
                state = SegmentState.of(thing) or state_of(thing)
            else:
                state = state_of(thing)
            if old is not None and state is not None and _same(old.state, state):
                old.state = state
                continue
            new = _Thing(self._symbol(key, thing) if old is None else old.symbol, state)
            if self._keep or not isinstance(state, LazyState | SegmentState) or thing.synthetic is not None:
                new.text = texts[thing] if texts else text_of(key, thing, show)
            self._measure(self.journal.symbols[new.symbol], thing)
            seen[key] = new
            if old is None:
                changes.append(Change(new.symbol, What.CREATED, None, self._blob(new.text)))
                continue
            was, now = (self._print(key, t, show) for t in (old, new))
            if was != now:
                changes.append(Change(new.symbol, What.CHANGED, self._blob(was), self._blob(now)))
        self._meanings = self._next
        return changes

    def _unchanged(self, program: Program) -> set[Any]:
        """What is as it was for sure, found for many functions and data segments at once."""
        runs = [] if not isinstance(program, Module) else runs_of(program, self._meaning)
        known, self._runs = self._runs, {run.items[0]: run for run in runs}
        found: set[Any] = set()
        for first, run in self._runs.items():
            if first in known and run.same(known[first]):
                found.update(run.items)
        return found

    def _print(self, key: Any, thing: _Thing, show: ItemPrinter) -> str:
        """The text of a thing as it was when it was seen."""
        if thing.text is not None:
            return thing.text
        shown = thing.state.shown()
        self._names.same(shown, key)
        try:
            return text_of(None, shown, show)
        finally:
            self._names.forget(shown)

    def _meaning(self, scope: Scope) -> Meaning:
        """What a scope means now; one object as long as that is the same."""
        found = self._next.get(id(scope))
        if found is None:
            found = self._meanings.get(id(scope))
            if found is None or found.changed(scope):
                found = Meaning(scope, self._names)
            self._next[id(scope)] = found
        return found

    def _measure(self, symbol: Symbol, thing: Any) -> None:
        """Whose a thing is now, and how large."""
        if isinstance(thing, Item):
            symbol.owner = thing.owner.name if thing.owner is not None else None
            symbol.synthetic = thing.synthetic
        match thing:
            case Function():
                symbol.size = 0 if thing.body is None else self._size(thing.body, thing.synthetic is not None)
            case DataSegment():
                symbol.size = len(thing.data)

    def _size(self, body: Code | LazyBody, made: bool) -> int:
        if not isinstance(body, Code) and not (isinstance(body, TextBody) and (made or self._keep)):
            return body.size
        if self._encoder is None:
            self._encoder = Encoder(self._names.numbering)
        try:
            return len(self._encoder.body(body if isinstance(body, Code) else body.decode()))
        except MeldError:  # what names something that is not there has no size yet
            return 0

    def _adopt(self, keys: list[Any], before: dict[Any, _Thing]) -> None:
        """A new object of the name and kind of one that is gone is the same thing: a pass may build a program anew."""
        here = set(keys)
        gone = [key for key in before if key not in here and isinstance(key, Item) and key.name]
        if not gone:
            return
        fresh: dict[Any, list[Item]] = {}
        for key in keys:
            if isinstance(key, Item) and key not in before and key not in self._judged and key.name:
                fresh.setdefault((type(key), key.name, key.synthetic), []).append(key)
        for key in gone:
            same = fresh.get((type(key), key.name, key.synthetic), ())
            if len(same) == 1:
                before[same[0]] = before.pop(key)
                self._names.same(same[0], key)
                fresh.pop((type(key), key.name, key.synthetic))

    def _wanted(self, key: Any, thing: Any) -> bool:
        assert self.only is not None
        if key not in self._judged:
            self._judged[key] = symbol_of(key, thing, self._names)
        return self.only(self._judged[key])

    def _symbol(self, key: Any, thing: Any) -> int:
        self.journal.symbols.append(self._judged.get(key) or symbol_of(key, thing, self._names))
        return len(self.journal.symbols) - 1

    def _blob(self, text: str | None) -> str | None:
        if text is None:
            return None
        digest = hashlib.sha256(text.encode()).hexdigest()[:24]
        self.journal.blobs[digest] = text
        return digest


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, LazyState):
        return isinstance(new, LazyState) and old.same(new)
    return bool(old == new)


def parts_of(program: Program, names: StableNames, known: Container[Any] = ()) -> list[tuple[Any, Any]]:
    """(fingerprint, part) for every part of a program. Each part has a name afterwards."""
    seen: Counter[Any] = Counter()

    def numbered(kind: str, text: str) -> tuple[str, str]:
        """A key for what has no identity; equal ones are told apart by their order."""
        seen[kind, text] += 1
        return (kind, text) if seen[kind, text] == 1 else (kind, f"{text}#{seen[kind, text]}")

    if isinstance(program, Component):
        return [(item, item) for item in program.definitions]
    items = [*program.items(), *program.elements, *program.datas]
    for item in [item for item in items if item not in known]:
        names.name(_space(item), item)
    found: list[tuple[Any, Any]] = list(zip(items, items, strict=True))
    found += [(numbered("export", export.name), export) for export in program.exports]
    if program.start is not None:
        found.append((("start", "start"), program.start))
    for note in program.notes:
        text = names.note(note)
        found.append((note if note.declares else numbered("note", text), note))
    found += [(numbered("custom", section.name), section) for section in program.customs]
    return found


def symbol_of(key: Any, thing: Any, names: StableNames) -> Symbol:
    """The symbol that a thing is to have; it takes a name for it."""
    if isinstance(thing, Item):
        kind = KEYWORD_OF.get(type(thing)) or KINDS[_space(thing)]
        symbol = Symbol(kind, names.name(_space(thing), thing), synthetic=thing.synthetic)
        if thing.owner is not None and thing.origin is not None:
            index, core = thing.origin
            symbol.origin = f"{thing.owner.name} {index}" + (f" (module {core})" if core else "")
        if thing.imported is not None:
            symbol.imported = str(thing.imported)
        return symbol
    if isinstance(thing, Note):
        return Symbol("note", names.name("note", thing))
    kind, wish = key if isinstance(key, tuple) else ("definition", definition_name(thing))
    return Symbol(kind, names.give(kind, wish))


def text_of(key: Any, thing: Any, show: ItemPrinter) -> str:
    """The text of a thing; a comment that says why if it has none."""
    kind = key[0] if isinstance(key, tuple) else None
    if isinstance(thing, Note):
        return show.names.note(thing)
    try:
        match kind:
            case None if thing.imported is not None:
                return show.import_(thing)
            case None:
                return "\n".join(show.item(thing))
            case "export":
                return show.export(thing)
            case "start":
                return f"(start {show.names.ref('functions', thing)})"
            case _:
                return show.custom(thing)
    except MeldError as e:  # a journal is kept of broken programs too
        return f";; {quoted(e.message)}"


def _space(item: Any) -> str:
    found = SPACE_OF.get(type(item))
    if found is None:
        found = "elements" if hasattr(item, "functions") else "datas"
    return found


def _code_size(module: Module) -> int:
    size = 0
    for function in module.functions:
        body = function.body
        size += 4 * len(body.instructions) if isinstance(body, Code) else 0 if body is None else body.size
        if size > KEEP_ALL:
            break
    return size


def peak_memory() -> int:
    """The most memory that the process has used, in bytes; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0
    import sys

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024
