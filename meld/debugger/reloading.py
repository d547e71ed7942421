"""`reload`: the session goes on with inputs and plugins as they are now.

A new session is opened on the same files, and what was decided by hand is carried over into it: breakpoints stay as
they are, what was skipped or set belongs to the step with the same label, an edit stands behind the same step. An edit
of the whole program stands for all that came before it, so it is dropped if something of that may be different.
Then the steps are run up to the one that the session stood behind.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from meld.debugger.history import Entry, History, with_options
from meld.diagnostics import MeldError
from meld.passes import BUILTIN, installed
from meld.passes.base import options_of, shown

if TYPE_CHECKING:
    from meld.debugger.session import Session


def forget_installed() -> None:
    """Forgets the modules of installed plugins, so that they are imported anew."""
    packages = {entry.module.partition(".")[0] for entry in installed() if entry.name not in BUILTIN} - {"meld"}
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]


def reload(session: Session) -> list[str]:
    """Takes inputs and plugins as they are now, and goes to behind the same step; returns remarks on what has changed.

    Raises:
        MeldError: a file cannot be read or a plugin does not load, and nothing is changed; or a step fails, and the
            session stands before that one.
    """
    forget_installed()
    paths = [path for path, _ in session.files]
    fresh = type(session).open(paths, replace(session.options, stop_after=None))
    inputs = [path for (path, old), (_, new) in zip(session.files, fresh.files, strict=True) if old != new]
    move = _Move(session.history, fresh.history, bool(inputs))
    history, notes = move.history(), move.notes
    label, rewrite = session.label(session.done), session.rewrite
    done = {entry.key for entry in session.entries[: session.done]}
    session.take(fresh, history)
    wanted = max((i for i, entry in enumerate(history.entries, 1) if move.old_key(entry) in done), default=0)
    if wanted and session.label(wanted) != label:
        notes.append(f"there is no `{label}` any more: the session stands after `{session.label(wanted)}`")
    for one in session.breakpoints:
        if not one.symbol and not any(entry.step.matches(one.text) for entry in history.entries):
            notes.append(f"breakpoint {one.number} waits: no pass is called `{one.text}` now")
    session.goto(wanted)
    if rewrite is not None:
        try:
            session.into(rewrite)
        except MeldError as e:
            notes.append(f"the session stands before the pass: {e.message}")
    return notes


class _Move:
    """Carries a history over to the steps of a new plan."""

    def __init__(self, old: History, new: History, inputs_changed: bool) -> None:
        self.old, self.new = old, new
        self.opened = {entry.step.label: entry for entry in old.opened}
        self.notes: list[str] = []
        self.keys: dict[int, int] = {}
        self.made: dict[int, Entry] = {}
        self.plain = {entry.step.label: entry for entry in new.entries}
        plugins = (i for i, entry in enumerate(new.entries) if entry.step.name not in BUILTIN)
        self.first = -1 if inputs_changed else next(plugins, len(new.entries))

    def history(self) -> History:
        """The new history, with what it was before each change."""
        past = [(what, self.entries(entries)) for what, entries in self.old.past]
        self.notes.clear()  # what is said is about the steps as they are
        entries = self.entries(self.old.entries)
        return History(entries, past, max(self.old.keys, self.new.keys) + len(self.new.entries), self.new.opened)

    def old_key(self, entry: Entry) -> int:
        """The key that an entry had before, or its own."""
        return self.keys.get(entry.key, -1)

    def entries(self, old: Sequence[Entry]) -> list[Entry]:
        """The steps of the new plan, with what was decided about those of the old one."""
        by_label = {entry.step.label: entry for entry in old if entry.edit is None}
        found = [self.carried(entry, by_label.get(entry.step.label)) for entry in self.new.entries]
        for label, entry in by_label.items():
            if label not in self.plain and entry.skipped:
                self.notes.append(f"`{label}`, which is skipped, is not among the steps any more")
        behind: str | None = None
        for entry in old:
            if entry.edit is None:
                behind = entry.step.label if entry.step.label in self.plain else behind
                continue
            at = next((i for i, one in enumerate(found, 1) if one.edit is None and one.step.label == behind), 0)
            while at < len(found) and found[at].edit is not None:
                at += 1
            if entry.whole and at > self.first:
                self.notes.append("an edit of the whole program is dropped: what it was made of may have changed")
                continue
            self.keys[entry.key] = entry.key
            found.insert(at, entry)
        return found

    def carried(self, plain: Entry, old: Entry | None) -> Entry:
        """A step of the new plan as the old one was: skipped or not, with the options that were set by hand."""
        if old is None:
            return plain
        if id(old) not in self.made:
            step = plain.step
            for word in self.set_by_hand(old):
                try:
                    step = with_options(step, [word])
                except MeldError as e:
                    self.notes.append(f"{word} is dropped: {e.message}")
            self.made[id(old)] = Entry(plain.key, step, old.skipped)
        self.keys[plain.key] = old.key
        return self.made[id(old)]

    def set_by_hand(self, old: Entry) -> list[str]:
        """The options of a step that differ from those that it was opened with, ``slots=16``."""
        opened = self.opened.get(old.step.label)
        if opened is None or opened.step is old.step:
            return []
        found = []
        for info in options_of(type(old.step.instance)):
            name = info.name.replace("-", "_")
            value = getattr(old.step.instance, name)
            if value != getattr(opened.step.instance, name):
                found.append(f"{info.name}={shown(value)}")
        return found
