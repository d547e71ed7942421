"""A plan and its constraint graph for people: as text, for graphviz, as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

from meld.passes.base import summary_of
from meld.passmanager import Plan, constraints


def plan_text(plan: Plan) -> str:
    """Each step with what it does and why it stands where it does; remarks at the end."""
    return "\n".join(_plan_lines(plan)) + "\n"


def plan_data(plan: Plan) -> dict[str, Any]:
    """The same as plain data."""
    steps = [
        {
            "number": number,
            "label": step.label,
            "spec": step.instance.spec(),
            "does": summary_of(type(step.instance)),
            "establishes": sorted(step.instance.establishes),
        }
        for number, step in enumerate(plan.steps, 1)
    ]
    constraints_ = [{"before": a, "after": b, "reason": reason} for a, b, reason in _edges(plan)]
    remarks = [{"origin": remark.origin, "message": remark.message} for remark in plan.remarks]
    return {"passes": plan.spec(), "steps": steps, "constraints": constraints_, "remarks": remarks}


def _plan_lines(plan: Plan) -> Iterator[str]:
    if not plan.steps:
        yield "nothing is to run: the program is written as it is"
    edges = _edges(plan)
    for number, step in enumerate(plan.steps, 1):
        label = step.instance.spec() if step.occurrence == 1 else f"{step.label} {step.instance.spec()}"
        yield f"{number:2}. {label}"
        yield f"      {summary_of(type(step.instance))}"
        for fact in sorted(step.instance.establishes):
            yield f"      establishes `{fact}`"
        yield from (f"      because {reason}" for _, second, reason in edges if second == step.name)
    yield from (f"remark: {remark}" for remark in plan.remarks)
    yield f"--passes={plan.spec()}"


def _edges(plan: Plan) -> list[tuple[str, str, str]]:
    found = constraints([type(step.instance) for step in plan.steps])
    names = [step.name for step in plan.steps]
    return sorted(((a, b, reason) for (a, b), reason in found.items()), key=lambda edge: names.index(edge[0]))


def graph_text(plan: Plan) -> str:
    """One constraint a line."""
    return "".join(f"{first} → {second}  {reason}\n" for first, second, reason in _edges(plan))


def graph_dot(plan: Plan) -> str:
    """The constraint graph in the language of graphviz."""
    lines = ["digraph plan {", '  rankdir=LR; node [shape=box, fontname="sans-serif"];']
    lines += [f'  "{step.name}" [label="{n}. {step.name}"];' for n, step in enumerate(plan.steps, 1)]
    lines += [f'  "{a}" -> "{b}" [tooltip="{reason}"];' for a, b, reason in _edges(plan)]
    return "\n".join([*lines, "}"]) + "\n"


BOX, GAP, MARGIN = (190, 30), 26, 20
"""Size of a box, distance between boxes, and margin of the picture, in pixels."""


def graph_svg(plan: Plan) -> str:
    """The constraint graph as a picture: the steps from top to bottom, constraints as arcs at their right."""
    width, height = BOX
    names = list(dict.fromkeys(step.name for step in plan.steps))
    top = {name: MARGIN + i * (height + GAP) for i, name in enumerate(names)}
    parts = []
    for first, second, reason in _edges(plan):
        a, b = top[first] + height / 2, top[second] + height / 2
        bulge = MARGIN + width + 30 + abs(b - a) / 3
        parts.append(
            f'<path d="M{MARGIN + width},{a} C{bulge},{a} {bulge},{b} {MARGIN + width + 4},{b}" fill="none" '
            f'stroke="#789" marker-end="url(#arrow)"><title>{escape(reason)}</title></path>'
        )
    for number, name in enumerate(names, 1):
        parts.append(
            f'<rect x="{MARGIN}" y="{top[name]}" width="{width}" height="{height}" rx="5" fill="#eef3f8" '
            f'stroke="#456"/><text x="{MARGIN + 10}" y="{top[name] + 20}">{number}. {escape(name)}</text>'
        )
    size = f'width="{MARGIN * 2 + width + 30 + len(names) * 22}" height="{MARGIN * 2 + len(names) * (height + GAP)}"'
    marker = (
        '<marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#789"/></marker>'
    )
    style = "text { font: 13px sans-serif; fill: #123; }"
    body = "\n".join(parts)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<defs>{marker}</defs><style>{style}</style>'
    return f"{head}\n{body}\n</svg>\n"
