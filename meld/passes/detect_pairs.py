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
from meld.abi.types import Type, is_end, parts_of, show_bare
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.module import Module
from meld.ir.notes import Instance
from meld.notes.boundaries import Boundary, CanonCall, HostCall, HostExport
from meld.notes.linking import Link
from meld.notes.streams import Carried, Domain, IntrinsicEntry, Pair, StreamUse, keep_on_host
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
        _decide(_Program(module), candidates)
        for one in candidates:
            domain = one.domain
            module.notes.append(domain)
            if one.has_pair():
                module.notes.append(Pair(domain, tuple(one.users(WRITES)), tuple(one.users(READS))))
            if domain.carried == Carried.HOST.value:
                names = ", ".join(f"`{instance.name}`" for instance in domain.instances)
                cx.remark(f"{show_bare(one.stream)} of {names} stays on the host: {domain.why}")
            cx.stats[_COUNTED[domain.carried]] += 1


_COUNTED = {
    Carried.BRIDGE.value: "bridged domains",
    Carried.RENDEZVOUS.value: "rendezvous domains",
    Carried.HOST.value: "host domains",
}


@record()
class _Candidate:
    """A domain, and what decides how it is carried.

    Attributes:
        number: that of its cluster of linked instances.
        canonical: the instances whose code can reach a canonical built-in for it; if there are any, no bridge can
            carry it.
        domain: the note on it, on the host until `_decide` says otherwise.
    """

    stream: c.Stream | c.Future
    uses: list[StreamUse]
    cluster: set[Instance]
    number: int
    canonical: list[Instance] = field(default_factory=list)
    domain: Domain = field(init=False)

    def __post_init__(self) -> None:
        instances = tuple(use.instance for use in self.uses)
        is_future = isinstance(self.stream, c.Future)
        self.domain = Domain(instances, self.stream.element, _size(self.stream), is_future, self.number)

    def users(self, builtins: set[str]) -> list[Instance]:
        """The instances that declare one of some built-ins for it."""
        return [use.instance for use in self.uses if not builtins.isdisjoint(use.builtins)]

    def has_pair(self) -> bool:
        """Whether one instance writes what another one reads."""
        producers, consumers = self.users(WRITES), self.users(READS)
        return bool(producers and consumers) and len({*producers, *consumers}) > 1


def _size(stream: c.Stream | c.Future) -> int:
    """Bytes of one element. An untyped stream is one of bytes; an untyped future has a value of no bytes."""
    if stream.element is None:
        return 1 if isinstance(stream, c.Stream) else 0
    return Layouts().of(stream.element).size


def _clusters(module: Module) -> list[set[Instance]]:
    """The connected clusters of linked instances."""
    links = {frozenset((link.importer, link.exporter)) for link in module.notes_of(Link)}
    links |= {frozenset((n.caller, n.callee)) for _, n in module.noted(Boundary)}
    return _connected(module.notes_of(Instance), links)


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
    carriers = _carriers(module)
    clusters = sorted(_clusters(module), key=lambda members: min(order[i] for i in members))
    number_of = {instance: number for number, cluster in enumerate(clusters) for instance in cluster}
    by_type: list[dict[Any, list[StreamUse]]] = [{} for _ in clusters]
    for use in uses:
        by_type[number_of[use.instance]].setdefault(use.type, []).append(use)
    for number, cluster in enumerate(clusters):
        for stream, users in by_type[number].items():
            if any((use.instance, stream) in canonical for use in users):
                yield from _canonical_domains(carriers.get(stream, set()), stream, users, number, canonical)
            else:
                yield _Candidate(stream, users, cluster, number)


def _carriers(module: Module) -> dict[Type, set[frozenset[Instance]]]:
    """Which instances calls connect that can carry an end of a stream or future, by its type."""
    carriers: dict[Type, set[frozenset[Instance]]] = {}
    known: dict[int, set[Type]] = {}  # by id of the types of functions, which the notes keep alive
    for _, n in module.noted(Boundary):
        carried = known.get(id(n.type))
        if carried is None:
            carried = known[id(n.type)] = _streams_in(n.type)
        for stream in carried:
            carriers.setdefault(stream, set()).add(frozenset((n.caller, n.callee)))
    return carriers


def _canonical_domains(
    carriers: set[frozenset[Instance]],
    stream: Any,
    uses: list[StreamUse],
    number: int,
    canonical: set[tuple[Instance, Type]],
) -> Iterator[_Candidate]:
    """The domains of a type of which instances use the canonical built-ins.

    An end of such a stream goes from one instance to another only as a value of its type, in a call or inside another
    stream. So instances belong together if calls that can carry one lead from each to the other.
    """
    by_instance: dict[Instance, list[int]] = {}
    for i, use in enumerate(uses):
        by_instance.setdefault(use.instance, []).append(i)
    left = set(range(len(uses)))
    for cluster in _connected(list(by_instance), carriers):
        members = sorted(i for instance in cluster for i in by_instance.get(instance, ()))
        users = [uses[i].instance for i in members if (uses[i].instance, stream) in canonical]
        if users:
            yield _Candidate(stream, [uses[i] for i in members], cluster, number, users)
            left -= set(members)
    if left:
        rest = [uses[i] for i in sorted(left)]
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
    types: dict[tuple[Instance, type, str], list[Any]] = {}
    for use in uses:
        for way, builtins in (("writes", WRITES), ("reads", READS)):
            if not builtins.isdisjoint(use.builtins):
                types.setdefault((use.instance, type(use.type), way), []).append(use.type)
    seen: set[tuple[Instance, Instance]] = set()
    for link in module.notes_of(Link):
        for producer, consumer in ((link.exporter, link.importer), (link.importer, link.exporter)):
            if (producer, consumer) in seen:
                continue
            seen.add((producer, consumer))
            for kind in (c.Stream, c.Future):
                written, read = types.get((producer, kind, "writes")), types.get((consumer, kind, "reads"))
                if not written or not read or (producer, kind, "reads") in types or (consumer, kind, "writes") in types:
                    continue
                if set(written).isdisjoint(read):
                    raise MeldError(
                        f"`{producer.name}` writes {show_bare(written[0])}, but `{consumer.name}`, which is linked to "
                        f"it as `{link.label}`, reads {show_bare(read[0])}",
                        hint="both ends of a stream have one element type",
                    )


