"""The pass `link`: instantiates the inputs of a composition and feeds imports from exports."""

from __future__ import annotations

import re
from collections.abc import Container
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any

from meld.diagnostics import MeldError, did_you_mean
from meld.ir.component import (
    Component,
    ComponentInstance,
    CoreType,
    Definition,
    Export,
    ExportAlias,
    ExternName,
    Import,
    ModuleType,
    NestedComponent,
    Sort,
)
from meld.notes.linking import HostOnly, Input, Partner, Wanted
from meld.passes.base import Pass, PassContext
from meld.rewriting.copying import Copier, in_order
from meld.support.graph import Circle, topological
from meld.support.patterns import late
from meld.validity.components import check


class Link(Pass):
    """Instantiate the inputs and feed imports from exports, by interface name.

    Versions may differ as long as they are semver-compatible: `a:b/c@1.2.0` is fed by `a:b/c@1.3.1`, not by `@2.0.0`.
    What no input exports stays an import of the composition; what no input uses is exported by it. An import that
    several inputs could feed needs `--link`, and one that `--host-only` names is fed by none. A component that comes
    composed has nothing to link. What several inputs import from the host in semver-compatible versions becomes one
    import, of the newest. An import with the attribute `implements` goes by its own name, unless `--link` feeds it.

        (component $app (import "f" (func)) …)
        (component $lib … (export "f" (func 0)))
    becomes
        (component $app …)
        (component $lib …)
        (instance $lib (instantiate $lib))
        (alias export $lib "f" (func $f))
        (instance $app (instantiate $app (with "f" (func $f))))
    """

    name = "link"
    reads = writes = Component
    establishes = frozenset({"linked"})

    def run(self, program: Component, cx: PassContext) -> None:
        check(program)
        inputs = program.notes_of(Input)
        if inputs:
            linker = _linked(program, inputs)
            for remark in linker.remarks:
                cx.remark(remark)
            if linker.left:
                cx.stats["imports left"] += linker.left
            program.notes = [n for n in program.notes if not isinstance(n, Input | Wanted | HostOnly)]


def _linked(program: Component, inputs: list[Input]) -> _Linker:
    """Link a composition. Compatible versions of an import stay apart if their types contradict each other."""
    before = list(program.definitions)
    linker = _Linker(program, inputs, unify_versions=True)
    try:
        linker.run()
    except MeldError:
        if not linker.newest:
            raise
        program.definitions = before
        linker = _Linker(program, inputs, unify_versions=False)
        linker.run()
    return linker


