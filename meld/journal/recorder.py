"""Writes a journal while passes run.

After each step the things of the program are compared with what they were. A body that nobody has decoded is compared
by what it was read from and by the objects that its indices mean, so a step costs time for each function, not for each
instruction; only what differs is printed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from meld.diagnostics import MeldError
from meld.ir.component import Component
from meld.ir.instructions import Code, LazyBody, Scope
from meld.ir.literals import quoted
from meld.ir.module import KEYWORD_OF, SPACE_OF, Function, Item, Module
from meld.ir.notes import Note
from meld.journal import Change, Journal, StepRecord, Symbol, What
from meld.journal.texts import KINDS, DefinitionPrinter, ItemPrinter, Printed, StableNames, definition_name
from meld.passes.base import Program
from meld.passmanager import Observer, Plan, Ran, Step

KEEP_ALL = 256 << 10
"""Bytes of code up to which a journal keeps the text of every function, and not only of those that a pass changed."""


@dataclass(slots=True)
class _Thing:
    """What was seen of a thing: its symbol, and its text or what stands for it while nobody has decoded it."""

    symbol: int
    text: str | None = None
    head: _Head | None = None
    body: LazyBody | None = None
    meant: _Meaning | None = None


_HEAD = ("name", "type", "owner", "origin", "synthetic", "imported")


@dataclass(slots=True)
class _Head:
    """What a function with an encoded body was besides the body: the fields `_HEAD`, and its notes as text."""

    fields: tuple[Any, ...]
    notes: str

    @classmethod
    def of(cls, function: Function, names: StableNames) -> _Head:
        notes = " ".join(names.note(note) for note in function.notes) if function.notes else ""
        return cls(tuple(getattr(function, name) for name in _HEAD), notes)

    def put(self, function: Function) -> None:
        """Makes the function what it was."""
        for name, value in zip(_HEAD, self.fields, strict=True):
            setattr(function, name, value)
        function.notes = [Printed(self.notes)] if self.notes else []


@dataclass(eq=False, slots=True)
class _Meaning:
    """The objects that the indices of a scope meant at one time."""

    scope: Scope

    def changed(self, now: Scope) -> dict[Any, Any]:
        """The objects that an index means now, and what it meant."""
        found: dict[Any, Any] = {}
        for space in Scope.SPACES[1:]:
            before, after = getattr(self.scope, space), getattr(now, space)
            if before != after:
                found.update((b, a) for a, b in zip(before, after, strict=True) if a is not b)
        return found


@dataclass(slots=True)
class Recorder(Observer):
    """An observer that fills `journal`."""

    journal: Journal = field(default_factory=Journal)
    _names: StableNames = field(default_factory=StableNames)
    _seen: dict[Any, _Thing] = field(default_factory=dict)
    _facts: list[str] = field(default_factory=list)
    _keep: bool = True
    _meanings: dict[int, _Meaning] = field(default_factory=dict)
    _next: dict[int, _Meaning] = field(default_factory=dict)
    _rewired: dict[tuple[int, int], dict[Any, Any]] = field(default_factory=dict)

    @classmethod
    def of_files(cls, command: Sequence[str], inputs: Sequence[str]) -> Recorder:
        """A recorder of a run on files. Files that cannot be read are left out; whoever loads them will complain."""
        from meld import __version__

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
            from meld.explain import rows

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
        record.changes = self._compare(program)
        kinds = Counter(self.journal.symbols[thing.symbol].kind for thing in self._seen.values())
        record.counts = dict(sorted(kinds.items()))
        self.journal.steps.append(record)

    # --- comparing ---

    def _compare(self, program: Program) -> list[Change]:
        if isinstance(program, Module):
            self._keep = _code_size(program) <= KEEP_ALL
        before, self._seen = self._seen, {}
        self._next, self._rewired = {}, {}
        parts = list(_parts(program, self._names))
        self._adopt([key for key, _ in parts], before)
        changes: list[Change] = []
        show = ItemPrinter(self._names)
        texts = {} if isinstance(program, Module) else DefinitionPrinter().texts(program)
        for key, thing in parts:
            old = before.pop(key, None)
            new = self._look(key, thing, old, show, texts)
            self._seen[key] = new
            if old is None:
                changes.append(Change(new.symbol, What.CREATED, None, self._blob(new.text)))
            elif new.text is None and old.text is None:
                change = self._of_lazy(key, old, new, show)
                changes += [change] if change else []
            else:
                was = old.text if old.text is not None else self._print_lazy(key, old, show)
                now = new.text if new.text is not None else self._print_lazy(key, new, show)
                if was != now:
                    changes.append(Change(new.symbol, What.CHANGED, self._blob(was), self._blob(now)))
        gone = [Change(old.symbol, What.REMOVED, self._blob(old.text), None) for old in before.values()]
        self._meanings = self._next
        return gone + changes

    def _adopt(self, keys: list[Any], before: dict[Any, _Thing]) -> None:
        """A new object of the name and kind of one that is gone is the same thing: a pass may build a program anew."""
        here = set(keys)
        gone = [key for key in before if key not in here and isinstance(key, Item) and key.name]
        if not gone:
            return
        fresh: dict[Any, list[Item]] = {}
        for key in keys:
            if isinstance(key, Item) and key not in before and key.name:
                fresh.setdefault((type(key), key.name, key.synthetic), []).append(key)
        for key in gone:
            same = fresh.get((type(key), key.name, key.synthetic), ())
            if len(same) == 1:
                before[same[0]] = before.pop(key)
                self._names.same(same[0], key)
                fresh.pop((type(key), key.name, key.synthetic))

    def _look(self, key: Any, thing: Any, old: _Thing | None, show: ItemPrinter, texts: dict[Any, str]) -> _Thing:
        symbol = old.symbol if old is not None else self._symbol(key, thing)
        if isinstance(thing, Function) and isinstance(thing.body, LazyBody):
            new = _Thing(symbol, None, _Head.of(thing, self._names), thing.body, self._meaning(thing.body.scope))
            if self._keep:
                new.text = self._print_lazy(key, new, show)
            return new
        return _Thing(symbol, texts[thing] if thing in texts else _text(key, thing, show))

    def _symbol(self, key: Any, thing: Any) -> int:
        if isinstance(thing, Item):
            kind = KEYWORD_OF.get(type(thing)) or KINDS[_space(thing)]
            symbol = Symbol(kind, self._names.name(_space(thing), thing), synthetic=thing.synthetic)
            if thing.owner is not None and thing.origin is not None:
                symbol.origin = f"{thing.owner.name} {thing.origin[0]}"
            if thing.imported is not None:
                symbol.imported = str(thing.imported)
        elif isinstance(thing, Note):
            symbol = Symbol("note", self._names.name("note", thing))
        else:
            kind, wish = key if isinstance(key, tuple) else ("definition", definition_name(thing))
            symbol = Symbol(kind, self._names.give(kind, wish))
        self.journal.symbols.append(symbol)
        return len(self.journal.symbols) - 1

    # --- bodies that nobody has decoded ---

    def _meaning(self, scope: Scope) -> _Meaning:
        """What a scope means now; one object as long as that is the same."""
        found = self._next.get(id(scope))
        if found is None:
            found = self._meanings.get(id(scope))
            if found is None or found.changed(scope):
                found = _Meaning(scope.renamed({}))
            self._next[id(scope)] = found
        return found

    def _of_lazy(self, key: Function, old: _Thing, new: _Thing, show: ItemPrinter) -> Change | None:
        assert old.body is not None and new.body is not None and old.meant is not None and new.meant is not None
        same = old.body.source == new.body.source and old.head == new.head
        if same and (old.meant is new.meant or not self._uses(key, old.meant, new.meant)):
            return None
        was, now = self._print_lazy(key, old, show), self._print_lazy(key, new, show)
        return None if was == now else Change(new.symbol, What.CHANGED, self._blob(was), self._blob(now))

    def _uses(self, function: Function, old: _Meaning, new: _Meaning) -> bool:
        """Whether a body names an object that its scope did not have before."""
        from meld.passes.finish import body_uses

        pair = id(old), id(new)
        if pair not in self._rewired:
            self._rewired[pair] = old.changed(new.scope)
        changed = self._rewired[pair]
        return bool(changed) and any(used in changed for used in body_uses(function))

    def _print_lazy(self, function: Function, thing: _Thing, show: ItemPrinter) -> str:
        """The text of a function as it was when it was seen."""
        assert thing.body is not None and thing.meant is not None and thing.head is not None
        now = _Head.of(function, self._names), function.notes, function.body
        thing.head.put(function)
        function.body = thing.body.over(thing.meant.scope)
        try:
            return _text(function, function, show)
        finally:
            now[0].put(function)
            function.notes, function.body = now[1:]

    def _blob(self, text: str | None) -> str | None:
        if text is None:
            return None
        digest = hashlib.sha256(text.encode()).hexdigest()[:24]
        self.journal.blobs[digest] = text
        return digest


def _parts(program: Program, names: StableNames) -> Iterator[tuple[Any, Any]]:
    """The things of a program: what tells whether one is the same as before, and the thing."""
    seen: Counter[Any] = Counter()

    def numbered(kind: str, text: str) -> tuple[str, str]:
        """A key for what has no identity; equal ones are told apart by their order."""
        seen[kind, text] += 1
        return (kind, text) if seen[kind, text] == 1 else (kind, f"{text}#{seen[kind, text]}")

    if isinstance(program, Component):
        yield from ((item, item) for item in program.definitions)
        return
    for item in (*program.items(), *program.elements, *program.datas):
        names.name(_space(item), item)
        yield item, item
    yield from ((numbered("export", export.name), export) for export in program.exports)
    if program.start is not None:
        yield ("start", "start"), program.start
    for note in program.notes:
        text = names.note(note)
        yield (note if note.declares else numbered("note", text)), note
    yield from ((numbered("custom", section.name), section) for section in program.customs)


def _text(key: Any, thing: Any, show: ItemPrinter) -> str:
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
