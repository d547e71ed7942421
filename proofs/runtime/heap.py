"""The heap in bit-vectors: blocks of powers of two from free lists, or from memory that was never used.

Of the heap exist the head of the list of one size, the first free block of it, and some other block, whose size is
whatever it is: one that is in use, or free. The invariant: `state.top` is the end of what was given out; blocks lie
between the heads and it, apart from one another. A block that is taken is the first free one, or begins at `state.top`;
so it is apart from all others, and a block that is given back is the first to be taken. Zero is a block from beyond
`state.top`, where nothing writes (cells are blocks), and one that was used before is cleared.
"""

from __future__ import annotations

from collections.abc import Iterator

import z3

from meld.rewriting.state import HEADS
from proofs.runtime.cells import FILL, GLOBAL, GROW, OUT_OF_MEMORY, REFUSED, Cell, bits, symbol
from proofs.runtime.check import SIZE, Event, Get, Scenario, Want

BASE, TOP, BYTES, OTHER, OTHER_SIZE = map(symbol, ("state.base", "state.top", "bytes", "other", "other.size"))
LEAST, MOST = 4, 31
PAGE = 1 << 16


def class_of(bytes_: z3.BitVecRef) -> z3.BitVecRef:
    """The smallest number of bits from `LEAST` on whose power is no less than some bytes."""
    found = bits(MOST)
    for n in reversed(range(LEAST, MOST)):
        found = z3.If(z3.ULE(bytes_, 1 << n), bits(n), found)
    return found


def size_of(bytes_: z3.BitVecRef) -> z3.BitVecRef:
    """The size of the block for some bytes."""
    return bits(1) << class_of(bytes_)


def wide(a: z3.BitVecRef) -> z3.BitVecRef:
    return z3.ZeroExt(32, a)


def scenarios(limit: int) -> Iterator[Scenario]:
    """A block is taken, or given back."""
    yield taken()
    yield given_back()


def _head() -> Cell:
    return Cell("head", BASE + (class_of(BYTES) << 2), 4, z3.ULE(BYTES, 1 << MOST), static=True)


def within(at: z3.BitVecRef, size: z3.BitVecRef) -> z3.BoolRef:
    """A block lies between the heads and what was never used."""
    return z3.And(z3.UGE(at, BASE + HEADS), z3.ULE(wide(at) + wide(size), wide(TOP)), at & 15 == 0)


def apart(a: z3.BitVecRef, a_size: z3.BitVecRef, b: z3.BitVecRef, b_size: z3.BitVecRef) -> z3.BoolRef:
    """Two blocks do not overlap."""
    return z3.Or(z3.ULE(wide(a) + wide(a_size), wide(b)), z3.ULE(wide(b) + wide(b_size), wide(a)))


def _heap() -> z3.BoolRef:
    """What holds of the memory and the globals."""
    pages = z3.And(z3.ULE(SIZE, 1 << 32), z3.Extract(15, 0, SIZE) == 0)
    return z3.And(
        pages,
        z3.UGE(BASE, 16),
        z3.ULE(BASE, 1 << 30),
        BASE & 15 == 0,
        TOP & 15 == 0,
        z3.UGE(TOP, BASE + HEADS),
        z3.ULE(TOP, 0xFFFFFFF0),
        z3.ULE(wide(TOP), SIZE),
        z3.UGE(OTHER_SIZE, 16),
        within(OTHER, OTHER_SIZE),
    )


def taken() -> Scenario:
    """`block_new`."""
    head, size = _head(), size_of(BYTES)
    block = Cell("block", head.first(0), 16, z3.And(head.when, head.first(0) != 0))
    fits, fresh = z3.ULE(BYTES, 1 << MOST), z3.And(head.when, head.first(0) == 0)
    end = wide(TOP) + wide(size)
    grows = z3.And(fresh, z3.UGT(end, SIZE))
    beyond = z3.Extract(31, 0, z3.LShR(end - SIZE + PAGE - 1, 16))
    result = z3.If(fresh, TOP, block.base)
    cleared = z3.And(block.when, z3.UGT(size, 16))
    want = Want(
        [
            (OUT_OF_MEMORY, z3.Not(fits)),
            (OUT_OF_MEMORY, z3.And(fresh, z3.UGT(end, 0xFFFFFFF0))),
            (OUT_OF_MEMORY, z3.And(grows, REFUSED)),
        ],
        (result,),
        {head.word(0): z3.If(block.when, block.first(0), head.first(0))}
        | {block.word(at): z3.If(block.when, bits(0), block.first(at)) for at in block.words},
        [Event(GROW, (beyond,), grows), Event(FILL, (block.base, bits(0), size), cleared)],
    )
    want.words[GLOBAL, "state.top"] = z3.If(fresh, z3.Extract(31, 0, end), TOP)

    def after(get: Get) -> z3.BoolRef:
        """The block is large enough, inside the memory that there is now, and apart from the other one."""
        have = SIZE + z3.If(grows, wide(beyond) << 16, z3.BitVecVal(0, 64))
        new_top = want.words[GLOBAL, "state.top"]
        return z3.And(
            z3.UGE(size, BYTES),
            result & 15 == 0,
            z3.UGE(result, BASE + HEADS),
            z3.ULE(wide(result) + wide(size), wide(new_top)),
            z3.ULE(wide(new_top), have),
            z3.ULE(have, 1 << 32),
            new_top & 15 == 0,
            apart(result, size, OTHER, OTHER_SIZE),
        )

    free = z3.And(within(block.base, size), apart(block.base, size, OTHER, OTHER_SIZE))
    return Scenario(
        "block_new",
        "state.block_new",
        (BYTES,),
        [head, block],
        z3.And(_heap(), z3.Implies(block.when, free)),
        want,
        invariant=after,
    )


def given_back() -> Scenario:
    """`block_free`: the block is the first free one of its size, and so the next to be taken."""
    head, block = _head(), Cell("block", symbol("block"), 16)
    given = z3.And(_heap(), z3.ULE(BYTES, 1 << MOST), within(block.base, size_of(BYTES)))
    words = {block.word(0): head.first(0), head.word(0): block.base, (GLOBAL, "state.top"): TOP}
    return Scenario("block_free", "state.block_free", (block.base, BYTES), [head, block], given, Want([], (), words))