class _Program:
    """What decides how domains are carried, looked up by instance."""

    def __init__(self, module: Module) -> None:
        self.joiners = {use.instance for use in module.notes_of(StreamUse) if "waitable.join" in use.builtins}
        self.entries = {n.instance for _, n in module.noted(IntrinsicEntry, module.items())}
        self._count = 0
        self._host_facing: dict[Type, dict[Instance, tuple[int, str]]] = {}
        for _, n in module.noted(HostCall):
            self._add(n.type, n.instance, f"import `{n.label}`")
        for export in module.notes_of(HostExport):
            self._add(export.type, export.instance, f"export `{export.label}`")

    def _add(self, function: c.CompFuncType, instance: Instance, what: str) -> None:
        self._count += 1
        for stream in _streams_in(function):
            self._host_facing.setdefault(stream, {}).setdefault(instance, (self._count, what))

    def host_facing(self, one: _Candidate) -> str | None:
        """The host-facing function of the cluster that carries this stream type, if any: the first."""
        found = self._host_facing.get(one.stream, {})
        few, many = (found, one.cluster) if len(found) < len(one.cluster) else (one.cluster, found)
        return min((found[instance] for instance in few if instance in many), default=(0, None))[1]


def _decide(program: _Program, candidates: list[_Candidate]) -> None:
    """Decides how each domain is carried."""
    bridged: list[_Candidate] = []
    obstacles: list[tuple[Domain, str]] = []
    for i, one in enumerate(candidates):
        domain = one.domain
        domain.name = f"d{i}"
        if one.canonical:
            why = _canonical_obstacle(program, one)
            domain.carried, domain.why = (Carried.HOST if why else Carried.RENDEZVOUS).value, why or _inside(one)
        elif not one.has_pair():
            domain.keep_on_host(NO_PAIR)
        elif (why := _obstacle(program, one)) is not None:
            obstacles.append((domain, why))
        else:
            domain.carried = Carried.BRIDGE.value
            bridged.append(one)
    obstacles += _mixed_futures(bridged)
    keep_on_host([one.domain for one in bridged], obstacles)


def _inside(one: _Candidate) -> str:
    names = ", ".join(f"`{instance.name}`" for instance in one.canonical)
    return f"{names} use{'s' * (len(one.canonical) == 1)} the canonical built-ins, and every end is in the module"


def _canonical_uses(module: Module) -> set[tuple[Instance, Type]]:
    """Whose code can reach a canonical built-in of which stream or future type; declaring it is not enough."""
    declared = {item: (n.instance, n.type) for item, n in module.noted(CanonCall) if is_end(n.type)}
    live = reachable(module) if declared else set()
    return {use for item, use in declared.items() if item in live}


def _canonical_obstacle(program: _Program, one: _Candidate) -> str | None:
    """Why a domain of canonical built-ins is not carried in the module."""
    others = {use.instance for use in one.uses if use.builtins} - set(one.canonical)
    if mixed := others & program.entries:
        return (
            f"`{min(i.name or '' for i in mixed)}` uses pulseengine:async for it, and "
            f"`{one.canonical[0].name}` the canonical built-ins"
        )
    visible = program.host_facing(one)
    one.domain.open = visible is not None
    return f"the host can see it: {visible}" if visible else None


def _mixed_futures(bridged: list[_Candidate]) -> Iterator[tuple[Domain, str]]:
    """The intrinsics of futures do not say how large a value is; so it must be the same for all of an instance."""
    futures = [one.domain for one in bridged if one.domain.future]
    sizes: dict[Instance, set[int]] = {}
    for domain in futures:
        for instance in domain.instances:
            sizes.setdefault(instance, set()).add(domain.size)
    for domain in futures:
        mixed = [instance.name or "" for instance in domain.instances if len(sizes[instance]) > 1]
        if mixed:
            yield domain, f"`{min(mixed)}` has futures of several sizes, which its intrinsics cannot tell apart"


def _obstacle(program: _Program, one: _Candidate) -> str | None:
    """Why a domain that has a pair cannot be bridged."""
    element = one.stream.element
    instances = {use.instance for use in one.uses}
    if visible := program.host_facing(one):
        return f"the host can see it: {visible}"
    if element is not None and Layouts().of(element).kinds() & HOLDS_MORE:
        return "its elements hold pointers or handles, which cannot be copied as bytes"
    if joined := instances & program.joiners:
        return f"`{min(i.name or '' for i in joined)}` joins its stream handles to a waitable set"
    if lacking := instances - program.entries:
        return f"`{min(i.name or '' for i in lacking)}` does not import pulseengine:async"
    return None


def _streams_in(function: c.CompFuncType) -> set[Type]:
    """The types of streams and futures that values of a function hold."""
    types = [t for _, t in function.params] + ([function.result] if function.result is not None else [])
    return {part for t in types for part in parts_of(t) if is_end(part)}
