"""`--time` and `--stats`: what a run took, and what its passes counted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from meld.passmanager import Ran
from meld.support.terminal import json_text

TIME_FORMS = ("tree", "json", "chrome")


def time_text(ran: Sequence[Ran], whole: float, form: str) -> str:
    """The times of the steps of a run, in milliseconds.

    Args:
        whole: seconds from the start of the process's work to its end, loading and writing included.
        form: ``tree`` for people, ``json``, or ``chrome``: a trace that ``chrome://tracing`` and Perfetto show.
    """
    rows = [(one.step.label, one.seconds * 1000) for one in ran]
    match form:
        case "json":
            return json.dumps({"total": round(whole * 1000, 3), "passes": [[n, round(ms, 3)] for n, ms in rows]}) + "\n"
        case "chrome":
            return json.dumps({"traceEvents": _events(ran), "displayTimeUnit": "ms"}) + "\n"
        case _:
            passes = sum(ms for _, ms in rows)
            lines = [("total", whole * 1000), ("├ passes", passes), *((f"│ ├ {n}", ms) for n, ms in rows)]
            lines.append(("└ loading, planning and writing", whole * 1000 - passes))
            width = max(len(name) for name, _ in lines)
            return "".join(f"{name:<{width}} {ms:9.1f} ms {ms / (whole * 10 or 1):5.1f} %\n" for name, ms in lines)


def _events(ran: Sequence[Ran]) -> list[dict[str, Any]]:
    """Complete events of the trace event format; times in microseconds from the start of the first step."""
    if not ran:
        return []
    zero = ran[0].begin
    return [
        {
            "name": one.step.label,
            "cat": "pass",
            "ph": "X",
            "pid": 1,
            "tid": 1,
            "ts": round((one.begin - zero) * 1e6, 1),
            "dur": round(one.seconds * 1e6, 1),
            "args": {"spec": one.step.instance.spec(), **{str(k): v for k, v in one.context.stats.items()}},
        }
        for one in ran
    ]


def stats_text(ran: Sequence[Ran], form: str) -> str:
    """What the passes counted; `form` is ``text`` or ``json``."""
    if form == "json":
        found = {one.step.label: {str(k): v for k, v in one.context.stats.items()} for one in ran}
        return json_text(found) + "\n"
    rows = [(one.step.label, str(name), count) for one in ran for name, count in one.context.stats.items()]
    if not rows:
        return "no pass counted anything\n"
    width = max(len(str(count)) for *_, count in rows)
    return "".join(f"{count:>{width}}  {label}: {name}\n" for label, name, count in rows)
