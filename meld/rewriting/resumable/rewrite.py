"""The rewriting of one function, so that its frame can be taken off the stack and put back.

Nothing is flattened, and nothing is executed twice. A call at which the function may be suspended is a *point*. At each
level of nesting that has points, a branch by the number of the point goes to where the frame stood, and so from
level to level down to the call, which is made again. For that the operands below a call are kept in locals.

    (func $f (param $n i32) (result i32)      (func $f (param $n i32) (result i32) (local $frame i32) (local $point i32)
      local.get $n                              global.get $state            ;; rewinding: the frame is loaded
      call $wait                                if … local.set $point … end
      i32.add)                                  block $unwind
                                                  block $body (result i32)
                                                    block $1
                                                      local.get $point
                                                      br_if $1
                                                      local.get $n
                                                      local.set $operand
                                                    end
                                                    i32.const 0
                                                    local.set $point
                                                    call $wait
                                                    global.get $state        ;; unwinding
                                                    if  i32.const 1  local.set $point  br $unwind  end
                                                    local.set $result
                                                    local.get $operand
                                                    local.get $result
                                                    i32.add
                                                  end
                                                  return
                                                end
                                                …                            ;; the frame is saved
                                                i32.const 0)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import field, replace
from typing import Any, TypeAlias

from meld.diagnostics import MeldError
from meld.ir.instructions import BlockType, Code, Instruction, MemArg
from meld.ir.module import Function, Module, Table
from meld.ir.types import FUNCREF, I32, NumType, RefType, ValType
from meld.rewriting.labels import Flat, Label, Opening, resolve, snippet
from meld.rewriting.resumable.callgraph import RUNS
from meld.rewriting.resumable.carrier import KIND, Carrier
from meld.rewriting.resumable.frames import FrameCode, layout
from meld.rewriting.resumable.levels import Arm, Nest, Point, Slot, read_levels
from meld.rewriting.resumable.live_locals import live_across
from meld.rewriting.resumable.placeholders import NoValueError, Placeholders
from meld.support.records import record

Steps: TypeAlias = "Iterator[Steps]"
"""A generator of nested work, so that the depth of a body is not limited by Python's stack."""

END = Instruction("end")


@record()
class FrameInfo:
    """The frame of a rewritten function: its number of points, and its size in bytes."""

    points: int
    size: int


@record()
class Rewriting:
    """The state of rewriting one function.

    Attributes:
        is_point: whether a call may suspend the function.
        steady: whether nothing ever changes the elements that a table has.
        placeholders: what functions return while they are unwound.
    """

    module: Module
    carrier: Carrier
    is_point: Callable[[Instruction], bool]
    steady: Callable[[Table], bool]
    placeholders: Placeholders

    def rewrite(self, function: Function) -> FrameInfo | None:
        """Rewrites a function; None if it has no points and was left as it is. Raises MeldError if that cannot be."""
        body = Label()
        if any(i.op in RUNS for i in function.view().instructions):
            raise refused(function, "it runs continuations; let the pass `stack-switching` carry frames")
        level = read_levels(function, self.is_point, body)
        if not level.numbers:
            return None
        return _Body(self, function, body).rewrite(level)


def refused(function: Function, why: str) -> MeldError:
    """The error that a function cannot be suspended."""
    name = f"function `{function.name}`" if function.name else "a function without a name"
    return MeldError(f"{name} cannot be suspended: {why}")


