"""The debugger without a terminal: where a compilation stands, and how it gets to another place.

Compilation is deterministic. So a place is a number of steps, and its program is recovered by running that
many: from where the session is, or from the start to go back. A place inside a pass is the pass with only its
first rewrites allowed, which leaves a program that is valid and runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field, replace
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from meld.debugger.history import Edit, Entry, History, blocked, with_options
from meld.debugger.stamps import Stamp, stamps
from meld.debugger.symbols import Symbols, called, matcher
from meld.diagnostics import MeldError, Remark
from meld.driver import Options, plan_inputs
from meld.files import read_file, read_program
from meld.inputs import Validation
from meld.ir.component import Component
from meld.ir.module import Module
from meld.journal import Change, Difference, Journal, Symbol
from meld.observers.recorder import Recorder
from meld.passes import Registry
from meld.passes.base import Gate, Program
from meld.passmanager import Observer, Plan, run
from meld.support.records import record

if TYPE_CHECKING:
    from meld.debugger.execution import Execution

T = TypeVar("T")


@record()
class Report:
    """What a step did: what it counted and said, each rewrite (what, on which item, whether it was done), and sizes.

    `asked` is how many rewrites the steps up to it counted, which the limits of a run count.
    """

    stats: dict[str, int]
    remarks: list[str]
    rewrites: list[tuple[str, str | None, bool]]
    before: dict[str, int]
    after: dict[str, int]
    asked: Counter[str]


class Invalid(MeldError):
    """A program was edited to something that is not valid."""


@record()
class Breakpoint:
    """Where to stop: before a pass, or after a step that creates, changes or removes a symbol."""

    number: int
    text: str
    symbol: bool
    temporary: bool = False
    hits: int = 0

    def __str__(self) -> str:
        what = f"when {self.text} changes" if self.symbol else f"before {self.text}"
        return f"{self.number}  {what}{', once' * self.temporary}, {self.hits} hits"


@record()
class Stepped:
    """A step was run, or passed over if it is skipped."""

    number: int
    entry: Entry
    report: Report | None


@record()
class Stopped:
    """The session stopped at a breakpoint; `changes` are those of its symbols."""

    breakpoint: Breakpoint
    changes: list[tuple[Symbol, Change]] = field(default_factory=list)


@record()
class _Live:
    """A program with the place where it stands."""

    program: Program
    done: int
    rewrite: int | None
    gate: Gate


@record()
class Session:
    """A compilation that can be stopped.

    Attributes:
        files: the inputs, with their bytes: what runs again runs on the same.
        done: how many steps have been run.
        rewrite: if the session stands inside the next step: the number of the rewrite that it stands before.
        observers: who watches what is run.
        remarks: those of the plan.
    """

    files: list[tuple[str, bytes]]
    options: Options
    registry: Registry
    history: History
    remarks: list[Remark]
    done: int = 0
    rewrite: int | None = None
    observers: list[Observer] = field(default_factory=list)
    breakpoints: list[Breakpoint] = field(default_factory=list)
    stamps: dict[str, Stamp] = field(default_factory=dict)
    _numbered: int = 0
    _live: _Live | None = None
    _partial: Report | None = None
    _reports: dict[int, Report | None] = field(default_factory=dict)
    _symbols: tuple[_Live, Symbols] | None = None
    _journals: dict[tuple[int, int | None, str | None], Journal] = field(default_factory=dict)
    _execution: tuple[_Live, Execution] | None = None

    @classmethod
    def open(cls, inputs: Sequence[str | PathLike[str]], options: Options) -> Session:
        """A session that stands before the first step, or after `options.stop_after`. Raises MeldError."""
        when = stamps([*map(str, inputs), *options.plugins])
        files = [(str(path), bytes(read_file(Path(path)))) for path in inputs]
        registry = Registry.standard(list(options.plugins))
        validations = [Validation.begin(path, data) for path, data in files if options.validate]
        program, plan = _load(files, options, registry)
        plan.remarks = [*(remark for one in validations for remark in one.demand()), *plan.remarks]
        for label in options.fuel:
            plan.position(label, option="--fuel")
        session = cls(files, options, registry, History.of(plan), plan.remarks)
        session.stamps = when
        session._live = _Live(program, 0, None, session._gate())
        if options.stop_after is not None:
            session.goto(plan.position(options.stop_after, option="--stop-after"))
        return session

    # --- where it stands ---

    @property
    def entries(self) -> list[Entry]:
        """All steps."""
        return self.history.entries

    @property
    def program(self) -> Program:
        """The program here. MeldError if a step that it takes to get here fails."""
        return self._here().program

    @property
    def symbols(self) -> Symbols:
        """What the program here is made of."""
        live = self._here()
        if self._symbols is None or self._symbols[0] is not live:
            self._symbols = live, Symbols(live.program)
        return self._symbols[1]

    @property
    def number(self) -> int:
        """The number of the step that left the program here, were it only in part; 0 is the input."""
        return self.done + (self.rewrite is not None)

    def label(self, number: int) -> str:
        """What the program behind that many steps is called."""
        return self.entries[number - 1].step.label if number else "input"

    def report(self, number: int) -> Report | None:
        """What the step with that number did, if it has run and is not skipped."""
        self._here()
        if number == self.done + 1 and self.rewrite is not None:
            return self._partial
        return self._reports.get(number - 1) if number <= self.done else None

    def place(self, text: str) -> int:
        """How many steps have run at a place: a number, ``input``, or the label of the step that leads there."""
        if text == "input":
            return 0
        if not text.isdigit():
            return self.history.find(text) + 1
        if int(text) > len(self.entries):
            raise MeldError(f"there is no step {text}", hint=f"they are numbered from 1 to {len(self.entries)}")
        return int(text)

    # --- moving ---

    def advance(self, count: int | None = None) -> Iterator[Stepped | Stopped]:
        """Runs steps, `count` of them or all that are left, and stops at breakpoints.

        Inside a pass the first step is the rest of it. MeldError from a step leaves the session before that step.
        """
        moved = False
        while self.done < len(self.entries) and (count is None or count > 0):
            hit = next((b for b in self.breakpoints if self._is_before(b)), None) if moved else None
            if hit is not None:
                self._hit(hit)
                yield Stopped(hit)
                return
            watches = [(b, Recorder(only=matcher(b.text))) for b in self.breakpoints if b.symbol]
            yield self._step([recorder for _, recorder in watches])
            moved = True
            hits = [(b, recorder.journal) for b, recorder in watches if _changes(recorder.journal)]
            for hit, journal in hits:
                self._hit(hit)
                yield Stopped(hit, _changes(journal))
            if hits:
                return
            count = None if count is None else count - 1

    def _is_before(self, breakpoint: Breakpoint) -> bool:
        entry = self.entries[self.done]
        return not breakpoint.symbol and not entry.skipped and entry.step.matches(breakpoint.text)

    def _hit(self, breakpoint: Breakpoint) -> None:
        breakpoint.hits += 1
        if breakpoint.temporary:
            self.breakpoints.remove(breakpoint)

    def _step(self, watches: Sequence[Observer]) -> Stepped:
        live = self._reach(self.done)
        report = self._run(live, watches)
        self.done, self.rewrite, self._live = live.done, None, live
        return Stepped(self.done, self.entries[self.done - 1], report)

    def into(self, wanted: int | None = None) -> tuple[str, str | None]:
        """Stops in the next step before one of its rewrites: the first, or the next, or that with a number from 1.

        Returns:
            What the rewrite is and the name of the item that it changes.

        Raises:
            MeldError: the step does not have so many; the session stays where it is.
        """
        if self.done == len(self.entries):
            raise MeldError("all steps have run")
        wanted = (self.rewrite or 0) + 1 if wanted is None else wanted
        label, skipped = self.entries[self.done].step.label, self.entries[self.done].skipped
        if wanted < 1 or skipped:
            raise MeldError(f"`{label}` is skipped" if skipped else "rewrites are numbered from 1")
        live = self._reach(self.done)
        report = self._run(live, (), wanted)
        assert report is not None
        if len(report.rewrites) < wanted:
            raise MeldError(f"`{label}` makes {rewrites(len(report.rewrites))}", hint="`step` runs it as a whole")
        self.rewrite, self._partial, self._live = wanted, report, live
        what, item, _ = report.rewrites[wanted - 1]
        return what, item

    def back(self, count: int = 1) -> None:
        """Goes back over steps; out of a pass counts as one."""
        inside = self.rewrite is not None and count > 0
        self.goto(max(0, self.done - count + inside))

    def goto(self, number: int) -> None:
        """Goes to where that many steps have run; breakpoints do not stop it. MeldError from a step on the way."""
        if number < self.done or self.rewrite is not None:
            self.done, self.rewrite = min(number, self.done), None
        while self.done < number:
            self._step(())

    # --- changing ---

    def edit(self, text: str, function: str = "", *, check: bool = True) -> list[str]:
        """Replaces the program here, or a function of it, by a text; continues from that.

        Returns:
            What else that means.

        Raises:
            MeldError: the text is malformed, or if `check`, the program is not valid then; nothing is changed.
        """
        self.outside()
        edit = Edit(text, function)
        notes = self._change(lambda: self.history.insert(self.done, edit))
        try:
            self._step(())
            fault = self.fault() if check else None
            if fault is not None:
                raise Invalid(f"not valid: {fault.message}", where=fault.where, span=fault.span, hint=fault.hint)
        except BaseException:
            self.undo()
            raise
        why = blocked(self.entries[self.done :], self.program)
        return notes + ([f"the rest of the pipeline cannot run: {why[1]}"] if why else [])

    def skip(self, labels: Sequence[str], skipped: bool = True) -> list[str]:
        """Has steps that are ahead skipped, or run after all; returns remarks on edits that are dropped for it.

        Raises:
            MeldError: one has run already, or what is left cannot run then; nothing is changed.
        """
        word = "skip" if skipped else "unskip"
        indices = [self._ahead(label, word) for label in labels]
        new = {index: replace(self.entries[index], skipped=skipped) for index in indices}
        why = blocked([new.get(i, self.entries[i]) for i in range(self.number, len(self.entries))], self.program)
        if why is not None and blocked(self.entries[self.number :], self.program) is None:
            raise MeldError(
                f"cannot {word}: {why[1]}", hint=f"`{word}` takes several: {word} {' '.join(labels)} {why[0]}"
            )
        return self._change(lambda: self.history.replace(f"{word} {' '.join(labels)}", new))

    def set(self, label: str, words: Sequence[str]) -> list[str]:
        """Gives options of a step that is ahead other values, ``slots=16``; returns remarks."""
        index = self._ahead(label, "set")
        new = replace(self.entries[index], step=with_options(self.entries[index].step, words))
        return self._change(lambda: self.history.replace(f"set {label} {' '.join(words)}", {index: new}))

    def undo(self) -> str:
        """Takes the last edit, skip or set back; the session stays behind the same steps. Returns what it was."""
        return self._change(self.history.undo)

    def take(self, fresh: Session, history: History) -> None:
        """Goes on with the files, the passes and the steps of a session that was opened anew, before the first step."""
        self.files, self.registry, self.remarks = fresh.files, fresh.registry, fresh.remarks
        self.history, self.stamps = history, fresh.stamps
        self.done, self.rewrite = 0, None
        self._live = self._symbols = self._execution = self._partial = None
        self._reports.clear()
        self._journals.clear()

    def stale(self) -> list[str]:
        """The files that have changed since they were read."""
        return [path for path, stamp in stamps(self.stamps).items() if stamp != self.stamps[path]]

    def _ahead(self, label: str, word: str) -> int:
        index = self.history.find(label)
        if index < self.number:
            raise MeldError(f"`{label}` has run already", hint=f"`goto {index}` goes back before it, then `{word}`")
        return index

    def outside(self) -> None:
        """MeldError if the session stands inside a pass."""
        if self.rewrite is not None:
            label = self.entries[self.done].step.label
            raise MeldError(
                f"the program cannot be edited inside of `{label}`", hint="`step` runs the rest of it, `back` leaves it"
            )

    def _change(self, change: Callable[[], T]) -> T:
        """Changes the history, and forgets what depends on what is different now."""
        old, done = self.entries, {entry.key for entry in self.entries[: self.done]}
        result = change()
        new = self.entries
        same = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a is not b), min(len(old), len(new)))
        if self.rewrite is not None and self.done >= same:
            self.rewrite = None
        self.done = max((i for i, entry in enumerate(new, 1) if entry.key in done), default=0)
        if self._live is not None and self._live.done + (self._live.rewrite is not None) > same:
            self._live = None
        self._reports = {index: report for index, report in self._reports.items() if index < same}
        self._journals.clear()
        return result

    # --- breakpoints ---

    def stop_at(self, text: str, *, temporary: bool = False) -> tuple[Breakpoint, bool]:
        """A breakpoint before a pass, or on symbols by name or pattern; and whether there is such a thing yet.

        Raises:
            MeldError: nothing has that name, and it resembles that of a pass.
        """
        is_pass = any(entry.step.matches(text) for entry in self.entries)
        there = is_pass or any(map(matcher(text), self.symbols.symbols))
        near = get_close_matches(text, [entry.step.label for entry in self.entries], 1, 0.75)
        if not there and near and text[0] != "$":
            raise MeldError(
                f"no pass and no symbol is called `{text}`",
                hint=f"did you mean `{near[0]}`? (`${text}` waits for a symbol of that name)",
            )
        self._numbered += 1
        made = Breakpoint(self._numbered, text, not is_pass, temporary)
        self.breakpoints.append(made)
        return made, there

    def delete(self, number: int | None = None) -> None:
        """Removes the breakpoint with a number, or all. MeldError if there is none."""
        kept = [b for b in self.breakpoints if number is not None and b.number != number]
        if len(kept) == len(self.breakpoints):
            raise MeldError(f"there is no breakpoint {number}" if number is not None else "there are no breakpoints")
        self.breakpoints = kept

    # --- looking ---

    def journal(self, last: int, pattern: str | None = None) -> Journal:
        """A journal of the run up to a step, of the symbols that match a pattern; made by running again."""
        partial = self.rewrite if last == self.done + 1 else None
        key = last, partial, pattern
        if key not in self._journals:
            recorder = Recorder(only=None if pattern is None else matcher(pattern))
            live = self._start(0)
            while live.done < last - (partial is not None):
                self._run(live, [recorder])
            if partial is not None:
                self._run(live, [recorder], partial)
            self._journals[key] = recorder.journal
        return self._journals[key]

    def diff(self, first: int, last: int, pattern: str | None = None) -> list[Difference]:
        """What differs between two places, in the symbols that match a pattern.

        Raises:
            MeldError: the pattern matches nothing.
        """
        journal = self.journal(max(first, last), pattern)
        if pattern is not None and not journal.symbols:
            self.symbols.find(pattern)
        return list(journal.between(first, last))

    def fault(self) -> MeldError | None:
        """What is wrong with the program here, by our own rules or the engine's."""
        from meld.verify.engine import fault_of

        return fault_of(self.program)

    def execution(self, *, fresh: bool) -> Execution:
        """An instance of the program here: a new one, or the one that was made last, if nothing has changed since."""
        from meld.debugger.execution import Execution

        live = self._here()
        if not isinstance(live.program, Module):
            hint = "after `merge` it is a module" if self.number < len(self.entries) else "`save` it, then `meldc run`"
            raise MeldError("a component cannot be run here", hint=hint)
        if fresh or self._execution is None or self._execution[0] is not live or self._execution[1].over:
            self._execution = live, Execution(live.program)
        return self._execution[1]

    # --- running ---

    def _gate(self, asked: Counter[str] | None = None) -> Gate:
        return Gate(self.options.limit, dict(self.options.fuel), Counter(asked or ()))

    def _here(self) -> _Live:
        live = self._live
        if live is None or (live.done, live.rewrite) != (self.done, self.rewrite):
            live = self._reach(self.done)
            if self.rewrite is not None:
                self._partial = self._run(live, (), self.rewrite)
            self._live = live
        return live

    def _reach(self, number: int) -> _Live:
        """A program behind that many steps. Until it is kept, an interrupt or an error loses nothing else."""
        live, self._live = self._live, None
        near = live is not None and live.rewrite is None and live.done <= number
        # What is remembered of a program goes by the object that says where it stands, so there is a new one.
        live = replace(live) if live is not None and near else self._start(number)
        while live.done < number:
            self._run(live, ())
        return live

    def _start(self, number: int) -> _Live:
        """The nearest place from which that many steps can be reached: a program that was edited, or the inputs."""
        for index in reversed(range(number)):
            edit, report = self.entries[index].edit, self._reports.get(index)
            if edit is not None and self.entries[index].whole and report is not None:
                return _Live(edit.program(), index + 1, None, self._gate(report.asked))
        return _Live(_load(self.files, self.options, self.registry)[0], 0, None, self._gate())

    def _run(self, live: _Live, observers: Sequence[Observer], before: int | None = None) -> Report | None:
        """Runs the next step, or what comes in it before a rewrite; None if it is skipped."""
        entry, plan = self.entries[live.done], self.history.plan()
        if entry.skipped:
            self._reports[live.done] = None
            live.done += 1
            return None
        label, gate = entry.step.label, live.gate
        if before is not None:
            allowed = min(before - 1, gate.fuel.get(label, before - 1))
            gate = Gate(gate.limit, {**gate.fuel, label: allowed}, Counter(gate.asked))
        sizes = _sizes(live.program)
        watchers = [*self.observers, *observers]
        program, (ran,) = run(plan, live.program, observers=watchers, start=live.done, steps=live.done + 1, gate=gate)
        cx = ran.context
        report = Report(
            {str(name): count for name, count in cx.stats.items()},
            [remark.message for remark in cx.remarks],
            [(r.what, called(r.item), r.done) for r in cx.rewrites],
            sizes,
            _sizes(program),
            Counter(gate.asked),
        )
        live.program, live.gate = program, gate
        if before is None:
            self._reports[live.done] = report
            live.done += 1
        else:
            live.rewrite = before
        return report


def _load(files: Sequence[tuple[str, bytes]], options: Options, registry: Registry) -> tuple[Program, Plan]:
    programs = [read_program(data, path) for path, data in files]
    return plan_inputs(programs, [path for path, _ in files], options, registry)


def rewrites(count: int) -> str:
    """So many rewrites, in words."""
    return f"{count} rewrite{'s' * (count != 1)}" if count else "no rewrites"


def _sizes(program: Program) -> dict[str, int]:
    """How many things of each kind a program has."""
    if isinstance(program, Component):
        return {"definitions": len(program.definitions)}
    spaces = ("imports", "functions", "tables", "memories", "globals", "exports")
    return {space: len(getattr(program, space)) for space in spaces}


def _changes(journal: Journal) -> list[tuple[Symbol, Change]]:
    """What the last step of a journal changed."""
    last = journal.steps[-1] if len(journal.steps) > 1 else None
    return [(journal.symbols[change.symbol], change) for change in last.changes] if last else []
