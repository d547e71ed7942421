"""Deliberate errors in the shims, each of which the proof has to find, and changes that are none.

An edit replaces a piece of one function of the template; the piece has to stand there exactly once. Text is compared
without comments and line breaks, and ``{name}`` is a parameter of the template, as there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from proofs.subject import Shape

SMALL = Shape(slots=2, ring=4)
ELEMENTS = Shape(slots=2, ring=16, whole=12, unit=12)
DEFAULT = Shape()


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of the template. `why` says what is lost, or why nothing is."""

    name: str
    function: str
    edits: tuple[tuple[str, str], ...]
    why: str
    shape: Shape = SMALL

    @property
    def operations(self) -> tuple[str, ...]:
        """The shims that the change can be seen in."""
        parts = {
            "drop": ("drop_readable", "drop_writable"),
            "check": ("read", "write"),
            "value": ("read", "write"),
            "read_around": ("read",),
            "write_around": ("write",),
        }
        if self.function in parts:
            return tuple(f"{self.shape.kind}_{name}" for name in parts[self.function])
        return (self.function,)

    def text(self) -> str:
        """The changed template. ValueError if an edit does not apply exactly once, or changes nothing."""
        text = plain(self.shape.text())
        start = text.index(f"(func ${self.function} ")
        end = text.find("(func $", start + 1)
        before, body, after = (
            (text[:start], text[start:], "") if end < 0 else (text[:start], text[start:end], text[end:])
        )
        for old, new in self.edits:
            old, new = (self._filled(plain(piece)) for piece in (old, new))
            if body.count(old) != 1 or old == new:
                raise ValueError(
                    f"mutant {self.name}: the text stands {body.count(old)} times in ${self.function}: {old}"
                )
            body = body.replace(old, new)
        return before + body + after

    def _filled(self, piece: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: str(self.shape.params()[match[1]]), piece)


def plain(text: str) -> str:
    """Text without comments, each stretch of white space as one blank."""
    return re.sub(r"\s+", " ", re.sub(r";;.*", "", text)).replace("( ", "(").replace(" )", ")")


FUTURES = Shape(kind="future", slots=2, ring=4, size=12, value=16)
EMPTY = Shape(kind="future", slots=2, ring=4, size=0, value=8)
MEDIUM = Shape(slots=2, ring=64)
LARGE = Shape(slots=2, ring=512)
CLUSTER = Shape(slots=2, ring=4, base=2 << 16)
FUTURE_CLUSTER = Shape(kind="future", slots=2, ring=4, size=12, value=16, base=2 << 16)
READ, WRITE, NEW, DROP = "stream_read", "stream_write", "stream_new", "drop"
READ_AROUND, WRITE_AROUND = "read_around", "write_around"
KEY = "(i32.load $bridge offset={key} (local.get $header))"
KEY_READ = "(i32.wrap_i64 (local.get $key_state))"
STATE_WRITTEN = "(i32.wrap_i64 (i64.shr_u (local.get $key_state) (i64.const 32)))"
END = "(i64.add (i64.extend_i32_u (local.get $ptr)) (i64.extend_i32_u (local.get $n)))"
COUNT = "(if (i32.ge_u (local.get $n) (local.get $len))"
EDGE = "(i32.gt_u (i32.add (local.get $at) (local.get $n)) (i32.const {ring}))"
LAST = "(i32.add (local.get $ptr) (local.get $last))"
FLOOR = "(local.set $len (i32.sub (local.get $len) (i32.rem_u (local.get $len) (i32.const {whole}))))"
RING = "(i32.shl (i32.and (local.get $handle) (i32.const {slot_mask})) (i32.const {ring_bits}))"
HEADER = "(local.set $header (i32.shl (i32.and (local.get $handle) (i32.const {slot_mask})) (i32.const 4)))"
SECOND_READ = "(memory.copy $memory $bridge (i32.add (local.get $ptr) (local.get $first)) (local.get $ring)"
SECOND_WRITE = "(memory.copy $bridge $memory (local.get $ring) (i32.add (local.get $ptr) (local.get $first))"
BULK_READ = "(memory.copy $memory $bridge (local.get $ptr) (local.get $at) (local.get $n))"
BULK_WRITE = "(memory.copy $bridge $memory (local.get $at) (local.get $ptr) (local.get $n))"
STORE_RD = "(i32.store $bridge offset={read} (local.get $header) (i32.add (local.get $rd) (local.get $n)))"
FIRST_WRITE = "(v128.store $bridge (local.get $at) (v128.load $memory (local.get $ptr)))"
LOCAL = "(i32.ge_s (local.get $handle) (i32.const 0))"

