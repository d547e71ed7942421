"""What the page of a run shows, as plain data. Its script knows the same fields."""

from __future__ import annotations

from typing import Any

from meld.journal import Journal, StepRecord, What
from meld.journal.lines import unified

LINES = 400
"""Lines of a text or a difference that the page has; the rest is in the journal."""

CODES = {What.CREATED: "+", What.CHANGED: "~", What.REMOVED: "-"}


class _Texts:
    """Texts by number, each once."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, lines: list[str]) -> int:
        """The number of a text, which is cut if it is long."""
        more = len(lines) - LINES
        text = "\n".join([*lines[:LINES], f";; … {more:,} lines more"] if more > 0 else lines)
        return self.numbers.setdefault(text, len(self.numbers))


def data_of(journal: Journal) -> dict[str, Any]:
    """The data of the page.

    Returns:
        ``symbols``: rows of kind, name, owner, origin, made, imported, size. ``steps``: see `_step`; in them
        ``changes``: rows of the number of a symbol, ``+``, ``~`` or ``-``, and the number of a text or None: what was
        created or removed, or the difference. ``texts``. ``sizes``: at the first and the last step that is a module.
        ``decisions``: rows of kind, subject, parties, decision, reason.
    """
    texts = _Texts()
    steps = [_step(journal, step, texts) for step in journal.steps]
    modules = [step for step in journal.steps if step.language == "module"]
    return {
        "version": journal.version,
        "command": journal.command,
        "inputs": [list(one) for one in journal.inputs],
        "status": journal.status,
        "message": journal.message,
        "planned": journal.plan,
        "symbols": [[s.kind, s.name, s.owner, s.origin, s.synthetic, s.imported, s.size] for s in journal.symbols],
        "steps": steps,
        "texts": list(texts.numbers),
        "sizes": _ends(modules),
        "decisions": [list(row) for row in journal.decisions],
    }


def _ends(modules: list[StepRecord]) -> list[list[Any]]:
    """The first and the last step with their sizes."""
    ends = modules[:1] + modules[1:][-1:]
    return [[s.label, [[z.owner, z.made, z.functions, z.code, z.data] for z in s.sizes]] for s in ends]


def _step(journal: Journal, step: StepRecord, texts: _Texts) -> dict[str, Any]:
    changes: list[list[Any]] = []
    for change in step.changes:
        before, after = journal.blob(change.before), journal.blob(change.after)
        shown = [text.splitlines() for text in (before, after) if text is not None]
        number: int | None = None
        if change.what is What.CHANGED and len(shown) == 2:
            number = texts.number(unified(shown[0], shown[1], "")[2:])
        elif shown:
            number = texts.number(shown[0])
        changes.append([change.symbol, CODES[change.what], number])
    return {
        "label": step.label,
        "spec": step.spec,
        "language": step.language,
        "facts": step.facts,
        "seconds": step.seconds,
        "peak": step.peak,
        "stats": step.stats,
        "remarks": step.remarks,
        "rewrites": [list(one) for one in step.rewrites],
        "counts": step.counts,
        "code": sum(size.code for size in step.sizes),
        "data": sum(size.data for size in step.sizes),
        "changes": changes,
    }
