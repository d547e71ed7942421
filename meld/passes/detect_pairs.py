"""The pass `detect-pairs`: which instances share streams.

A *stream domain* is a connected cluster of linked instances together with one element type, compared by structure. A
*pair* is a producer and a consumer of a domain in two instances.

A domain is carried in one of three ways. Instances that use the canonical built-ins meet inside the module
(*rendezvous*). Those that use `pulseengine:async` are *bridged* if there is a pair. Whatever the host can see stays on
the *host*. Source: specs/stream-contract.md, "Who is bridged"; CanonicalABI.md, "Stream State".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Any

from meld.abi.layout import Kind, Layouts
from meld.abi.types import Type, parts_of, show_bare
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.module import Module
from meld.ir.notes import Instance
from meld.notes.boundaries import Boundary, CanonCall, HostCall, HostExport
from meld.notes.linking import Link
from meld.notes.streams import Carried, Domain, IntrinsicEntry, Pair, StreamUse
from meld.passes.base import Pass, PassContext
from meld.rewriting.liveness import reachable
from meld.support.records import record

HOLDS_MORE = {Kind.STRING, Kind.LIST, Kind.OWN, Kind.BORROW, Kind.STREAM, Kind.FUTURE, Kind.ERROR_CONTEXT}
"""Kinds of values that are pointers or handles: elements with any of these cannot be copied as bytes."""

NO_PAIR = "no instance writes what another one reads"
"""The only reason that does not extend to other domains of the same instances: these streams have one end only."""

WRITES = {"stream.write", "future.write"}
READS = {"stream.read", "future.read"}


class DetectPairs(Pass):
    """Find stream domains and producer→consumer pairs, and decide how each domain is carried.

    Linked instances that declare built-ins for one element type are a domain. It stays on the host if the host can see
    its streams, or if nothing in the module can carry them; the note says which.

        (@meld.link (importer $b) (exporter $a))
        (@meld.streams $a (builtins stream.write) (type (stream u8)))
        (@meld.streams $b (builtins stream.read) (type (stream u8)))
    gets
        (@meld.domain $d0 (instances $a $b) (element u8) (carried bridge))
        (@meld.pair (domain $d0) (producer $a) (consumer $b))
    """

    name = "detect-pairs"
    requires = frozenset({"merged"})
    establishes = frozenset({"stream-pairs"})

    def run(self, module: Module, cx: PassContext) -> None:
        uses = [use for use in module.notes_of(StreamUse) if use.type is not None]
        if not uses:
            return
        _refuse_borrows(uses)
        _refuse_mismatches(module, uses)
        candidates = list(_domains(module, uses))
        _decide(module, candidates)
        for i, one in enumerate(candidates):
            domain = Domain(
                tuple(use.instance for use in one.uses),
                one.stream.element,
                _size(one.stream),
                isinstance(one.stream, c.Future),
                one.number,
                one.carried.value,
                one.reason,
                name=f"d{i}",
            )
            module.notes.append(domain)
            module.notes += [Pair(domain, producer, consumer) for producer, consumer in one.pairs()]
            if one.carried is Carried.HOST:
                names = ", ".join(f"`{use.instance.name}`" for use in one.uses)
                cx.remark(f"{show_bare(one.stream)} of {names} stays on the host: {one.reason}")
            cx.stats[_COUNTED[one.carried]] += 1


_COUNTED = {
    Carried.BRIDGE: "bridged domains",
    Carried.RENDEZVOUS: "rendezvous domains",
    Carried.HOST: "host domains",
}


@record()
class _Candidate:
    """A candidate for a domain.

    Attributes:
        number: that of its cluster of linked instances.
        canonical: the instances whose code can reach a canonical built-in for it; if there are any, no bridge can
            carry it.
        reason: why it is not bridged.
    """

    stream: c.Stream | c.Future
    uses: list[StreamUse]
    cluster: set[Instance]
    number: int
    canonical: list[Instance] = field(default_factory=list)
    carried: Carried = Carried.HOST
    reason: str | None = None

    def pairs(self) -> Iterator[tuple[Instance, Instance]]:
        for producer in self.uses:
            for consumer in self.uses:
                if (
                    producer.instance is not consumer.instance
                    and WRITES & set(producer.builtins)
                    and READS & set(consumer.builtins)
                ):
                    yield producer.instance, consumer.instance


def _size(stream: c.Stream | c.Future) -> int:
    """Bytes of one element. An untyped stream is one of bytes; an untyped future has a value of no bytes."""
    if stream.element is None:
        return 1 if isinstance(stream, c.Stream) else 0
    return Layouts().of(stream.element).size


def _clusters(module: Module) -> list[set[Instance]]:
    """The connected clusters of linked instances."""
    links = {frozenset((link.importer, link.exporter)) for link in module.notes_of(Link)}
    links |= {frozenset((n.caller, n.callee)) for n in _boundaries(module)}
    return _connected(module.notes_of(Instance), links)


def _boundaries(module: Module) -> Iterator[Boundary]:
    for item in module.imports:
        for n in item.notes:
            if isinstance(n, Boundary):
                yield n


def _connected(instances: list[Instance], links: set[frozenset[Instance]]) -> list[set[Instance]]:
    links = {link for link in links if len(link) == 2}
    if len(links) <= 1:  # nothing to search: networkx takes longer to import than such a program to compile
        linked = set().union(*links)
        found = [linked] if linked else []
        return found + [{instance} for instance in instances if instance not in linked]
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(instances)
    graph.add_edges_from(links)
    return [set(cluster) for cluster in nx.connected_components(graph)]


def _domains(module: Module, uses: list[StreamUse]) -> Iterator[_Candidate]:
    order = {instance: i for i, instance in enumerate(module.notes_of(Instance))}
    canonical = _canonical_uses(module)
    clusters = sorted(_clusters(module), key=lambda members: min(order[i] for i in members))
    for number, cluster in enumerate(clusters):
        by_type: dict[Any, list[StreamUse]] = {}
        for use in uses:
            if use.instance in cluster:
                by_type.setdefault(use.type, []).append(use)
        for stream, users in by_type.items():
            if any((use.instance, stream) in canonical for use in users):
                yield from _canonical_domains(module, stream, users, number, canonical)
            else:
                yield _Candidate(stream, users, cluster, number)


def _canonical_domains(
    module: Module, stream: Any, uses: list[StreamUse], number: int, canonical: set[tuple[Instance, Type]]
) -> Iterator[_Candidate]:
    """The domains of a type of which instances use the canonical built-ins.

    An end of such a stream goes from one instance to another only as a value of its type, in a call or inside another
    stream. So instances belong together if calls that can carry one lead from each to the other.
    """
    instances: list[Instance] = module.notes_of(Instance)
    carriers = {frozenset((n.caller, n.callee)) for n in _boundaries(module) if _carries(n.type, stream)}
    rest = list(uses)
    for cluster in _connected(instances, carriers):
        members = [use for use in uses if use.instance in cluster]
        users = [use.instance for use in members if (use.instance, stream) in canonical]
        if users:
            yield _Candidate(stream, members, cluster, number, users)
            rest = [use for use in rest if use.instance not in cluster]
    if rest:
        yield _Candidate(stream, rest, {use.instance for use in rest}, number)


def _refuse_borrows(uses: list[StreamUse]) -> None:
    for use in uses:
        if any(isinstance(t, c.Borrow) for t in parts_of(use.type)):
            raise MeldError(
                f"`{use.instance.name}` has a {show_bare(use.type)}: a borrow cannot travel in a stream or future",
                hint="send an own handle",
            )


def _refuse_mismatches(module: Module, uses: list[StreamUse]) -> None:
    """Two linked instances of which one writes and the other reads must have an element type in common."""

    def types(instance: Instance, builtins: set[str], kind: type) -> list[Any]:
        return [
            u.type for u in uses if u.instance is instance and isinstance(u.type, kind) and builtins & set(u.builtins)
        ]

    for link in module.notes_of(Link):
        for producer, consumer in ((link.exporter, link.importer), (link.importer, link.exporter)):
            for kind in (c.Stream, c.Future):
                written, read = types(producer, WRITES, kind), types(consumer, READS, kind)
                other = types(producer, READS, kind) + types(consumer, WRITES, kind)
                if written and read and not set(written) & set(read) and not other:
                    raise MeldError(
                        f"`{producer.name}` writes {show_bare(written[0])}, but `{consumer.name}`, which is linked to "
                        f"it as `{link.label}`, reads {show_bare(read[0])}",
                        hint="both ends of a stream have one element type",
                    )


def _decide(module: Module, candidates: list[_Candidate]) -> None:
    """Decides how each domain is carried."""
    joiners = {use.instance for use in module.notes_of(StreamUse) if "waitable.join" in use.builtins}
    entries = {n.instance for item in module.items() for n in item.notes if isinstance(n, IntrinsicEntry)}
    for one in candidates:
        if one.canonical:
            one.reason = _canonical_reason(module, one, entries)
        else:
            one.reason = _reason(module, one, joiners, entries)
    bridgeable = [one for one in candidates if not one.canonical]
    _keep_mixed_futures_on_host(bridgeable)
    _keep_sharers_on_host(bridgeable)
    for one in candidates:
        if one.reason is None:
            one.carried = Carried.RENDEZVOUS if one.canonical else Carried.BRIDGE
            one.reason = _inside(one) if one.canonical else None


def _inside(one: _Candidate) -> str:
    names = ", ".join(f"`{instance.name}`" for instance in one.canonical)
    return f"{names} use{'s' * (len(one.canonical) == 1)} the canonical built-ins, and every end is in the module"


def _keep_sharers_on_host(candidates: list[_Candidate]) -> None:
    """An instance's intrinsics carry all its streams: what shares an instance with a domain on the host stays too."""
    changed = True
    while changed:
        changed = False
        for one in candidates:
            if one.reason is not None:
                continue
            for other in candidates:
                shared = {u.instance for u in one.uses} & {u.instance for u in other.uses}
                if type(other.stream) is type(one.stream) and other.reason not in (None, NO_PAIR) and shared:
                    name = next(u.instance.name for u in one.uses if u.instance in shared)
                    one.reason = (
                        f"`{name}` uses the same intrinsics for {show_bare(other.stream)}, which stays on the host"
                    )
                    changed = True
                    break