WRONG = (
    Mutant(
        "read-in-another-cluster",
        READ,
        (("(i64.load $bridge offset={key}", "(i64.load $bridge offset=8"),),
        "a handle names the stream of a stranger",
        CLUSTER,
    ),
    Mutant(
        "write-in-another-cluster",
        WRITE,
        (("(i64.load $bridge offset={key}", "(i64.load $bridge offset=8"),),
        "a handle names the stream of a stranger",
        CLUSTER,
    ),
    Mutant(
        "read-the-ring-of-another-cluster",
        READ,
        (("(i32.const {rings})", "(i32.const 65536)"),),
        "bytes of a stranger are read",
        CLUSTER,
    ),
    Mutant(
        "write-into-the-ring-of-another-cluster",
        WRITE,
        (("(i32.const {rings})", "(i32.const 65536)"),),
        "bytes of a stranger are overwritten",
        CLUSTER,
    ),
    Mutant(
        "new-in-another-cluster",
        NEW,
        (("(i32.load $bridge offset={key}", "(i32.load $bridge offset=8"),),
        "a slot is free only if a stranger's is",
        CLUSTER,
    ),
    Mutant(
        "drop-in-another-cluster",
        DROP,
        (("(i32.store $bridge offset={state}", "(i32.store $bridge offset=12"),),
        "a stranger's stream is dropped",
        CLUSTER,
    ),
    Mutant(
        "value-of-another-cluster",
        "value",
        (("(i32.const {values})", "(i32.sub (i32.const {values}) (i32.const 131072))"),),
        "the value of a stranger's future",
        FUTURE_CLUSTER,
    ),
    Mutant("read-any-memory", READ, (("(if (local.get $mem) (then (unreachable)))", ""),), "`mem` is ignored"),
    Mutant("write-any-memory", WRITE, (("(if (local.get $mem) (then (unreachable)))", ""),), "`mem` is ignored"),
    Mutant(
        "value-in-any-memory",
        "check",
        (("(if (local.get $mem) (then (unreachable)))", ""),),
        "`mem` is ignored",
        FUTURES,
    ),
    Mutant(
        "read-any-key", READ, ((f"(i32.ne (local.get $handle) {KEY_READ})", "(i32.const 0)"),), "a forged handle reads"
    ),
    Mutant(
        "read-either-end",
        READ,
        (("(i32.ne (local.get $handle)", "(i32.ne (i32.and (local.get $handle) (i32.const 0xbfffffff))"),),
        "the writable end reads",
    ),
    Mutant(
        "write-wrong-end",
        WRITE,
        (("(i32.xor (local.get $handle) (i32.const 0x40000000))", "(local.get $handle)"),),
        "the readable end writes",
    ),
    Mutant(
        "read-no-generation",
        READ,
        (
            (
                f"(i32.ne (local.get $handle) {KEY_READ})",
                f"(i32.ne (i32.and (local.get $handle) (i32.const 0xe0000001))"
                f" (i32.and {KEY_READ} (i32.const 0xe0000001)))",
            ),
        ),
        "a stale handle reads the next stream of the slot",
    ),
    Mutant(
        "read-after-drop",
        READ,
        (("(i32.and (local.get $state) (i32.const 1))", "(i32.const 0)"),),
        "the dropped readable end reads",
    ),
    Mutant(
        "write-after-drop",
        WRITE,
        ((f"{STATE_WRITTEN} (i32.const 3))", f"{STATE_WRITTEN} (i32.const 1))"),),
        "the dropped writable end writes",
    ),
    Mutant(
        "write-unread",
        WRITE,
        ((f"{STATE_WRITTEN} (i32.const 3))", f"{STATE_WRITTEN} (i32.const 2))"),),
        "bytes are accepted that nobody will read",
    ),
    Mutant(
        "end-and-pending",
        READ,
        (("(select (i32.const 0) (i32.const -5)", "(select (i32.const -5) (i32.const 0)"),),
        "the end of the stream while it is open",
    ),
    Mutant(
        "end-by-reader",
        READ,
        (("(i32.shr_u (local.get $state) (i32.const 1))", "(local.get $state)"),),
        "no end of the stream after the writer's drop",
    ),
    Mutant(
        "empty-read-is-end",
        READ,
        (("(i32.eq (i32.load $bridge offset={words} (local.get $header)) (local.get $rd))", "(i32.const 1)"),),
        "a read of no bytes looks like the end",
    ),
    Mutant(
        "read-unchecked",
        READ_AROUND,
        ((f"(i64.gt_u {END}", f"(i64.lt_u {END}"),),
        "half of a copy lands before the trap",
    ),
    Mutant(
        "write-unchecked",
        WRITE_AROUND,
        ((f"(if (i64.gt_u {END}", "(if (i64.gt_u (i64.const 0)"),),
        "half of a copy lands in the ring before the trap",
    ),
    Mutant(
        "read-bound-wraps",
        READ_AROUND,
        ((END, "(i64.extend_i32_u (i32.add (local.get $ptr) (local.get $n)))"),),
        "a pointer near 4 GiB passes the check",
    ),
    Mutant(
        "read-bound-strict", READ_AROUND, ((f"(i64.gt_u {END}", f"(i64.ge_u {END}"),), "the last byte cannot be used"
    ),
    Mutant(
        "write-bound-signed",
        WRITE_AROUND,
        (("(i64.extend_i32_u (local.get $ptr))", "(i64.extend_i32_s (local.get $ptr))"),),
        "the upper half of a memory cannot be used",
    ),
    Mutant(
        "read-unmasked",
        READ,
        (("(i32.and (local.get $rd) (i32.const {ring_mask}))", "(local.get $rd)"),),
        "reads past the ring",
    ),
    Mutant(
        "write-unmasked",
        WRITE,
        (("(i32.and (local.get $wr) (i32.const {ring_mask}))", "(local.get $wr)"),),
        "writes past the ring",
    ),
    Mutant(
        "read-through-edge",
        READ,
        ((EDGE, "(i32.const 0)"),),
        "one piece runs into the ring of the next slot",
    ),
    Mutant(
        "write-before-edge",
        WRITE_AROUND,
        (("(local.set $first (i32.sub (i32.const {ring})", "(local.set $first (i32.sub (i32.const {ring_mask})"),),
        "the last byte of the ring is left out",
    ),
    Mutant(
        "read-second-to-start",
        READ_AROUND,
        ((SECOND_READ, "(memory.copy $memory $bridge (local.get $ptr) (local.get $ring)"),),
        "the second piece overwrites the first",
    ),
    Mutant(
        "write-second-from-start",
        WRITE_AROUND,
        ((SECOND_WRITE, "(memory.copy $bridge $memory (local.get $ring) (local.get $ptr)"),),
        "the second piece repeats the first",
    ),
    Mutant(
        "read-second-too-long",
        READ_AROUND,
        (("(i32.sub (local.get $n) (local.get $first))", "(local.get $n)"),),
        "bytes beyond the count are written",
    ),
    Mutant(
        "read-second-never",
        READ_AROUND,
        (("(i32.sub (local.get $n) (local.get $first))", "(i32.const 0)"),),
        "what lies beyond the edge is lost",
    ),
    Mutant(
        "read-cursor-first",
        READ_AROUND,
        ((STORE_RD, STORE_RD.replace("$n", "$first")),),
        "the second piece is delivered twice",
    ),
    Mutant(
        "read-cursor-write", READ_AROUND, ((STORE_RD, STORE_RD.replace("{read}", "{words}")),), "the wrong cursor moves"
    ),
    Mutant(
        "read-cursor-still",
        READ,
        ((f"{BULK_READ} {STORE_RD}", BULK_READ),),
        "everything is delivered again",
    ),
    Mutant("read-count-signed", READ, ((COUNT, COUNT.replace("ge_u", "ge_s")),), "a length of 2 GiB is negative"),
    Mutant(
        "write-one-too-few",
        WRITE,
        (("(local.set $n (i32.sub (i32.const {ring})", "(local.set $n (i32.sub (i32.const {ring_mask})"),),
        "a ring that is never full",
    ),
    Mutant(
        "write-torn-by-space",
        WRITE,
        (("(i32.rem_u (local.get $n) (i32.const {unit}))", "(i32.const 0)"),),
        "an element is cut where the ring is full",
        ELEMENTS,
    ),
    Mutant("write-torn", WRITE, ((FLOOR, ""),), "half an element is accepted", ELEMENTS),
    Mutant("read-torn", READ, ((FLOOR, ""),), "half an element is delivered", ELEMENTS),
    Mutant(
        "write-back-to-front",
        WRITE,
        (
            (
                "(memory.copy $bridge $memory (local.get $at) (local.get $ptr)",
                "(memory.copy $memory $bridge (local.get $at) (local.get $ptr)",
            ),
        ),
        "the memories are swapped",
    ),
    Mutant(
        "read-other-ring",
        READ,
        ((RING, RING.replace("(i32.const {ring_bits})", "(i32.const 1)")),),
        "rings overlap",
    ),
    Mutant(
        "read-no-base",
        READ,
        (("(i32.const {rings})", "(i32.const 0)"),),
        "headers are read as data",
    ),
    Mutant(
        "drop-twice",
        DROP,
        (("(i32.and (local.get $state) (local.get $end))", "(i32.const 0)"),),
        "a second drop passes",
    ),
    Mutant(
        "drop-frees-at-once",
        DROP,
        (
            (
                "(i32.eq (i32.and (local.get $state) (i32.const 3)) (i32.const 3))",
                "(i32.and (local.get $state) (i32.const 3))",
            ),
        ),
        "the slot is given away while one end is open",
    ),
    Mutant(
        "drop-stays-live",
        DROP,
        (("(i32.store $bridge offset={key} (local.get $header) (i32.const 0))", ""),),
        "a slot is lost",
    ),
    Mutant(
        "drop-same-generation",
        DROP,
        (("(i32.add (local.get $state) (i32.const 1))", "(i32.and (local.get $state) (i32.const -4))"),),
        "old handles are valid again",
    ),
    Mutant(
        "drop-any", DROP, ((f"(i32.ne (local.get $key) {KEY})", "(i32.const 0)"),), "a forged handle closes a stream"
    ),
    Mutant(
        "drop-readable-other",
        "stream_drop_readable",
        (("(i32.const 1))", "(i32.const 2))"),),
        "the wrong end is marked",
    ),
    Mutant(
        "drop-writable-by-reader",
        "stream_drop_writable",
        (("(i32.xor (local.get $handle) (i32.const 0x40000000))", "(local.get $handle)"),),
        "the reader closes the writable end",
    ),
    Mutant(
        "drop-host-and-here",
        "stream_drop_writable",
        (("(return)", ""),),
        "a stream of the host is dropped there and looked for here",
    ),
    Mutant(
        "new-stale-cursors",
        NEW,
        (("(i64.store $bridge offset={words} (local.get $header) (i64.const 0))", ""),),
        "bytes of the last stream are read",
    ),
    Mutant("new-wraps", NEW, (("(i32.const {state_limit})", "(i32.const -1)"),), "a generation comes back"),
    Mutant("new-one-too-many", NEW, (("(br_if $scan (i32.lt_u", "(br_if $scan (i32.le_u"),), "a slot without a ring"),
    Mutant(
        "new-one-too-few",
        NEW,
        (
            (
                "(local.set $slot (i32.add (local.get $slot) (i32.const 1)))",
                "(local.set $slot (i32.add (local.get $slot) (i32.const 2)))",
            ),
        ),
        "slots are left out",
    ),
    Mutant(
        "new-over-live",
        NEW,
        (("(i32.eqz (i32.load $bridge offset={key} (local.get $header)))", "(i32.const 1)"),),
        "a stream in use is given away",
    ),
    Mutant("new-no-end", NEW, (("(i32.const 0x40000000)", "(i32.const 0)"),), "both ends have one handle"),
    Mutant(
        "new-no-generation",
        NEW,
        (("(i32.const 2)) (i32.const {slot_bits}))", "(i32.const 31)) (i32.const {slot_bits}))"),),
        "handles do not age",
    ),
    Mutant("cancel-to-host", "stream_cancel_read", ((LOCAL, "(i32.const 1)"),), "the host meets a local handle"),
    Mutant(
        "cancel-cancels",
        "stream_cancel_read",
        (("(select (i32.const 0)", "(select (i32.const 1)"),),
        "a write is said to be undone that was not",
    ),
    Mutant(
        "cancel-wrong-end",
        "stream_cancel_write",
        (("(i32.xor (local.get $handle) (i32.const 0x40000000))", "(local.get $handle)"),),
        "the wrong end cancels",
    ),
    Mutant(
        "read-handle-zero",
        READ,
        ((LOCAL, LOCAL.replace("ge_s", "gt_s")),),
        "handle 0 of the host names every free slot",
    ),
    Mutant(
        "read-slot-wide", READ, ((HEADER, HEADER.replace("{slot_mask}", "0x1fffffff")),), "ring bytes pass for a header"
    ),
    Mutant("read-slot-narrow", READ, ((HEADER, HEADER.replace("{slot_mask}", "0")),), "only the first slot is found"),
    Mutant(
        "write-cursor-read",
        WRITE,
        ((f"{BULK_WRITE} (i32.store $bridge offset={{words}}", f"{BULK_WRITE} (i32.store $bridge offset={{read}}"),),
        "what was written is gone",
    ),
    Mutant(
        "write-host-swapped",
        WRITE,
        (
            (
                "(local.get $ptr) (local.get $len) (local.get $mem))",
                "(local.get $len) (local.get $ptr) (local.get $mem))",
            ),
        ),
        "the host gets pointer and length the wrong way round",
    ),
    Mutant(
        "read-few-unchecked",
        READ,
        ((f"(drop (v128.load $memory {LAST}))", ""),),
        "the first bytes land before the trap",
        MEDIUM,
    ),
    Mutant(
        "write-few-stored-early",
        WRITE,
        (
            (
                f"(local.set $v_last (v128.load $memory {LAST})) {FIRST_WRITE}",
                f"{FIRST_WRITE} (local.set $v_last (v128.load $memory {LAST}))",
            ),
        ),
        "the first bytes land in the ring before the trap",
        MEDIUM,
    ),
    Mutant(
        "read-few-wrap",
        READ,
        (("(i32.gt_u (local.get $ptr) (i32.const {furthest}))", "(i32.const 0)"),),
        "the last bytes land at address 0",
        MEDIUM,
    ),
    Mutant(
        "read-few-with-gap",
        READ,
        (("(i32.gt_u (local.get $n) (i32.const 32))", "(i32.gt_u (local.get $n) (i32.const 33))"),),
        "a byte between the first and the last is left out",
        MEDIUM,
    ),
    Mutant(
        "write-few-with-gap",
        WRITE,
        (("(i32.gt_u (local.get $n) (i32.const 64))", "(i32.gt_u (local.get $n) (i32.const 65))"),),
        "a byte between the first and the last is left out",
        LARGE,
    ),
    Mutant(
        "read-more-with-gap",
        READ,
        (("(i32.gt_u (local.get $n) (i32.const 128))", "(i32.gt_u (local.get $n) (i32.const 129))"),),
        "a byte between the first and the last is left out",
        LARGE,
    ),
    Mutant(
        "write-most-with-gap",
        WRITE,
        (("(i32.gt_u (local.get $n) (i32.const {short}))", "(i32.gt_u (local.get $n) (i32.const 257))"),),
        "a byte between the first and the last is left out",
        LARGE,
    ),
    Mutant(
        "read-few-twice",
        READ,
        (("(v128.load $bridge offset=96 (local.get $at))", "(v128.load $bridge offset=80 (local.get $at))"),),
        "sixteen bytes are those before them",
        LARGE,
    ),
    Mutant(
        "write-few-from-before",
        WRITE,
        (("(i32.ge_u (local.get $n) (i32.const 8))", "(i32.ge_u (local.get $n) (i32.const 7))"),),
        "the byte before the ring is written",
        MEDIUM,
    ),
    Mutant(
        "read-few-first-again",
        READ,
        (
            (
                "(i64.load32_u $bridge (i32.add (local.get $at) (local.get $last)))",
                "(i64.load32_u $bridge (local.get $at))",
            ),
        ),
        "the last bytes are the first",
        MEDIUM,
    ),
    Mutant(
        "write-few-cursor-still",
        WRITE,
        (
            (
                "(local.get $w_last)) (i32.store $bridge offset={words} (local.get $header)"
                " (i32.add (local.get $wr) (local.get $n)))"
                " (return (local.get $n))))",
                "(local.get $w_last)) (return (local.get $n))))",
            ),
        ),
        "eight bytes and the next eight are one",
        MEDIUM,
    ),
    Mutant(
        "future-read-early",
        "future_read",
        (("(i32.eqz (i32.load $bridge offset={words} (local.get $header)))", "(i32.const 0)"),),
        "a value that was never written is read",
        FUTURES,
    ),
    Mutant(
        "future-broken",
        "future_read",
        (("(select (i32.const -1) (i32.const 0)", "(select (i32.const 0) (i32.const -1)"),),
        "a future that will never be resolved is waited for",
        FUTURES,
    ),
    Mutant(
        "future-write-twice",
        "future_write",
        (("(then (return (i32.const -6)))", "(then)"),),
        "a value changes after it was read",
        FUTURES,
    ),
    Mutant(
        "future-unresolved",
        "future_write",
        (("(i32.store $bridge offset={words} (local.get $header) (i32.const 1))", ""),),
        "the value is never there",
        FUTURES,
    ),
    Mutant(
        "future-values-overlap",
        "value",
        (("(i32.const {value})", "(i32.const 8)"),),
        "the value of one future is written over that of the next",
        FUTURES,
    ),
    Mutant(
        "future-as-stream",
        "future_new",
        (("(i32.const {tag})", "(i32.const 0x80000000)"),),
        "the handle of a future is that of a stream",
        FUTURES,
    ),
    Mutant(
        "future-nothing-out-of-bounds",
        "future_read",
        (
            (
                "(if (i32.const {size}) (then (memory.copy $memory $bridge",
                "(if (i32.const 1) (then (memory.copy $memory $bridge",
            ),
        ),
        "a value of no bytes traps beyond the end of the memory",
        EMPTY,
    ),
)
"""Each of these has to be refuted."""

