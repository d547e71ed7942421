"""Notes about streams and futures: who declares which built-ins, domains, pairs, the bridge and its shims."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any

from meld.abi.intrinsics import INTRINSICS, MODULE
from meld.abi.types import read_type, show_bare, write_type
from meld.ir.component import Future, Stream
from meld.ir.module import Function, Memory
from meld.ir.notes import Instance, NameOf, Note, Resolve, Sexp, coded, flag, note, number, ref, symbol, text
from meld.notes.boundaries import read_optional_type, write_optional_type


@note("intrinsic")
class IntrinsicEntry(Note):
    """On a function: what an instance calls for an intrinsic of `pulseengine:async`, before any bridge.

    Attributes:
        memory: the instance's memory number 0, which its pointers mean; None if it has no memory.
        memories: how many the instance has; `mem` is the number of one.
    """

    intrinsic: str = symbol(positional=True)
    instance: Instance = ref("note")
    memory: Memory | None = ref("memories", default=None)
    memories: int = number(default=1)

    def problems(self, holder: Any, program: Any) -> Iterator[str]:
        """There is such an intrinsic."""
        yield from _unknown(self.intrinsic)


def _unknown(intrinsic: str) -> Iterator[str]:
    if intrinsic not in INTRINSICS:
        yield f"names `{intrinsic}`, which is no intrinsic of `{MODULE}`"


@note("streams")
class StreamUse(Note):
    """On the module: which stream or future built-ins an instance declares for one type, or that it joins waitables.

    ``(@meld.streams $producer (builtins stream.new stream.write) (type (stream u8)))``. Declared is enough: an
    instance in the style of `pulseengine:async` has no core use of them.
    """

    instance: Instance = ref("note", positional=True)
    builtins: tuple[str, ...] = symbol(many=True)
    type: Any = coded(write_optional_type, read_optional_type, default=None)


def _write_element(t: Any, name_of: NameOf) -> list[Sexp]:
    return [] if t is None else [write_type(t, name_of)]


def _read_element(parts: list[Sexp], resolve: Resolve) -> Any:
    return read_type(parts[0], resolve) if parts else None


class Carried(Enum):
    """How the streams or futures of a domain are carried; the value is the word in the note."""

    BRIDGE = "bridge"
    """`pulseengine:async` inside the module: bytes go through the rings of the bridge memory."""
    RENDEZVOUS = "rendezvous"
    """The canonical built-ins inside the module: elements go straight from one memory to the other."""
    HOST = "host"
    """Outside: whatever instances import for them stays an import."""


@note("domain", declares=True)
class Domain(Note):
    """A stream domain: ``(@meld.domain $d0 (instances $a $b) (element u8) (carried bridge))``.

    Attributes:
        instances: those that declare built-ins for it.
        element: the element type; none for the untyped stream.
        size: bytes of one element: 1 for the untyped stream, 0 for the untyped future.
        future: a domain of futures instead of streams.
        cluster: the number of the cluster of linked instances that it is in. A bridge belongs to a cluster.
        carried: a `Carried`.
        why: what decided that.
        open: it is on the host since the host can see its ends, and for no other reason: in a component each end can be
            the host's or the module's.
    """

    instances: tuple[Instance, ...] = ref("note", many=True)
    element: Any = coded(_write_element, _read_element, default=None)
    size: int = number(default=1)
    future: bool = flag(default=False)
    cluster: int = number(default=0)
    carried: str = symbol(default=Carried.HOST.value)
    why: str | None = text(default=None)
    open: bool = flag(default=False)

    @property
    def type(self) -> Future | Stream:
        """The type of its streams or futures."""
        return Future(self.element) if self.future else Stream(self.element)

    @property
    def bridged(self) -> bool:
        """Whether the bridge carries it."""
        return self.carried == Carried.BRIDGE.value

    def keep_on_host(self, why: str) -> None:
        """Decides that its streams stay outside."""
        self.carried, self.why = Carried.HOST.value, why

    def problems(self, holder: Any, program: Any) -> Iterator[str]:
        """It is carried in one of the ways that there are."""
        if self.carried not in {way.value for way in Carried}:
            yield f"is carried by `{self.carried}`; there are {', '.join(f'`{way.value}`' for way in Carried)}"


def keep_on_host(domains: Iterable[Domain], obstacles: Iterable[tuple[Domain, str]]) -> list[Domain]:
    """Keeps domains on the host that something stands in the way of, and those that share intrinsics with one of them.

    An instance calls the same intrinsics for all its streams, and others for all its futures. They are either the
    host's or the shims: if one of its domains stays outside, so do all of its kind.

    Args:
        domains: all that may share intrinsics.
        obstacles: which of them cannot be bridged, and why.

    Returns:
        Those that are kept, each after the one that it follows.
    """
    sharing: dict[tuple[bool, Instance], list[Domain]] = {}
    for domain in domains:
        for instance in domain.instances if domain.bridged else ():
            sharing.setdefault((domain.future, instance), []).append(domain)
    kept: list[Domain] = []
    for domain, why in obstacles:
        domain.keep_on_host(why)
        kept.append(domain)
    for domain in kept:  # which grows
        for instance in domain.instances:
            for other in sharing.pop((domain.future, instance), ()):
                if other.bridged:
                    other.keep_on_host(
                        f"`{instance.name}` uses the same intrinsics for {show_bare(domain.type)}, "
                        "which stays on the host"
                    )
                    kept.append(other)
    return kept


MOST_PAIRS = 64
"""Up to so many pairs of a domain are shown one by one."""


@note("pair")
class Pair(Note):
    """Who writes and who reads in one domain: ``(@meld.pair (domain $d0) (producer $a) (consumer $b $c))``.

    Each producer is a pair with each consumer other than itself. One note lists them all, since pairs grow with the
    square of the instances.
    """

    domain: Domain = ref("note")
    producer: tuple[Instance, ...] = ref("note", many=True)
    consumer: tuple[Instance, ...] = ref("note", many=True)

    def problems(self, holder: Any, program: Any) -> Iterator[str]:
        """All are of the domain."""
        known = set(self.domain.instances)
        for one in (*self.producer, *self.consumer):
            if one not in known:
                yield f"`{one.name}` is not in the domain `{self.domain.name}`"

    def flows(self) -> Iterator[tuple[tuple[Instance, ...], tuple[Instance, ...]]]:
        """The pairs of a producer and a consumer; if there are very many, all producers and all consumers as one."""
        if len(self.producer) * len(self.consumer) > MOST_PAIRS:
            yield self.producer, self.consumer
        else:
            yield from (((a,), (b,)) for a in self.producer for b in self.consumer if a is not b)


def pairs_by_domain(pairs: Iterable[Pair]) -> dict[Domain, list[Pair]]:
    """The pairs of each domain."""
    found: dict[Domain, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(pair.domain, []).append(pair)
    return found


@note("bridge")
class Bridge(Note):
    """On the module: the bridge of one cluster of linked instances, and its layout.

    Attributes:
        memory: the state memory.
        base: where its region begins.
        cluster: the cluster's number, as in `Domain`.
    """

    memory: Memory = ref("memories")
    slots: int = number()
    ring: int = number()
    value: int = number(default=0)
    base: int = number(default=0)
    cluster: int = number(default=0)


@note("shim")
class Shim(Note):
    """On a shim: the intrinsic that it stands for, and the function whose calls it is to take over.

    It takes them over in all code but the shims themselves.
    """

    intrinsic: str = symbol(positional=True)
    replaces: Function = ref("functions")
    instance: Instance = ref("note")

    def problems(self, holder: Any, program: Any) -> Iterator[str]:
        """There is such an intrinsic."""
        yield from _unknown(self.intrinsic)
