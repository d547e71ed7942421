"""The pass `detect-pairs`: who shares streams with whom.

A *stream domain* is a connected cluster of linked instances together with one element type, compared by structure. A
*pair* is a producer and a consumer of a domain in two instances. A domain that has a pair, and that nothing keeps on
the host, will be bridged. Source: specs/stream-contract.md, "Who is bridged".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meld.abi.layout import Kind, Layouts
from meld.abi.types import Type, parts_of, show
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.module import Module
from meld.ir.notes import Instance
from meld.notes.boundaries import Boundary, CanonCall, HostCall, HostExport
from meld.notes.linking import Link
from meld.notes.streams import Domain, IntrinsicEntry, Pair, StreamUse
from meld.passes.base import Pass, PassContext
from meld.rewriting.liveness import reachable
from meld.support.records import record

HOLDS_MORE = {Kind.STRING, Kind.LIST, Kind.OWN, Kind.BORROW, Kind.STREAM, Kind.FUTURE, Kind.ERROR_CONTEXT}
"""What an element must not hold to be copied as bytes: pointers and handles."""

NO_PAIR = "no instance writes what another one reads"
"""The one reason that keeps a domain on the host without harm to others: its streams meet nobody anyway."""

WRITES = {"stream.write", "future.write"}
READS = {"stream.read", "future.read"}


class DetectPairs(Pass):
    """Find stream domains and producer→consumer pairs, and decide which are bridged."""

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
        _keep_on_host(module, candidates)
        for i, one in enumerate(candidates):
            element = one.stream.element
            domain = Domain(
                tuple(use.instance for use in one.uses),
                element,
                _size(one.stream),
                isinstance(one.stream, c.Future),
                one.reason is None,
                one.reason,
                name=f"d{i}",
            )
            module.notes.append(domain)
            module.notes += [Pair(domain, producer, consumer) for producer, consumer in one.pairs()]
            if one.reason:
                names = ", ".join(f"`{use.instance.name}`" for use in one.uses)
                cx.remark(f"{_show(one.stream)} of {names} stays on the host: {one.reason}")
            cx.stats["bridged domains" if one.reason is None else "host domains"] += 1


@record()
class _Candidate:
    """What may become a domain. `reason` says why it is not bridged."""

    stream: c.Stream | c.Future
    uses: list[StreamUse]
    cluster: set[Instance]
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
    instances = module.notes_of(Instance)
    links = {frozenset((link.importer, link.exporter)) for link in module.notes_of(Link)}
    for item in module.imports:
        links |= {frozenset((n.caller, n.callee)) for n in item.notes if isinstance(n, Boundary)}
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
    for cluster in sorted(_clusters(module), key=lambda members: min(order[i] for i in members)):
        by_type: dict[Any, list[StreamUse]] = {}
        for use in uses:
            if use.instance in cluster:
                by_type.setdefault(use.type, []).append(use)
        for stream, users in by_type.items():
            yield _Candidate(stream, users, cluster)


def _refuse_borrows(uses: list[StreamUse]) -> None:
    for use in uses:
        if any(isinstance(t, c.Borrow) for t in parts_of(use.type)):
            raise MeldError(
                f"`{use.instance.name}` has a {_show(use.type)}: a borrow cannot travel in a stream or future",
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
                        f"`{producer.name}` writes {_show(written[0])}, but `{consumer.name}`, which is linked to it "
                        f"as `{link.label}`, reads {_show(read[0])}",
                        hint="both ends of a stream have one element type",
                    )


def _keep_on_host(module: Module, candidates: list[_Candidate]) -> None:
    """Sets the reason of each domain that cannot be bridged."""
    joiners = {use.instance for use in module.notes_of(StreamUse) if "waitable.join" in use.builtins}
    entries = {n.instance for item in module.items() for n in item.notes if isinstance(n, IntrinsicEntry)}
    builtin_users = _builtin_users(module)
    for one in candidates:
        one.reason = _reason(module, one, joiners, entries, builtin_users)
    _keep_mixed_futures_on_host(candidates)
    # an instance's intrinsics carry all its streams, so a domain that shares an instance with one on the host stays too
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
                    one.reason = f"`{name}` uses the same intrinsics for {_show(other.stream)}, which stays on the host"
                    changed = True
                    break


def _builtin_users(module: Module) -> set[Instance]:
    """The instances whose code can reach a canonical built-in of a stream or future; to declare it is no use."""
    declared = {
        item: n.instance
        for item in module.imports
        for n in item.notes
        if isinstance(n, CanonCall) and _is_stream(n.type)
    }
    live = reachable(module) if declared else set()
    return {instance for item, instance in declared.items() if item in live}


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
    builtin_users: set[Instance],
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
    if canonical := instances & builtin_users:
        return f"`{min(i.name or '' for i in canonical)}` uses the canonical built-ins, not pulseengine:async"
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


def _show(t: Type) -> str:
    return show(t).strip("()") if not isinstance(t, c.Prim) else show(t)
