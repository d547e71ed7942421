"""What happens between instances, as text: `meldc run --trace-async`.

One line for each call, event and copy, in order: what, who, and which function or channel::

    call   host → consumer  run  (sync)
    call   consumer → producer  numbers  (async)
    end    producer  numbers  returned
    copy   producer → consumer  (stream u8)  16 elements
    event  consumer  STREAM_READ 3: 16, completed  → run (callback)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING

from meld.abi.options import Options
from meld.abi.types import show
from meld.runtime.tasks.scheduler import InstanceState
from meld.support.records import record

if TYPE_CHECKING:
    from meld.runtime.tasks.channels import Buffer, Channel
    from meld.runtime.tasks.waitables import Event, Status

HOST = "host"


@record(eq=False)
class Trace:
    """Prints what happens, or nothing."""

    write: Callable[[str], None] | None = field(default=None)

    def call(self, caller: InstanceState | None, callee: InstanceState, label: str, options: Options) -> None:
        """A call begins."""
        if self.write is not None:
            self._line("call", _pair(caller, callee), label, "(async)" if options.is_async else "(sync)")

    def subtask(self, caller: InstanceState, label: str, handle: int, status: Status) -> None:
        """The caller continues before the call is over."""
        if self.write is not None:
            self._line("task", caller.name, label, f"{status.name.lower()}, subtask {handle}")

    def end(self, callee: InstanceState, label: str, *, cancelled: bool) -> None:
        """A call has its result, or was cancelled."""
        if self.write is not None:
            self._line("end", callee.name, label, "cancelled" if cancelled else "returned")

    def event(self, instance: InstanceState, event: Event, to: str) -> None:
        """An event is delivered."""
        if self.write is not None:
            self._line("event", instance.name, _event(event), f"→ {to}")

    def copy(self, channel: Channel, writer: Buffer, reader: Buffer, count: int) -> None:
        """Elements are copied from one memory to another."""
        if self.write is not None:
            elements = "1 element" if count == 1 else f"{count} elements"
            self._line("copy", _pair(writer.instance, reader.instance), show(channel.type), elements)

    def _line(self, what: str, *parts: str) -> None:
        assert self.write is not None
        self.write("  ".join([f"{what:5}", *parts]))


def _pair(first: InstanceState | None, second: InstanceState) -> str:
    return f"{HOST if first is None else first.name} → {second.name}"


def _event(event: Event) -> str:
    code, handle, payload = event
    match code.name:
        case "NONE" | "TASK_CANCELLED":
            return code.name
        case "SUBTASK":
            from meld.runtime.tasks.waitables import Status

            return f"SUBTASK {handle}: {Status(payload).name.lower()}"
        case _:
            from meld.runtime.tasks.channels import Result

            result = Result(payload & 0xF).name.lower()
            count = "" if code.name.startswith("FUTURE") else f"{payload >> 4}, "
            return f"{code.name} {handle}: {count}{result}"
