"""Division by a constant without a divider: what makes elements of 12 bytes as quick to prove as elements of one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import z3

REMAINDERS = frozenset({z3.Z3_OP_BUREM, z3.Z3_OP_BUREM_I})
QUOTIENTS = frozenset({z3.Z3_OP_BUDIV, z3.Z3_OP_BUDIV_I})

KEPT = 1 << 12
_whole: dict[int, z3.BoolRef] = {}
"""Formulas that hold no division, by their ids, which they keep as long as they are here."""


def without_division(formulas: Sequence[z3.BoolRef]) -> list[z3.BoolRef]:
    """Equivalent formulas in which quotient and remainder of `x / c` are symbols.

    They are bound by ``x = c·q + r``, ``r < c`` and ``c·q + r`` not wrapping, which only the true quotient and
    remainder satisfy; so nothing is lost or assumed.
    """
    rewritten = list(formulas)
    rounds = itertools.count()
    while divisions := _divisions(rewritten):
        turn = next(rounds)
        names: dict[tuple[int, int], int] = {}
        facts: list[z3.BoolRef] = []
        symbols: list[tuple[z3.BitVecRef, z3.BitVecRef]] = []
        for term in divisions:
            dividend, divisor = term.children()
            size, c = dividend.size(), divisor.as_long()
            n = names.setdefault((dividend.get_id(), c), len(names))
            q, r = (z3.BitVec(f"{name}!{turn}.{n}", size) for name in "qr")
            symbols.append((term, r if term.decl().kind() in REMAINDERS else q))
            facts += [dividend == c * q + r, z3.ULT(r, c), z3.ULE(q, ((1 << size) - 1) // c), z3.ULE(r, dividend)]
        rewritten = [z3.substitute(f, *symbols) for f in rewritten] + facts
    return rewritten


def _divisions(formulas: Sequence[z3.BoolRef]) -> list[z3.BitVecRef]:
    """The divisions by a constant whose dividend holds none itself."""
    holds: dict[int, bool] = {}
    found: dict[int, z3.BitVecRef] = {}
    new = [f for f in formulas if f.get_id() not in _whole]
    pending = list(new)
    while pending:
        term = pending[-1]
        if term.get_id() in holds:
            pending.pop()
            continue
        parts = term.children()
        later = [part for part in parts if part.get_id() not in holds]
        if later:
            pending += later
            continue
        inside = any(holds[part.get_id()] for part in parts)
        mine = term.decl().kind() in REMAINDERS | QUOTIENTS and z3.is_bv_value(parts[1]) and parts[1].as_long() != 0
        if mine and not inside:
            found[term.get_id()] = term
        holds[term.get_id()] = mine or inside
        pending.pop()
    if len(_whole) > KEPT:
        _whole.clear()
    _whole.update((f.get_id(), f) for f in new if not holds[f.get_id()])
    return list(found.values())
