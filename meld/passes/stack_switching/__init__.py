"""The pass `stack-switching`: what blocks without a callback can leave, on a stack of its own.

It does what `resumable-frames` does, by the proposal of stack switching: the driver runs the code of each task as a
continuation, and a leaf that has to leave suspends it. Leaves and drivers keep their protocol (`frames.wat`,
`meld.rewriting.resumable`): a leaf is called again when its frames are back. So no function of a component is changed.

Source: https://github.com/WebAssembly/stack-switching, Explainer.
"""

from __future__ import annotations

from typing import Any

from meld.diagnostics import MeldError
from meld.ir.instructions import Instruction
from meld.ir.module import Function, Module
from meld.notes.tasks import FrameFunctions, LeavingFunctions, Suspends, may_block, task_calls
from meld.passes.base import Pass, PassContext, option
from meld.rewriting.rebind import rebind_notes
from meld.rewriting.state import State
from meld.rewriting.template import template_text
from meld.rewriting.text import Text, calls, types
from meld.support.records import record

KIND = "stack-switching"
MOST_KEPT = 100_000

LEAF = """(loop $again{results}
      {call}
      (if (i32.eq (global.get $state) (i32.const 1)) (then (suspend $leave) (drop) (drop) (br $again))))"""
"""What is called in place of a leaf: where it has to leave, it suspends, and calls the leaf again."""


class StackSwitching(Pass):
    """Run what may block inside a task on a stack of its own, by the proposal of stack switching; for engines with it.

    In place of `resumable-frames`: ``--passes=default,stack-switching{pool=8}`` puts it there. Functions of components
    stay as they are, so it costs no code in them. To make a stack takes time (some 10 µs), so some are kept.

        (call $deliver (local.get $task))
    becomes
        (resume $stack (on $leave $left) (local.get $task) … (call $stack_new))
    """

    name = "stack-switching"
    requires = frozenset({"wired"})
    establishes = frozenset({"resumable"})
    after = ("wire-entries", "adapter-wiring")
    before = ("guard-entries", "finish")
    instead_of = "resumable-frames"
    pool: int = option(256, "how many stacks of tasks that are over are kept for others; 0 keeps none")

    def __post_init__(self) -> None:
        if not 0 <= self.pool <= MOST_KEPT:
            raise MeldError(f"`{self.name}` keeps 0 to {MOST_KEPT} stacks, not {self.pool}")

    def run(self, module: Module, cx: PassContext) -> None:
        first = next(may_block(module), None)
        if first is None:
            return  # tasks wait in their callbacks only
        for frames, leaving in zip(module.notes_of(FrameFunctions), module.notes_of(LeavingFunctions), strict=True):
            if cx.allows("stack switching"):
                calls = {n.call: bool(n.blocks) for n in task_calls(module) if n.call}
                cx.stats["leaves"] = _Switching(module, frames, leaving, self.pool, calls).run()
                cx.remark(
                    f"what may block runs on stacks of its own ({first}), so the "
                    f"product needs an engine with stack-switching; {self.pool} stacks at most are kept for other tasks"
                )


@record()
class _Switching:
    """Puts the driver and leaves that switch stacks in place of those that do not.

    Attributes:
        calls: number of a call that is a task → whether it may block.
    """

    module: Module
    frames: FrameFunctions
    leaving: LeavingFunctions
    pool: int
    calls: dict[int, bool]

    def run(self) -> int:
        """Returns the number of leaves."""
        module, frames = self.module, self.frames
        leaves = [f for f in module.functions if f.note(Suspends) is not None]
        text = Text(module, KIND)
        text.give("$memory", State.of(module).memory)
        for holder, names in ((frames, "state top limit grow drive"), (self.leaving, "driven off")):
            for name in names.split():
                text.give(f"${name}", getattr(holder, name))
        others = [number for number, blocks in self.calls.items() if not blocks]
        labels = ("$no" if number in others else "$yes" for number in range(max(self.calls, default=0) + 1))
        params = {"pool": self.pool, "others": others, "blocking": " ".join(labels)}
        text.add(template_text(__package__, "stacks.wat", params))
        for number, leaf in enumerate(leaves):
            call, results = calls(text.use(leaf), leaf.signature), types("result", leaf.signature.results)
            text.function(f"leaf.{number}", leaf.signature, LEAF.format(call=call, results=results))
        generated = set(module.functions)
        made: dict[str, Any] = text.place()
        generated = {f for f in module.functions if f not in generated}
        new: dict[Any, Any] = {frames.drive: made["switch"]}
        for number, leaf in enumerate(leaves):
            wrapper = new[leaf] = made[f"leaf.{number}"]
            wrapper.name = f"{leaf.name}.leaves"
        rebind_notes(module, {leaf: new[leaf] for leaf in leaves})
        module.replace_uses(new, unless=lambda item: isinstance(item, Function) and item in generated)
        frames.movable.init = [Instruction("i32.const", (-1,))]
        return len(leaves)
