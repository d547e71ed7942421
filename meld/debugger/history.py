"""What a session runs: the steps of the plan, with the edits that were made between them.

The history is linear. An edit is a step like the others: going back before it and forward again does it anew, `undo`
takes it out. Functions that were edited are edited again whatever came before; a whole program that was edited stands
for all that came before it, so it is dropped when something of that is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, fields, replace
from difflib import get_close_matches

from meld.diagnostics import MeldError
from meld.ir.module import Function, Module
from meld.passes.base import Pass, PassContext, Program, option, options_of, parse_option
from meld.passmanager import Plan, Step
from meld.support.records import record
from meld.text.function import replace_function
from meld.text.reading.program import parse


class Edit(Pass):
    """Edited by hand."""

    name = "edit"
    reads = writes = object
    text: str = option("")
    function: str = option("", "the symbol whose text it is; the whole program if empty")

    def run(self, program: Program, cx: PassContext) -> None:
        if self.function:
            self._replace(program)
        else:
            become(program, self.program())

    def program(self) -> Program:
        """The program that the text is. Raises MeldError."""
        return parse(self.text, EDITED)

    def _replace(self, program: Program) -> None:
        from meld.debugger.symbols import Symbols

        found = Symbols(program).one(f"func:{self.function}")
        if not isinstance(program, Module) or not isinstance(found, Function):
            raise MeldError(f"`{self.function}` is no function", hint="`edit` alone edits the whole program")
        replace_function(program, found, self.text, EDITED)

    def spec(self) -> str:
        return f"edit {self.function}" if self.function else "edit"


EDITED = "edited.wat"
"""What an edited text is called in messages."""


def become(program: Program, other: Program) -> None:
    """Makes a program what another one is, in place. MeldError if that is in the other language."""
    if type(program) is not type(other):
        one, two = (type(p).__name__.lower() for p in (program, other))
        raise MeldError(f"the program is a {one} here; the edited text is a {two}", where=EDITED)
    for each in fields(program):
        if each.name != "where":
            setattr(program, each.name, getattr(other, each.name))


@record(frozen=True)
class Entry:
    """A step of the history. `key` stays the same when it is skipped, or its options are set."""

    key: int
    step: Step
    skipped: bool = False

    @property
    def edit(self) -> Edit | None:
        """The edit, if it is one."""
        return self.step.instance if isinstance(self.step.instance, Edit) else None

    @property
    def whole(self) -> bool:
        """Whether it is an edit of the whole program."""
        return self.edit is not None and not self.edit.function


@record()
class History:
    """The steps in order.

    Attributes:
        past: what they were before each change, with what that change was.
        keys: the greatest key that was given.
        opened: what they were at first.
    """

    entries: list[Entry]
    past: list[tuple[str, list[Entry]]] = field(default_factory=list)
    keys: int = 0
    opened: list[Entry] = field(default_factory=list)

    @classmethod
    def of(cls, plan: Plan) -> History:
        """The steps of a plan."""
        entries = [Entry(key, step) for key, step in enumerate(plan.steps)]
        return cls(entries, keys=len(entries), opened=list(entries))

    def plan(self) -> Plan:
        """The steps as a plan, those that are skipped included."""
        return Plan([entry.step for entry in self.entries])

    def rest(self, done: int) -> list[Step]:
        """The passes that are still to run after the first `done` steps; edits are not among them."""
        return [entry.step for entry in self.entries[done:] if not entry.skipped and entry.edit is None]

    def find(self, label: str) -> int:
        """The index of the step with a label (``PASS``, ``PASS#2``); of several of a bare name the last.

        Raises:
            MeldError: there is none, with what was probably meant.
        """
        found = [i for i, entry in enumerate(self.entries) if entry.step.matches(label)]
        if not found:
            labels = [entry.step.label for entry in self.entries]
            near = get_close_matches(label, labels, 1)
            hint = f"did you mean `{near[0]}`?" if near else "there are: " + ", ".join(labels)
            raise MeldError(f"no step is called `{label}`", hint=hint)
        return found[-1]

    # --- changes ---

    def insert(self, index: int, edit: Edit) -> list[str]:
        """Puts an edit in front of the step with that index; returns remarks on edits that are dropped for it."""
        self.keys += 1
        made = Entry(self.keys, Step(edit))
        return self._change(edit.spec(), [*self.entries[:index], made, *self.entries[index:]], index + 1)

    def replace(self, what: str, new: Mapping[int, Entry]) -> list[str]:
        """Puts other steps in the places of some; returns remarks on edits that are dropped for it."""
        entries = [new.get(index, entry) for index, entry in enumerate(self.entries)]
        return self._change(what, entries, min(new) + 1)

    def _change(self, what: str, entries: list[Entry], since: int) -> list[str]:
        dropped = [entry for entry in entries[since:] if entry.whole]
        self.past.append((what, self.entries))
        self.entries = [entry for entry in entries if entry not in dropped]
        return ["a later edit of the whole program is dropped: what it was made of has changed"] * bool(dropped)

    def undo(self) -> str:
        """Takes the last change back and says what it was. Raises MeldError if there is none."""
        if not self.past:
            raise MeldError("nothing was edited, skipped or set")
        what, self.entries = self.past.pop()
        return what


def with_options(step: Step, words: Sequence[str]) -> Step:
    """A step whose pass has other values for some options: ``slots=16``. Raises MeldError."""
    known = {info.name: info for info in options_of(type(step.instance))}
    values = {}
    for word in words:
        name, _, text = word.partition("=")
        info = known.get(name.replace("_", "-"))
        if info is None:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean `{near[0]}`?" if near else f"its options: {', '.join(known) or 'none'}"
            raise MeldError(f"`{step.name}` has no option `{name}`", hint=hint)
        values[info.name.replace("-", "_")] = parse_option(info, text)
    return Step(replace(step.instance, **values), step.span, step.occurrence)  # type: ignore[type-var]


def blocked(entries: Sequence[Entry], program: Program) -> tuple[str, str] | None:
    """The label of the first pass that cannot run, if those are to run on a program, and why; None if all can."""
    language: type[Program] = type(program)
    held = set(program.facts)
    for entry in entries:
        one, label = entry.step.instance, entry.step.label
        if entry.skipped or entry.edit is not None:
            continue
        missing = sorted(set(one.requires) - held)
        if one.reads is not language:
            return label, f"`{label}` gets a {language.__name__.lower()} then, and reads a {one.reads.__name__.lower()}"
        if missing:
            return label, f"`{label}` needs the fact `{missing[0]}`, which nothing establishes then"
        held |= set(one.establishes)
        language = one.writes
    return None