def _canonical_uses(module: Module) -> set[tuple[Instance, Type]]:
    """Whose code can reach a canonical built-in of which stream or future type; to declare it is no use."""
    declared = {
        item: (n.instance, n.type)
        for item in module.imports
        for n in item.notes
        if isinstance(n, CanonCall) and _is_stream(n.type)
    }
    live = reachable(module) if declared else set()
    return {use for item, use in declared.items() if item in live}


def _canonical_reason(module: Module, one: _Candidate, entries: set[Instance]) -> str | None:
    """Why a domain of canonical built-ins is not carried in the module."""
    if visible := _host_facing(module, one):
        return f"the host can see it: {visible}"
    others = {use.instance for use in one.uses if use.builtins} - set(one.canonical)
    if mixed := others & entries:
        return (
            f"`{min(i.name or '' for i in mixed)}` uses pulseengine:async for it, and "
            f"`{one.canonical[0].name}` the canonical built-ins"
        )
    return None


def _keep_mixed_futures_on_host(candidates: list[_Candidate]) -> None:
    """The intrinsics of futures do not say how large a value is; so it must be the same for all of an instance."""
    futures = [one for one in candidates if one.reason is None and isinstance(one.stream, c.Future)]
    for one in futures:
        for other in futures:
            shared = {u.instance for u in one.uses} & {u.instance for u in other.uses}
            if shared and _size(one.stream) != _size(other.stream):
                name = min(i.name or "" for i in shared)
                one.reason = f"`{name}` has futures of several sizes, which its intrinsics cannot tell apart"