class _Linker:
    """The links of one composition. `remarks` and `left`, the number of imports left to the host, are for the pass."""

    def __init__(self, program: Component, inputs: list[Input], *, unify_versions: bool) -> None:
        self.program = program
        self.host_only = [n.pattern for n in program.notes_of(HostOnly)]
        self.remarks: list[str] = []
        self.left = 0
        self.partners: list[tuple[ComponentInstance, str, str]] = []  # importer, name of the exporter, import
        self.inputs: dict[str, NestedComponent] = {note.label: note.component for note in inputs}
        self.wanted: dict[tuple[str, str], dict[str, str]] = {}  # import → exporter → export, or "" for what fits
        self.instances: dict[str, ComponentInstance] = {}
        self.outer: dict[str, Definition] = {}  # imports of the composition by name
        self.newest: dict[str, ExternName] = {}  # imports that the composition has in a newer, compatible version
        self.unify_versions = unify_versions
        self.used: set[tuple[str, str]] = set()  # (input, export) that feeds an import
        for wish in program.notes_of(Wanted):
            self._check(wish)
            self.wanted.setdefault((wish.importer, wish.label), {})[wish.exporter] = wish.export
        # what exports there are of a sort and a name without its version: input → exports
        self.exports: dict[tuple[Sort | None, str], dict[str, list[Export]]] = {}
        for name, nested in self.inputs.items():
            for export in _exports(nested):
                key = export.sort, _unversioned(str(export.extern))
                self.exports.setdefault(key, {}).setdefault(name, []).append(export)

    def run(self) -> None:
        feeds = {(name, i): self._providers(name, i) for name in self.inputs for i in _imports(self.inputs[name])}
        by_input: dict[str, dict[Import, list[tuple[str, Export]]]] = {name: {} for name in self.inputs}
        for (name, item), providers in feeds.items():
            by_input[name][item] = providers
        self._say_overrides(feeds)
        self._say_unlinked(feeds)
        if self.unify_versions:
            self._unify_versions([item for (_, item), providers in feeds.items() if not providers])
        for name in self._order(feeds):
            self._instantiate(name, by_input[name])
        self.program.definitions = in_order(self.program.definitions)
        for instance, other, label in self.partners:
            instance.notes.append(Partner(self.instances[other], label))
        self._export_the_rest()
        self.program.validated = None
        check(self.program)

    def _check(self, wish: Wanted) -> None:
        for name in (wish.importer, wish.exporter):
            if name not in self.inputs:
                hint = did_you_mean(name, self.inputs, f"the inputs are {', '.join(self.inputs)}")
                raise MeldError(f"--link: there is no input `{name}`", hint=hint)
        labels = [str(i.extern) for i in _imports(self.inputs[wish.importer])]
        if wish.label not in labels:
            hint = did_you_mean(wish.label, labels, f"its imports are {', '.join(labels) or 'none'}")
            raise MeldError(f"--link: `{wish.importer}` has no import `{wish.label}`", hint=hint)

    def _say_overrides(self, feeds: dict[tuple[str, Import], list[tuple[str, Export]]]) -> None:
        """Remark which inputs feed imports that the host would serve otherwise, unless `--link` asked for it."""
        taken: dict[tuple[str, str], list[str]] = {}
        for (name, item), providers in feeds.items():
            if not _is_partner(item) and (name, str(item.extern)) not in self.wanted:
                for other, export in providers:
                    given, label = str(export.extern), str(item.extern)
                    shown = f"`{label}`" if given == label else f"`{label}` (by `{given}`)"
                    taken.setdefault((other, name), []).append(shown)
        for (other, name), labels in taken.items():
            self.remarks.append(
                f"`{other}` feeds {', '.join(labels)} of `{name}` in place of the host; "
                "--host-only=NAME keeps it for the host"
            )

    def _say_unlinked(self, feeds: dict[tuple[str, Import], list[tuple[str, Export]]]) -> None:
        """Remark imports by interface that inputs could feed with `--link`, and that nothing was linked."""
        if not any(feeds.values()):
            self.remarks.append("no input exports what another one imports: nothing is linked")
        for (name, item), providers in feeds.items():
            interface, label = item.extern.implements, str(item.extern)
            if providers or interface is None or self._is_host_only(label) or self._is_host_only(interface):
                continue
            able = [(o, str(e.extern)) for o, e in self._fitting(name, item, interface)]
            if able:
                names = " and ".join(f"`{other}`" for other, _ in able)
                self.remarks.append(
                    f"the import `{label}` of `{name}` is left to the host; {names} could feed it: "
                    f"--link={name}:{label}={able[0][0]}#{able[0][1]}"
                )

    def _unify_versions(self, left: list[Import]) -> None:
        """Find, for imports that the host serves, the newest semver-compatible version that an input imports."""
        by_name: dict[tuple[Sort, str], dict[str, ExternName]] = {}
        for item in left:
            if not _is_partner(item):
                by_name.setdefault((item.sort, _unversioned(str(item.extern))), {})[str(item.extern)] = item.extern
        for externs in by_name.values():
            for label in externs:
                newer = [(v, other) for other in externs if (v := _compatible(label, other)) is not None]
                newest = max(newer, default=((), label))[1]
                if newest != label:
                    self.newest[label] = externs[newest]
                    self.remarks.append(f"the imports `{label}` and `{newest}` become one, `{newest}`")

    def _is_host_only(self, label: str) -> bool:
        return any(fnmatchcase(one, p) for p in self.host_only for one in (label, _unversioned(label)))

    def _providers(self, name: str, item: Import) -> list[tuple[str, Export]]:
        """The inputs and exports that feed an import: none, one, or several stream partners."""
        label = str(item.extern)
        wanted = self.wanted.get((name, label))
        if self._is_host_only(label):
            if wanted is not None:
                raise MeldError(f"--link: the import `{label}` of `{name}` is for the host only, says --host-only")
            return []
        if wanted is not None:
            found = [(other, self._wished(name, item, other, export)) for other, export in wanted.items()]
            if len(found) > 1 and not _is_partner(item):
                raise MeldError(f"--link: the import `{label}` of `{name}` can be fed by one input only")
            return found
        found = self._fitting(name, item, label)
        if len(found) > 1:
            names = " and ".join(f"`{other}`" for other, _ in found)
            raise MeldError(
                f"the import `{label}` of `{name}` could be fed by {names}",
                hint=f"choose with --link={name}:{label}={found[0][0]}",
            )
        return found

    def _fitting(self, name: str, item: Import, label: str) -> list[tuple[str, Export]]:
        """The other inputs that export an item of the import's sort under a name, each with its best version of it."""
        candidates = self.exports.get((item.sort, _unversioned(label)), {})
        matching = ((other, _matching(exports, label)) for other, exports in candidates.items() if other != name)
        return [(other, export) for other, export in matching if export is not None]

    def _wished(self, name: str, item: Import, other: str, wish: str) -> Export:
        """The export of an input that `--link` feeds to an import: the one it names, else by name, else by interface.

        Raises:
            MeldError: there is none, or several implement the interface.
        """
        label = str(item.extern)
        if other == name:
            raise MeldError(f"--link: `{name}` cannot feed its own import `{label}`")
        for wanted in [wish] if wish else [label, *filter(None, [item.extern.implements])]:
            by_name = dict(self._fitting(name, item, wanted))
            if other in by_name:
                return by_name[other]
        exports = [export for export in _exports(self.inputs[other]) if export.sort is item.sort]
        implementing = [] if wish else [e for e in exports if _implements(e, item)]
        if len(implementing) == 1:
            return implementing[0]
        if implementing:
            names = " and ".join(f"`{e.extern}`" for e in implementing)
            raise MeldError(
                f"--link: {names} of `{other}` implement the interface of the import `{label}` of `{name}`",
                hint=f"choose with --link={name}:{label}={other}#{implementing[0].extern}",
            )
        if wish:
            labels = [str(e.extern) for e in exports]
            hint = did_you_mean(wish, labels, f"it exports {', '.join(labels) or 'nothing of that sort'}")
            raise MeldError(f"--link: `{other}` has no export `{wish}` for the import `{label}` of `{name}`", hint=hint)
        raise MeldError(
            f"--link: `{other}` exports nothing that fits the import `{label}` of `{name}`",
            hint=f"name an export of another name: --link={name}:{label}={other}#EXPORT",
        )

    def _order(self, feeds: dict[tuple[str, Import], list[tuple[str, Export]]]) -> list[str]:
        edges = [(other, name) for (name, item), p in feeds.items() if not _is_partner(item) for other, _ in p]
        partners = [(other, name) for (name, item), p in feeds.items() if _is_partner(item) for other, _ in p]
        names = list(self.inputs)
        try:
            order = topological(names, edges)
        except Circle as e:
            circle = " → ".join(map(str, e.path[:-1]))
            raise MeldError(f"the inputs import from each other in a circle: {circle}") from None
        with suppress(Circle):  # partners carry no items: a circle of them is fine, else exporters come first
            order = topological(names, edges + partners)
        return order

    def _instantiate(self, name: str, feeds: dict[Import, list[tuple[str, Export]]]) -> None:
        nested = self.inputs[name]
        instance = ComponentInstance(nested, name=name)
        copier = Copier(self.program.definitions)
        for item, providers in feeds.items():
            label = str(item.extern)
            self.used.update((other, str(export.extern)) for other, export in providers)
            if providers and not _is_partner(item):
                ((other, export),) = providers
                given: Definition = ExportAlias(self.instances[other], str(export.extern), item.type.sort)
                self.program.definitions.append(given)
            else:
                given = self._outer_import(item, copier)
                self.partners += [(instance, other, label) for other, _ in providers]
                if not providers:
                    self.left += 1
            copier.map[item] = given
            instance.args.append((label, given))
        self.program.definitions.append(instance)
        self.instances[name] = instance

    def _outer_import(self, item: Import, copier: Copier) -> Definition:
        """The composition's own import for one that no input feeds.

        Inputs that import the same name, or semver-compatible versions of it, share one.
        """
        extern = self.newest.get(str(item.extern), item.extern)
        label = str(extern)
        if label in self.outer:
            have = self.outer[label]
            assert isinstance(have, Import)
            copier.unify(have, item, label)
            return have
        copy = copier.copy_import(item)
        copy.extern = extern
        self.outer[label] = copy
        return copy

    def _export_the_rest(self) -> None:
        taken: dict[str, str] = {}
        for name, nested in self.inputs.items():
            for export in _exports(nested):
                label = str(export.extern)
                if (name, label) in self.used or export.sort is None:
                    continue
                shown: ExternName | None = export.extern
                if label in taken:
                    shown = None if "/" in label or ":" in label else _fresh(f"{_kebab(name)}-{label}", taken)
                    as_what = f"as `{shown}`" if shown else "under no name"
                    self.remarks.append(
                        f"`{name}` and `{taken[label]}` both export `{label}`; `{name}`'s goes {as_what}"
                    )
                if shown is None:
                    continue
                taken[str(shown)] = name
                alias = ExportAlias(self.instances[name], label, export.sort)
                self.program.definitions += [alias, Export(shown, alias)]


