"""The recorder: an observer that writes a journal while passes run.

A journal says what each pass did to each part of the program: a function was created, changed, removed, and what its
text was before and after. It is the source of `meldc trace`, `diff`, `report` and the debugger. The difficulty is cost.
A program has tens of thousands of functions, most passes touch a dozen of them, and printing all functions after each
step would take many times as long as compiling.

So the recorder does not compare texts. After each step it compares *fingerprints* (`meld.observers.fingerprints`),
values that are cheap to take and have one property: if two of them are equal, the texts are equal. Where fingerprints
differ, both texts are printed and compared, and only then is there a change in the journal. The text before the step is
printed from the fingerprint before it.

The parts of a program, and what they are recognized by after a step, are in `meld.observers.parts`. Each part becomes a
*symbol* with a name of its own for the whole run. An item that is new takes over the history of one that is gone if it
has its kind and name, since a pass may build a program anew.

A text is kept where it would be lost: that of a function whose body some pass has decoded or generated. Others can be
printed from their fingerprint on demand. Small programs keep all texts.

Observers that report changes (dumps, the verifier) are *listeners* of the recorder, which tells them of each step
together with what it recorded of it. So it does not matter where in a list of observers they stand.
"""

from __future__ import annotations

import gc
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field, replace
from os import PathLike
from pathlib import Path
from typing import Any

from meld.binary.bodies import EncodedBody
from meld.binary.encode import Encoder
from meld.binary.kernel import start
from meld.diagnostics import MeldError
from meld.ir.instructions import Code, LazyBody
from meld.ir.module import DataSegment, Function, Item, Module
from meld.ir.notes import Note
from meld.journal import Change, Difference, Journal, Size, StepRecord, Symbol, What
from meld.journal.graph import graph_of
from meld.observers.fingerprints import BodyFingerprint, Fingerprints, SegmentFingerprint, same
from meld.observers.parts import parts_of, space_of, symbol_of, text_of
from meld.observers.texts import DefinitionPrinter, ItemPrinter, StableNames
from meld.passes.base import Program
from meld.passmanager import Observer, Plan, Ran, Step
from meld.support.records import record
from meld.support.terminal import in_utf8

KEEP_ALL = 256 << 10
"""Bytes of code up to which a journal keeps all texts, and not only those of functions and data segments that a pass
made or changed."""


LATER = object()
"""A fingerprint that is made only when the part has changed."""


@record()
class Recorded:
    """What was recorded of one step."""

    journal: Journal
    step: StepRecord

    def differences(self) -> Iterator[Difference]:
        """What the step changed, in the order of the symbols."""
        return self.journal.between(self.step.number - 1, self.step.number)


class Listener(Observer):
    """An observer that a recorder tells of each step, together with what it recorded of it."""

    def recorded(self, ran: Ran, program: Program, recorded: Recorded) -> None:
        """A step has run and left that program; in place of `after`."""


@record()
class _Seen:
    """What was seen of a part; its text is None while only the fingerprint has it.

    The fingerprint is `LATER` as long as `Fingerprints` has what it is made from.
    """

    symbol: int
    fingerprint: Any
    text: str | None = None