def _reason(
    module: Module,
    one: _Candidate,
    joiners: set[Instance],
    entries: set[Instance],
) -> str | None:
    element = one.stream.element
    instances = {use.instance for use in one.uses}
    visible = _host_facing(module, one)
    if not any(True for _ in one.pairs()):
        return NO_PAIR
    if visible:
        return f"the host can see it: {visible}"
    if element is not None and Layouts().of(element).kinds() & HOLDS_MORE:
        return "its elements hold pointers or handles, which cannot be copied as bytes"
    if joined := instances & joiners:
        return f"`{min(i.name or '' for i in joined)}` joins its stream handles to a waitable set"
    if lacking := instances - entries:
        return f"`{min(i.name or '' for i in lacking)}` does not import pulseengine:async"
    return None


def _host_facing(module: Module, one: _Candidate) -> str | None:
    """The host-facing function of the cluster that carries this stream type, if any."""
    for item in module.imports:
        for n in item.notes:
            if isinstance(n, HostCall) and n.instance in one.cluster and _carries(n.type, one.stream):
                return f"import `{n.label}`"
    for export in module.notes_of(HostExport):
        if export.instance in one.cluster and _carries(export.type, one.stream):
            return f"export `{export.label}`"
    return None


def _carries(function: c.CompFuncType, stream: Type) -> bool:
    types = [t for _, t in function.params] + ([function.result] if function.result is not None else [])
    return any(part == stream for t in types for part in parts_of(t))


def _is_stream(t: Type) -> bool:
    return isinstance(t, c.Stream | c.Future)
