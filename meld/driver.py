"""The compiler in one screen: load → plan → run → write."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from os import PathLike
from pathlib import Path
from typing import Any

from meld.diagnostics import MeldError, PassFailure, Remark
from meld.inputs import Validation, read_inputs
from meld.ir.component import Component, NestedComponent
from meld.ir.module import Module
from meld.notes.host_modules import HostModule
from meld.notes.linking import DroppedExport, HostOnly, Input, KeptExport, Wanted
from meld.passes import Registry
from meld.passes.base import Gate, Program
from meld.passmanager import Observer, Plan, Ran, parse_pipeline, plan_default, plan_named, run
from meld.passmanager.target import DEFAULT, FIT, check_target, fitted, passes_for, with_provenance
from meld.rewriting.wit_package import is_wit_package
from meld.support.records import record
from meld.support.terminal import in_utf8

WRAP = "wrap"
"""The pass that makes a component of a fused module: the last of all."""

FOR_COMPONENTS = (("expose-resources",), ("guard-entries",))
"""What runs as well if the product is to be a component, and what does not, since engines do it for components."""


FROM_WIT = "an input is a component that implements a world, as `wasm-tools component new` makes it"

REPRODUCER = "meldc-reproducer.wat"

BELIEVED = "the notes of a dump are believed; one that was changed by hand can break a pass"


@record()
class Options:
    """What a compilation is asked to do; as on the command line.

    Attributes:
        passes: a pipeline; the default one if None.
        stop_after: the step to stop after: ``PASS`` or ``PASS#2``.
        links: ``importer:import=exporter``.
        plugins: Python files with passes.
        observers: who watches the run.
        wrap: the product is to be a component.
        limit, fuel: how many rewrites may happen, in all and by step (`meld.passes.base.Gate`).
        reproducer: the file that the command line writes if a pass fails (`meld.faults.reproducer`); None: it does not.
        host_only: patterns of names of imports that no input feeds.
        keep_exports, drop_exports: patterns of names of exports: if there are some to keep, others go.
        trust_notes: whether to believe the notes of the single input, whatever it is.
        provenance: the form of the section `component-provenance`: ``full``, ``compact`` or ``off``.
        target: what the compiler generates stays within the features of this one (`meld.ir.features.TARGETS`).
        validate: whether the engine validates the core modules of the inputs.
    """

    passes: str | None = None
    stop_after: str | None = None
    links: Sequence[str] = ()
    plugins: Sequence[str] = ()
    observers: Sequence[Observer] = ()
    wrap: bool = False
    limit: int | None = None
    fuel: Mapping[str, int] = field(default_factory=dict)
    reproducer: str | None = REPRODUCER
    host_only: Sequence[str] = ()
    keep_exports: Sequence[str] = ()
    drop_exports: Sequence[str] = ()
    trust_notes: bool = False
    target: str = "wasm3"
    provenance: str = "full"
    validate: bool = True


class FailedRun(PassFailure):
    """The failure of a pass, with the inputs and options of the run that it ended, which a reproducer needs."""

    def __init__(self, failure: PassFailure, inputs: Sequence[str | PathLike[str]], options: Options) -> None:
        super().__init__(
            failure.message,
            number=failure.number,
            label=failure.label,
            own=failure.own,
            hint=failure.hint,
            rewrites=failure.rewrites,
        )
        self.inputs = inputs
        self.options = options


@record()
class Outcome:
    """The program at the end, and how it came about. `plan` may be longer than what `ran`."""

    program: Program
    plan: Plan
    ran: list[Ran] = field(default_factory=list)

    @property
    def remarks(self) -> list[Remark]:
        """All remarks, in the order in which they were made."""
        return self.plan.remarks + [remark for one in self.ran for remark in one.context.remarks]


def build(inputs: Sequence[str | PathLike[str]], options: Options, *, steps: int | None = None) -> Outcome:
    """Loads the inputs, plans the passes, runs them.

    Compilation is deterministic, so any earlier state is recovered by running again with fewer `steps` (0: nothing has
    run yet). `None` runs as many as `options` ask for.

    Raises:
        MeldError: bad input, an impossible plan, a failing pass (`FailedRun`).
    """
    programs, validations = _read(inputs, options, validate=options.validate)
    believed = _is_believed(programs, options)
    program, plan = plan_inputs(programs, inputs, options, Registry.standard(list(options.plugins)))
    for observer in options.observers:
        observer.planned(plan)
    if steps is None and options.stop_after is not None:
        steps = plan.position(options.stop_after, option="--stop-after")
    for label in options.fuel:
        plan.position(label, option="--fuel")
    gate = Gate(options.limit, {label.removesuffix("#1"): count for label, count in options.fuel.items()})
    try:
        program, ran = run(plan, program, observers=options.observers, steps=steps, gate=gate)
    except PassFailure as e:
        _demand(validations)  # a pass may fail because of what it was given
        if believed:
            e.hint = "; ".join(filter(None, (e.hint, BELIEVED)))
        raise FailedRun(e, inputs, options) from e
    plan.remarks = [*_demand(validations), *plan.remarks]
    if steps is None and options.stop_after is None:
        _check_form(program)
    return Outcome(program, plan, ran)


def _check_form(program: Program) -> None:
    """Refuses a core module as the product where only a component can hold what the program instantiates."""
    if isinstance(program, Module) and "finished" in program.facts:
        for n in program.notes_of(HostModule):
            raise MeldError(
                f"instantiates a core module that only the host could provide (`{n.field}` of `{n.module}`)",
                where=program.where,
                hint="--emit=component keeps it as an import",
            )


def _demand(validations: Sequence[Validation]) -> list[Remark]:
    return [remark for one in validations for remark in one.demand()]


def prepare(inputs: Sequence[str | PathLike[str]], options: Options) -> tuple[Program, Plan]:
    """The inputs as one program, and the passes that will run on it. Raises MeldError."""
    programs, _ = _read(inputs, options, validate=False)
    return plan_inputs(programs, inputs, options, Registry.standard(list(options.plugins)))


def _read(
    inputs: Sequence[str | PathLike[str]], options: Options, *, validate: bool
) -> tuple[list[Program], list[Validation]]:
    def tell(path: str | PathLike[str], data: bytes | memoryview) -> None:
        for observer in options.observers:
            observer.loaded(path, data)

    return read_inputs(inputs, tell, validate=validate)


def plan_inputs(
    programs: Sequence[Program], paths: Sequence[str | PathLike[str]], options: Options, registry: Registry
) -> tuple[Program, Plan]:
    """Loaded inputs as one program, and the passes that will run on it. Raises MeldError."""
    for program, path in zip(programs, paths, strict=True):
        if isinstance(program, Component) and is_wit_package(program):
            raise MeldError("is a WIT package: types, and no code", where=str(path), hint=FROM_WIT)
    remarks = admit(programs, paths, options)
    program = compose(programs, paths, options)
    _choose_exports(program, options)
    plan = plan_for(program, options, registry)
    plan.remarks = [*remarks, *plan.remarks]
    return program, plan


def admit(programs: Sequence[Program], paths: Sequence[str | PathLike[str]], options: Options) -> list[Remark]:
    """Takes inputs in: what they say about the compiler's own business is dropped, unless the single one is a dump.

    A module that states facts is a dump, and so is a composition that states facts or holds inputs that are not linked
    yet; what is inside such a composition came from inputs, and says nothing.

    Raises:
        MeldError: notes of several inputs are to be believed.
    """
    from meld.rewriting.claims import drop_claims

    if options.trust_notes and len(programs) > 1:
        raise MeldError("--trust-notes is for a single input, a dump")
    remarks = []
    for program, path in zip(programs, paths, strict=True):
        name = in_utf8(Path(path).name)
        resumed = _is_believed(programs, options)
        if resumed:
            remarks.append(Remark("inputs", f"`{name}` is resumed as a dump: its notes and facts are believed"))
        if resumed and (options.trust_notes or not isinstance(program, Component)):
            continue
        dropped = drop_claims(program, root=not resumed)
        if dropped:
            what = ", ".join(f"{one} ({count})" if count > 1 else one for one, count in dropped.items())
            hint = "" if resumed or len(programs) > 1 else "; --trust-notes believes it"
            said = f"what `{name}` says about the compiler's own business is dropped: {what}{hint}"
            remarks.append(Remark("inputs", said))
    return remarks


def _is_believed(programs: Sequence[Program], options: Options) -> bool:
    """Whether the notes of the single input are believed."""
    return len(programs) == 1 and (options.trust_notes or _is_dump(programs[0]))


def _is_dump(program: Program) -> bool:
    return bool(program.facts) or (isinstance(program, Component) and bool(program.notes_of(Input)))


def plan_for(program: Program, options: Options, registry: Registry) -> Plan:
    """The passes that will run on a program. Raises MeldError."""
    check_target(options.target)
    if options.passes is None:
        plan = _default(program, options, registry)
        steps = with_provenance(fitted(plan.steps, options.target, registry), options.provenance)
        plan = Plan(steps, plan.remarks)
    else:
        text = _with_default(options.passes, program, registry, options)
        steps = fitted(parse_pipeline(text, registry), options.target, registry)
        plan = plan_named(with_provenance(steps, options.provenance), program, registry)
    if options.target != DEFAULT and not any(step.name == FIT for step in plan.steps):
        plan.remarks.append(
            Remark("target", f"--target={options.target} changes nothing: none of the passes generates code")
        )
    if options.wrap and options.stop_after not in (None, WRAP):
        raise MeldError(f"--emit=component runs all passes, --stop-after={options.stop_after} does not")
    if options.wrap and not any(step.name == WRAP for step in plan.steps):
        last = parse_pipeline(WRAP, registry, source="--emit=component")
        plan = plan_named([*plan.steps, *last], program, registry)
    return plan


def _default(program: Program, options: Options, registry: Registry) -> Plan:
    also, without = FOR_COMPONENTS if options.wrap else ((), ())
    return plan_default(program, registry, (*also, *passes_for(options.target)), without)


_DEFAULT = r"(?:^|(?<=,))\s*default\s*(?=,|$)"


def _with_default(text: str, program: Program, registry: Registry, options: Options) -> str:
    """The text of a pipeline with the default one for the word `default`; plugins that it names itself are not run
    twice."""
    if not re.search(_DEFAULT, text):
        return text
    named = {name.partition("{")[0].strip() for name in text.split(",")}
    steps = _default(program, options, registry).steps
    registry.remarks.clear()
    text, stands_for = _replacing(text, [step.name for step in steps], registry)
    kept = [
        stands_for.get(step.name) or step.instance.spec()
        for step in steps
        if step.instance.is_own or step.name not in named
    ]
    whole = re.sub(_DEFAULT, lambda _: ",".join(kept), text)
    return ",".join(part for part in whole.split(",") if part.strip())


_PIECE = re.compile(r"\s*([A-Za-z_][\w.-]*)\s*(?:\{[^}]*\}\s*)?(?:,|$)")


def _replacing(text: str, default: Sequence[str], registry: Registry) -> tuple[str, dict[str, str]]:
    """The text of a pipeline without the passes that stand in place of one of the default pipeline, and those."""
    rest: list[str] = []
    found: dict[str, str] = {}
    at = 0
    for match in _PIECE.finditer(text):
        piece = match[0].rstrip(",").strip()
        replaced = registry.get(match[1]).instead_of if match[1] in registry.sources else ""
        if replaced in default and replaced not in found:
            rest.append(text[at : match.start()])
            found[replaced] = piece
            at = match.end()
    return "".join([*rest, text[at:]]), found


def compose(programs: Sequence[Program], paths: Sequence[str | PathLike[str]], options: Options) -> Program:
    """Several inputs as one composition, not yet linked; a single input is the program itself."""
    wanted = [_wanted(link) for link in options.links]
    if len(programs) == 1:
        program = programs[0]
        if wanted:
            raise MeldError("--link needs two inputs at least", where=str(paths[0]))
        if options.host_only:
            raise MeldError("--host-only needs two inputs at least", where=str(paths[0]))
        if options.wrap and isinstance(program, Module) and "merged" not in program.facts:
            hint = _componentized(program)
            raise MeldError("is a core module; --emit=component is for components", where=str(paths[0]), hint=hint)
        return program
    composition = Component(where="composition")
    taken: set[str] = set()
    for program, path in zip(programs, paths, strict=True):
        if not isinstance(program, Component):
            hint = _componentized(program)
            raise MeldError("is a core module; only components can be linked", where=str(path), hint=hint)
        label = _fresh(in_utf8(Path(path).stem), taken)
        nested = NestedComponent(program, name=label)
        composition.definitions.append(nested)
        composition.notes.append(Input(nested, label))
    composition.notes += wanted
    composition.notes += [HostOnly(pattern) for pattern in options.host_only]
    return composition


def _componentized(module: Module) -> str | None:
    """A hint for a core module that says its world."""
    typed = any(section.name.startswith("component-type") for section in module.customs)
    return "`wasm-tools component new` makes a component of it" if typed else None


def _choose_exports(program: Program, options: Options) -> None:
    """Notes which exports the user wants, or does not want. Raises MeldError."""
    wishes = [*map(KeptExport, options.keep_exports), *map(DroppedExport, options.drop_exports)]
    if wishes and not (isinstance(program, Component) and "merged" not in program.facts):
        raise MeldError("--keep-exports and --drop-exports are for components, and this is a core module")
    program.notes += wishes


def _fresh(stem: str, taken: set[str]) -> str:
    name, n = stem, 1
    while name in taken:
        n += 1
        name = f"{stem}-{n}"
    taken.add(name)
    return name


def _wanted(link: str) -> Wanted:
    left, equals, exporter = link.partition("=")
    importer, colon, label = left.partition(":")
    exporter, named, export = exporter.partition("#")
    if not (equals and colon and importer and label and exporter) or (named and not export):
        raise MeldError(
            f"--link={link}",
            hint="write --link=importer:import-name=exporter or …=exporter#export-name, with the files' stems",
        )
    return Wanted(importer, label, exporter, export)


def compile(
    inputs: str | PathLike[str] | Sequence[str | PathLike[str]],
    passes: str | None = None,
    stop_after: str | None = None,
    **more: Any,
) -> Any:
    """Compiles files and returns the program at the end: a `Module`, or a `Component` if it stops before `merge`.

    Args:
        inputs: a path or several.
        passes: a pipeline, as for ``--passes``; the default pipeline if None.
        stop_after: the name of the pass to stop after.
        more: further fields of `Options`.
    """
    paths = [inputs] if isinstance(inputs, str | PathLike) else list(inputs)
    return build(paths, Options(passes=passes, stop_after=stop_after, **more)).program