EQUIVALENT = (
    Mutant("edge-signed", READ, ((EDGE, EDGE.replace("gt_u", "gt_s")),), "both numbers are at most two rings"),
    Mutant("edge-or-equal", WRITE, ((EDGE, EDGE.replace("gt_u", "ge_u")),), "the second piece has no bytes then"),
    Mutant("count-or-equal", READ, ((COUNT, COUNT.replace("ge_u", "gt_u")),), "the smaller of two equal numbers"),
    Mutant(
        "all-in-bulk",
        READ,
        (("(br_if $bulk (i32.gt_u (local.get $ptr) (i32.const {furthest})))", "(br $bulk)"),),
        "few bytes move as many do",
        MEDIUM,
    ),
    Mutant(
        "cursor-before-copy",
        READ_AROUND,
        (
            (
                "(memory.copy $memory $bridge (local.get $ptr)",
                STORE_RD + " (memory.copy $memory $bridge (local.get $ptr)",
            ),
            ("))) " + STORE_RD + " (local.get $n))", "))) (local.get $n))"),
        ),
        "after the check nothing traps, and copies do not read cursors",
    ),
    Mutant(
        "shift-then-mask",
        READ,
        (
            (
                HEADER,
                "(local.set $header (i32.and"
                " (i32.shl (local.get $handle) (i32.const 4)) (i32.shl (i32.const {slot_mask}) (i32.const 4))))",
            ),
        ),
        "the same bits",
    ),
    Mutant(
        "local-by-bit",
        READ,
        ((LOCAL, "(i32.eqz (i32.shr_u (local.get $handle) (i32.const 31)))"),),
        "the sign is bit 31",
    ),
    Mutant(
        "both-by-carry",
        DROP,
        (
            (
                "(i32.eq (i32.and (local.get $state) (i32.const 3)) (i32.const 3))",
                "(i32.eqz (i32.and (i32.add (local.get $state) (i32.const 1)) (i32.const 3)))",
            ),
        ),
        "both bits are set if one more carries out of them",
    ),
    Mutant(
        "limit-by-equality",
        NEW,
        (
            (
                "(i32.lt_u (local.get $state) (i32.const {state_limit}))",
                "(i32.ne (local.get $state) (i32.const {state_limit}))",
            ),
        ),
        "the limit is where the count stops",
    ),
    Mutant(
        "future-unchecked",
        "check",
        (("(i64.const {page_bits}))) (then (unreachable))", "(i64.const {page_bits}))) (then)"),),
        "a copy in one piece traps by itself before it moves anything",
        FUTURES,
    ),
)
"""Each of these has to be proved."""