@record()
class _Body:
    """Writes the new body of a function."""

    rewriting: Rewriting
    function: Function
    body: Label
    unwind: Label = field(default_factory=Label)
    out: list[Flat] = field(default_factory=list)
    slots: dict[Slot, int] = field(default_factory=dict)
    kept: dict[int, ValType] = field(default_factory=dict)
    captured: dict[int, int] = field(default_factory=dict)
    locals: list[ValType] = field(default_factory=list)
    first: int = 0
    point: int = 0
    frame: int = 0

    def rewrite(self, level: Arm) -> FrameInfo:
        code, signature = self.function.code, self.function.signature
        given = [*signature.params, *code.locals]
        self.first = len(given)
        self.point, self.frame = self.local(I32), self.local(I32)
        placeholders = self.placeholders()
        live = live_across(self.function, self.rewriting.is_point)
        run(self.level(level, []))
        non_null = {
            n for n, t in enumerate(given) if n >= len(signature.params) and isinstance(t, RefType) and not t.nullable
        }
        self.out = _not_null(self.out, non_null)
        locals_ = [_nullable(t) for t in code.locals]
        types = [*signature.params, *locals_]
        saved, size = layout([*((n, t) for n, t in enumerate(types) if n in live), *self.kept.items()])
        whole = self.wrapped(saved, size, placeholders)
        self.function.body = Code([*locals_, *self.locals], resolve(whole, Label()), code.source)
        self.function.local_names = {**self.function.local_names, **self.names()}
        return FrameInfo(level.numbers.stop - 1, size)

    def names(self) -> dict[int, str]:
        taken = set(self.function.local_names.values())
        return {n: name for n, name in ((self.point, "point"), (self.frame, "frame")) if name not in taken}

    def wrapped(self, saved: list[Any], size: int, placeholders: list[Flat]) -> list[Flat]:
        """The whole function: the body between the code that restores the frame and the code that saves it."""
        carrier = self.rewriting.carrier
        moves = FrameCode(self.rewriting.module, carrier, self.frame)
        return snippet(
            """
            global.get $state
            if
              global.get $top  i32.const $size  i32.sub  local.tee $frame  global.set $top
              local.get $frame  i32.load $number  local.set $point
              $restore
            end
            block @unwind
              block type=$type @body
                $inside
              end
              return
            end
            global.get $limit  global.get $top  i32.sub  i32.const $size  i32.lt_u
            if
              i32.const $size  call $grow
            end
            global.get $top  local.tee $frame  local.get $point  i32.store $number
            $save
            local.get $frame  i32.const $size  i32.add  global.set $top
            $placeholders
            """,
            **{"state": carrier.state, "top": carrier.top, "limit": carrier.limit, "grow": carrier.grow},
            **{"size": size, "frame": self.frame, "point": self.point, "number": MemArg(2, 0, carrier.memory)},
            **{"restore": moves.restore(saved), "save": moves.save(saved), "placeholders": placeholders},
            **{"unwind": self.unwind, "body": self.body, "inside": self.out},
            type=self.block_type(self.function.signature.results),
        )

    # --- levels ---

    def level(self, arm: Arm, entry: list[Flat]) -> Steps:
        """A level: `entry` puts on the stack what lies there when it begins."""
        inner = [item for item in arm.items if isinstance(item, Point | Nest)]
        if len(inner) == 1 and inner[0] is arm.items[0] and not entry and _takes_nothing(inner[0]):
            targets: list[Label] = []  # there is nothing to skip
        else:
            targets = [Label() for _ in inner]
        for target in reversed(targets):
            self.out.append(Opening(Instruction("block", (None,)), target))
        self.dispatch(inner, targets)
        self.out += entry
        for item in arm.items:
            match item:
                case Point():
                    self.call(item, targets)
                case Nest():
                    yield self.nest(item, targets)
                case _:
                    self.out.append(item)

    def dispatch(self, inner: list[Point | Nest], targets: list[Label]) -> None:
        """Jumps to where the frame stood, if it is put back."""
        if len(targets) == 1:
            self.out += snippet("local.get $point br_if $target", point=self.point, target=targets[0])
        elif targets:
            start = Label()
            numbers = [
                item.numbers if isinstance(item, Nest) else range(item.number, item.number + 1) for item in inner
            ]
            given = {"start": start, "point": self.point}
            if len(targets) == 2:
                first, last = targets
                choice = snippet(
                    "local.get $point i32.const $next i32.lt_u br_if $first br $last",
                    **{"point": self.point, "next": numbers[1].start, "first": first, "last": last},
                )
            else:
                table = tuple(target for target, r in zip(targets, numbers, strict=True) for _ in r)
                choice = snippet(
                    "local.get $point i32.const $first i32.sub br_table $table",
                    **{"point": self.point, "first": numbers[0].start, "table": table},
                )
            self.out += snippet(
                "block @start local.get $point i32.eqz br_if $start $choice end", **given, choice=choice
            )

    def nest(self, nest: Nest, targets: list[Label]) -> Steps:
        """A block with points inside. Its parameters are kept in locals; only a loop has them as such."""
        if nest.condition is not None:
            self.set(nest.condition)
            self.keep(nest.condition)
        self.set(*nest.params)
        self.set(*nest.below)
        self.keep(*nest.below)
        self.out += [END] if targets else []
        opening = nest.opening.instruction
        params = self.get(*nest.params)
        if nest.condition is not None:
            self.out += self.get(nest.condition)
        if opening.op == "loop":
            self.keep(*(slot for slot in nest.params if not _defaultable(slot[1])))
            self.out += params
            self.out.append(nest.opening)
            self.set(*nest.params)
        else:
            args = (self.block_type(tuple(t for _, t in nest.results)), *opening.args[1:])
            changed = replace(opening, args=args)
            self.out.append(Opening(changed, nest.opening.label))
        self.throw_again(nest)
        for arm in nest.arms:
            yield self.arm(arm, params)
        if opening.op == "if" and nest.params and len(nest.arms) == 1:
            self.out += [Instruction("else"), *params]
        self.out.append(nest.closing)
        self.back(nest.below, nest.results)

    def throw_again(self, nest: Nest) -> None:
        """Throws what was caught, where a handler is entered again."""
        for arm in nest.arms:
            if arm.head is None or arm.head.op not in ("catch", "catch_all") or not arm.numbers:
                continue
            if arm.rethrows and arm.head.op == "catch_all":
                raise refused(self.function, "it makes a call that may block within a `catch_all` that rethrows")
            tag = arm.head.args[0] if arm.head.args else self.rewriting.placeholders.tag()
            self.keep(*arm.exception)
            self.out += snippet(
                """
                local.get $point  i32.const $first  i32.sub  i32.const $count  i32.lt_u
                if
                  $values  throw $tag
                end
                """,
                **{"point": self.point, "first": arm.numbers.start, "count": len(arm.numbers)},
                **{"values": self.get(*arm.exception), "tag": tag},
            )

    def arm(self, arm: Arm, params: list[Flat]) -> Steps:
        if arm.head is not None:
            self.out.append(arm.head)
            if arm.head.op != "else":
                params = []
                if arm.numbers:
                    self.set(*arm.exception)
                    params = self.get(*arm.exception)
        yield self.level(arm, params)

    # --- points ---

    def call(self, point: Point, targets: list[Label]) -> None:
        """A call at which the function may be suspended."""
        if point.callee is not None:
            self.set(point.callee)
            self.keep(point.callee)
            self.capture(point)
        self.set(*point.args)
        self.keep(*(slot for slot in point.args if not _defaultable(slot[1])))
        self.set(*point.below)
        self.keep(*point.below)
        self.out += [END] if targets else []
        # before the call, since it may throw
        self.out += snippet("i32.const 0 local.set $point", point=self.point)
        self.made(point)
        self.out += snippet(
            """
            global.get $state
            if
              i32.const $number  local.set $point  br $unwind
            end
            """,
            **{"state": self.rewriting.carrier.state, "number": point.number},
            **{"point": self.point, "unwind": self.unwind},
        )
        if point.call.op.startswith("return"):
            self.out.append(Instruction("return"))
        else:
            self.back(point.below, point.results)

    def capture(self, point: Point) -> None:
        """Notes the function that is called through a table whose elements may change while it is suspended."""
        if not point.call.op.endswith("call_indirect") or self.rewriting.steady(point.call.args[0]):
            return
        assert point.callee is not None
        table = point.call.args[0]
        local = self.captured[point.number] = self.local(FUNCREF)
        self.kept[local] = FUNCREF
        self.out += snippet(
            """
            $index  table.size $table  $less
            if
              $index  table.get $table  local.set $local
            end
            """,
            **{"index": self.get(point.callee), "table": table, "local": local},
            less=[Instruction(f"{'i64' if table.limits.is64 else 'i32'}.lt_u")],
        )

    def made(self, point: Point) -> None:
        """The call itself, which is no tail call any more."""
        args = self.get(*point.args)
        callee = [] if point.callee is None else self.get(point.callee)
        op, immediates = point.call.op.removeprefix("return_"), point.call.args
        call = replace(point.call, op=op)
        captured = self.captured.get(point.number)
        if captured is None:
            self.out += [*args, *callee, call]
            return
        carrier = self.rewriting.carrier
        table = carrier.references_for(self.rewriting.module, FUNCREF).table
        self.out += snippet(
            """
            global.get $state
            if type=$type
              i32.const 0  local.get $captured  table.set $table
              $args  i32.const 0  call_indirect $table $function
            else
              $args  $callee  $call
            end
            """,
            **{"state": carrier.state, "captured": captured, "table": table, "function": immediates[1]},
            **{"args": args, "callee": callee, "call": [call]},
            type=self.block_type(tuple(t for _, t in point.results)),
        )

    def back(self, below: list[Slot], results: list[Slot]) -> None:
        """Puts the operands below the results again."""
        if below:
            self.set(*results)
            self.out += self.get(*below, *results)

    # --- locals ---

    def local(self, t: ValType) -> int:
        self.locals.append(t)
        return self.first + len(self.locals) - 1

    def of(self, slot: Slot) -> int:
        """The local for an operand; one that lies elsewhere, or is of another type, has another one."""
        found = self.slots.get(slot)
        if found is None:
            found = self.slots[slot] = self.local(_nullable(slot[1]))
        return found

    def keep(self, *slots: Slot) -> None:
        """Has operands saved with the frame."""
        for slot in slots:
            self.kept[self.of(slot)] = _nullable(slot[1])

    def set(self, *slots: Slot) -> None:
        """Takes operands from the stack, of which the topmost is the last."""
        self.out += [Instruction("local.set", (self.of(slot),)) for slot in reversed(slots)]

    def get(self, *slots: Slot) -> list[Flat]:
        """Code that pushes operands."""
        out: list[Flat] = []
        for slot in slots:
            out.append(Instruction("local.get", (self.of(slot),)))
            if not _defaultable(slot[1]):
                out.append(Instruction("ref.as_non_null"))
        return out

    # --- types ---

    def block_type(self, results: tuple[ValType, ...]) -> BlockType:
        if len(results) < 2:
            return results[0] if results else None
        return self.rewriting.module.func_type((), results)

    def placeholders(self) -> list[Flat]:
        """Code that pushes the values that the function returns while it is unwound."""
        try:
            return [i for t in self.function.signature.results for i in self.rewriting.placeholders.value(t)]
        except NoValueError:
            raise refused(self.function, "there is no value of a type that it returns") from None


def run(steps: Steps) -> None:
    """Runs nested generators of work without recursion."""
    open_ = [steps]
    while open_:
        inner = next(open_[-1], None)
        if inner is None:
            open_.pop()
        else:
            open_.append(inner)


def _takes_nothing(item: Point | Nest) -> bool:
    """Whether nothing lies on the stack where an item begins."""
    if isinstance(item, Nest):
        return not item.below and not item.params and item.condition is None
    return not item.below and not item.args and item.callee is None


def _nullable(t: ValType) -> ValType:
    return RefType(True, t.heap) if isinstance(t, RefType) else t


def _defaultable(t: ValType) -> bool:
    """Whether a local of the type has a value from the start."""
    return isinstance(t, NumType) or t.nullable


def _not_null(flat: list[Flat], locals_: set[int]) -> list[Flat]:
    """Locals that are never null become ones that may be, since they are restored within a block."""
    if not locals_:
        return flat
    out: list[Flat] = []
    for one in flat:
        out.append(one)
        if isinstance(one, Instruction) and one.op in ("local.get", "local.tee") and one.args[0] in locals_:
            out.append(Instruction("ref.as_non_null"))
    return out


__all__ = ["KIND", "FrameInfo", "Rewriting", "refused"]