def _kebab(name: str) -> str:
    """The stem of a file as the words of a component name."""
    words = re.findall("[a-z0-9]+", name.lower()) or ["input"]
    return "-".join(word if word[0].isalpha() else f"x{word}" for word in words)


def _fresh(label: str, taken: Container[str]) -> ExternName:
    name, n = label, 1
    while name in taken:
        n += 1
        name = f"{label}-x{n}"
    return ExternName(name)


def _imports(nested: NestedComponent) -> list[Import]:
    return list(nested.component.of(Import))


def _exports(nested: NestedComponent) -> list[Export]:
    return list(nested.component.of(Export))


def _is_partner(item: Import) -> bool:
    """Whether an import carries no items: a core module of the empty module type, as a link between stream partners."""
    if item.sort is not Sort.CORE_MODULE:
        return False
    declared: Any = item.type.type
    return isinstance(declared, CoreType) and isinstance(declared.type, ModuleType) and not declared.type.decls


def _implements(export: Export, item: Import) -> bool:
    """Whether an export's attribute `implements` names an interface that fits an import, by its own or its name."""
    given, wanted = export.extern.implements, item.extern.implements or str(item.extern)
    return given is not None and (given == wanted or _compatible(wanted, given) is not None)


def _matching(exports: list[Export], label: str) -> Export | None:
    """The export that fits an import, of those that may: the one of its name, else the highest compatible version."""
    best: tuple[tuple[int, ...], Export] | None = None
    for export in exports:
        if str(export.extern) == label:
            return export
        version = _compatible(label, str(export.extern))
        if version is not None and (best is None or version > best[0]):
            best = (version, export)
    return best[1] if best else None


def _unversioned(label: str) -> str:
    return label.partition("@")[0]


_VERSIONED = late(r"^([^@]+)@(\d+)\.(\d+)\.(\d+)([-+].*)?$")


def _compatible(wanted: str, given: str) -> tuple[int, ...] | None:
    """The version of `given` if it satisfies `wanted` by semver: same first non-zero number, and not older."""
    a, b = _VERSIONED.match(wanted), _VERSIONED.match(given)
    if not a or not b or a[1] != b[1] or (a[5] or "").startswith("-") or (b[5] or "").startswith("-"):
        return None
    old, new = tuple(map(int, a.group(2, 3, 4))), tuple(map(int, b.group(2, 3, 4)))
    fixed = next((i for i, n in enumerate(old) if n), 2)
    return new if new[: fixed + 1] == old[: fixed + 1] and new >= old else None