@record()
class Recorder(Observer):
    """Fills a journal.

    Attributes:
        only: whether a symbol is recorded; all are if None.
        listeners: who is told of each step after it is recorded.
    """

    journal: Journal = field(default_factory=Journal)
    only: Callable[[Symbol], bool] | None = None
    listeners: list[Listener] = field(default_factory=list)
    _names: StableNames = field(default_factory=StableNames)
    _fingerprints: Fingerprints = field(init=False)
    _seen: dict[Any, _Seen] = field(default_factory=dict)
    _keys: list[Any] = field(default_factory=list)
    _keep: bool = True
    _encoder: Encoder | None = None
    _symbols: dict[Any, Symbol] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)
    _sizes: dict[tuple[str | None, str | None], Size] = field(default_factory=dict)
    _segments: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._fingerprints = Fingerprints(self._names)

    @classmethod
    def of_command(cls, command: Sequence[str]) -> Recorder:
        """A recorder of the run that a command line asks for."""
        from meld.version import __version__

        return cls(Journal(version=__version__, command=[in_utf8(word) for word in command]))

    def loaded(self, path: str | PathLike[str], data: bytes | memoryview) -> None:
        self.journal.inputs.append((in_utf8(Path(path).name), len(data), hashlib.sha256(data).hexdigest()))

    def planned(self, plan: Plan) -> None:
        self.journal.plan = [step.label for step in plan.steps]
        for listener in self.listeners:
            listener.planned(plan)

    def before(self, number: int, step: Step, program: Program) -> None:
        if not self.journal.steps:
            self._record(StepRecord(0, "input"), program)
        for listener in self.listeners:
            listener.before(number, step, program)

    def after(self, ran: Ran, program: Program) -> None:
        recorded = self.record_step(ran, program)
        for listener in self.listeners:
            listener.recorded(ran, program, recorded)

    def failed(self, number: int, step: Step, program: Program, error: MeldError) -> None:
        self.journal.status, self.journal.message = "failed", str(error)
        for listener in self.listeners:
            listener.failed(number, step, program, error)

    def record_step(self, ran: Ran, program: Program) -> Recorded:
        """Records what a step left, without telling the listeners."""
        cx = ran.context
        record = StepRecord(ran.number, ran.step.label, ran.step.instance.spec(), seconds=round(ran.seconds, 6))
        record.stats = {str(name): count for name, count in cx.stats.items()}
        record.remarks = [remark.message for remark in cx.remarks]
        self._record(record, program)
        record.rewrites = [(r.what, self._named(r.item), r.done) for r in cx.rewrites]
        if isinstance(program, Module) and record.changes:
            from meld.views.explain import rows

            self.journal.decisions = [
                (row.kind, row.subject, row.parties, row.decision, row.reason) for row in rows(program)
            ]
        return Recorded(self.journal, record)

    def _named(self, item: Item | Note | None) -> str | None:
        if item is None:
            return None
        return self._names.name("note" if isinstance(item, Note) else space_of(item), item)

    def _record(self, record: StepRecord, program: Program) -> None:
        record.language = type(program).__name__.lower()
        record.facts = list(program.facts)
        record.peak = peak_memory()
        collects = gc.isenabled()
        gc.disable()  # what is made here stays, and there is much of it
        try:
            record.changes = self._changes(program)
        finally:
            if collects:
                gc.enable()
        if record.changes or not self.journal.steps:
            record.counts = {kind: count for kind, count in sorted(self._counts.items()) if count}
            record.sizes = [replace(size) for size in self._sizes.values()]
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

    def _tally(self, symbol: Symbol, sign: int) -> None:
        """Adds a symbol to what the program has (1), or takes it away (−1)."""
        self._counts[symbol.kind] += sign
        if symbol.imported is not None or symbol.kind not in ("func", "data"):
            return
        key = symbol.owner, symbol.synthetic
        size = self._sizes.get(key)
        if size is None:
            size = self._sizes[key] = Size(*key)
        if symbol.kind == "func":
            size.functions += sign
            size.code += sign * symbol.size
        else:
            size.data += sign * symbol.size
            self._segments[key] += sign
        if not size.functions and not self._segments[key]:
            del self._sizes[key]

    # --- comparing ---

    def _changes(self, program: Program) -> list[Change]:
        """What differs from the program that was seen last."""
        if isinstance(program, Module):
            self._keep = _code_size(program) <= KEEP_ALL
            self._fingerprints.by_reference = not self._keep
            if not self._keep:
                start()  # from now on the kernel pays for smaller modules too
        parts = parts_of(program, self._names, self._seen)
        unchanged = self._fingerprints.after_step(program)
        changes = self._removed([key for key, _ in parts])
        if self.only is not None:
            parts = [(key, part) for key, part in parts if key in self._seen or self._wanted(key, part)]
        fresh = self._fingerprints.fresh(self._seen)
        show = ItemPrinter(self._names)
        texts = {} if isinstance(program, Module) else DefinitionPrinter().texts(program)
        for key, part in [(key, part) for key, part in parts if key not in unchanged]:
            old = self._seen.get(key)
            if old is not None and type(key) is tuple and key[0] == "note":
                continue  # its key is its text
            if old is not None and old.fingerprint is LATER:
                old.fingerprint = self._fingerprints.before(part)
            later = key in fresh
            fingerprint = LATER if later else self._fingerprints.of(part, None if old is None else old.fingerprint)
            if old is not None and same(old.fingerprint, fingerprint):
                old.fingerprint = fingerprint
                continue
            new = _Seen(self._symbol(key, part) if old is None else old.symbol, fingerprint)
            told = later or isinstance(fingerprint, BodyFingerprint | SegmentFingerprint)
            if self._keep or not told or part.synthetic:
                new.text = texts[part] if texts else text_of(key, part, show)
            symbol = self.journal.symbols[new.symbol]
            if old is not None:
                self._tally(symbol, -1)
            self._measure(symbol, part)
            self._tally(symbol, 1)
            self._seen[key] = new
            if old is None:
                changes.append(Change(new.symbol, What.CREATED, None, self._blob(new.text)))
                continue
            was, now = (self._print(key, one, show) for one in (old, new))
            if was != now:
                changes.append(Change(new.symbol, What.CHANGED, self._blob(was), self._blob(now)))
        return changes

    def _removed(self, keys: list[Any]) -> list[Change]:
        """Forgets the parts that are not among those with these keys any more."""
        if keys == self._keys:
            return []
        self._keys = keys
        here = set(keys)
        if self._seen.keys() <= here:
            return []
        self._adopt(keys)
        gone = [self._seen.pop(key) for key in [key for key in self._seen if key not in here]]
        for old in gone:
            self._tally(self.journal.symbols[old.symbol], -1)
        return [Change(old.symbol, What.REMOVED, self._blob(old.text), None) for old in gone]

    def _print(self, key: Any, seen: _Seen, show: ItemPrinter) -> str:
        """The text of a part as it was when it was seen."""
        if seen.text is not None:
            return seen.text
        shown = seen.fingerprint.shown()
        self._names.same(shown, key)
        try:
            return text_of(None, shown, show)
        finally:
            self._names.forget(shown)

    def _measure(self, symbol: Symbol, part: Any) -> None:
        """Whose a part is now, and how large."""
        if isinstance(part, Item):
            symbol.owner = part.owner.name if part.owner is not None else None
            symbol.synthetic = part.synthetic
        match part:
            case Function():
                symbol.size = 0 if part.body is None else self._size(part.body, part.synthetic is not None)
            case DataSegment():
                symbol.size = len(part.data)

    def _size(self, body: Code | LazyBody, made: bool) -> int:
        if isinstance(body, EncodedBody) or not (isinstance(body, Code) or made or self._keep):
            return body.size
        if self._encoder is None:
            self._encoder = Encoder(self._names.numbering)
        try:
            return len(self._encoder.body(body if isinstance(body, Code) else body.decode()))
        except MeldError:  # what names something that is not there has no size yet
            return 0

    def _adopt(self, keys: list[Any]) -> None:
        """A new object of the name and kind of one that is gone is the same part: a pass may build a program anew."""
        here = set(keys)
        gone = [key for key in self._seen if key not in here and isinstance(key, Item) and key.name]
        if not gone:
            return
        fresh: dict[Any, list[Item]] = {}
        for key in keys:
            if isinstance(key, Item) and key not in self._seen and key not in self._symbols and key.name:
                fresh.setdefault((type(key), key.name, key.synthetic), []).append(key)
        for key in gone:
            alike = fresh.get((type(key), key.name, key.synthetic), ())
            if len(alike) == 1:
                if self._seen[key].fingerprint is LATER:
                    self._seen[key].fingerprint = self._fingerprints.before(key)
                self._seen[alike[0]] = self._seen.pop(key)
                self._names.same(alike[0], key)
                fresh.pop((type(key), key.name, key.synthetic))

    def _wanted(self, key: Any, part: Any) -> bool:
        assert self.only is not None
        if key not in self._symbols:
            self._symbols[key] = symbol_of(key, part, self._names)
        return self.only(self._symbols[key])

    def _symbol(self, key: Any, part: Any) -> int:
        self.journal.symbols.append(self._symbols.get(key) or symbol_of(key, part, self._names))
        return len(self.journal.symbols) - 1

    def _blob(self, text: str | None) -> str | None:
        if text is None:
            return None
        digest = hashlib.sha256(text.encode()).hexdigest()[:24]
        self.journal.blobs[digest] = text
        return digest


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
