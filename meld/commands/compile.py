"""`meldc INPUT…`: fuses components into one core module, or a component around it."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from meld.commands import add_diagnostics

if TYPE_CHECKING:
    from pathlib import Path

    from meld.driver import Options, Outcome
    from meld.observers.leftovers import PluginVerifier
    from meld.passes.base import Program
    from meld.passmanager import Observer

LEVELS = ("0", "1", "2", "3", "4", "s", "z")
"""Those of `wasm-opt`."""

EPILOG = """\
examples:
  meldc producer.wasm consumer.wasm -o fused.wasm
  meldc a.wat b.wat --dump-after=emit-bridge --explain -o fused.wasm
  meldc a.wasm b.wasm --passes=detect-pairs,emit-bridge{slots=16},rewire-calls --emit=wat
  meldc app.wasm library.wasm --emit=component -o app.fused.wasm
  meldc dump.wat --passes=finish -o fused.wasm"""

VERIFY_HELP = (
    "check what each pass leaves, or the input and the product by all rules; by default the engine validates core "
    "modules of inputs and product, and what passes of plugins leave is checked"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    from meld.version import __version__

    parser.description = "Fuse WebAssembly components into one core module; shared streams stay inside it."
    parser.epilog = EPILOG
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT", help="components or a module, .wasm or .wat")
    add("-o", "--output", metavar="OUT", help="where the product goes; text goes to standard output without it")
    add(
        "--emit",
        choices=("wasm", "wat", "component"),
        help="form of the product; by OUT's suffix without it. component: wrapped as a component again",
    )
    add(
        "--optimize",
        nargs="?",
        choices=LEVELS,
        const="2",
        metavar="LEVEL",
        help=f"run `wasm-opt` on the product: one of {', '.join(LEVELS)}, 2 without LEVEL (write --optimize=LEVEL)",
    )
    add("--manifest", metavar="FILE", help="write how to call the module and where its functions come from, as JSON")
    add("--explain", action="store_true", help="say what was done with each stream domain and boundary, and why")
    add("--format", choices=("text", "json"), default="text", help="form of what --explain says")
    add_diagnostics(parser)
    add("-q", "--quiet", action="store_true", help="no remarks, no progress")
    add("--version", action="version", version=f"meldc {__version__}")
    pipeline_arguments(parser)
    watch = parser.add_argument_group("watching (PASS is a name, or PASS#2 for its second occurrence)").add_argument
    watch("--dump-before", metavar="PASS", action="append", default=[], help="show the IR before a pass, or `all`")
    watch(
        "--dump-after",
        metavar="PASS",
        action="append",
        default=[],
        help="show the IR after a pass, or `all`, `changed` (those that changed something), `failed`",
    )
    watch("--dump", choices=("full", "diff", "stat"), default="full", help="form of the dumps after passes")
    watch("--dump-only", metavar="GLOB", help="only what has a name like this")
    watch("--dump-dir", metavar="DIR", help="write dumps to numbered files here, with an index.json")
    watch("--journal", metavar="FILE", help="record the run, for `meldc trace`, `diff` and `report`")
    watch("--verify", choices=("each", "ends", "off"), help=VERIFY_HELP)
    watch("--verify-run", choices=("each",), help="run what each pass leaves: --check=CMD, or its exports `test…`")
    watch(
        "--check",
        metavar="CMD",
        help="what --verify-run runs, for example `meldc run {} --invoke f`; `{}` stands for the file, a text",
    )
    watch("--time", nargs="?", choices=("tree", "json", "chrome"), const="tree", help="say how long each pass took")
    watch("--stats", nargs="?", choices=("text", "json"), const="text", help="say what the passes counted")


def pipeline_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments that say what runs; `pipeline_options` reads them. Other commands take them too."""
    add = parser.add_argument_group("pipeline").add_argument
    add("--passes", metavar="PIPELINE", help="passes to run, with options: `detect-pairs,emit-bridge{slots=16}`")
    add("--stop-after", metavar="PASS", help="stop after this pass and write what there is")
    add(
        "--link",
        metavar="A:IMPORT=B[#EXPORT]",
        action="append",
        default=[],
        help="feed import IMPORT of input A from input B",
    )
    add(
        "--host-only",
        metavar="GLOB",
        action="append",
        default=[],
        help="feed no import with such a name from another input, for example `wasi:*`",
    )
    for option, what in (("keep", "leave out all exports but those with"), ("drop", "leave out exports with")):
        add(
            f"--{option}-exports",
            metavar="GLOB",
            action="append",
            default=[],
            help=f"{what} such a name, and what only they need",
        )
    add(
        "--target",
        metavar="T",
        default="wasm3",
        help="keep what is generated within wasm3 (default), wasm2, lime1 or wasm1",
    )
    add(
        "--provenance",
        metavar="FORM",
        default="full",
        help="the section `component-provenance`: full (default), compact or off",
    )
    add("--trust-notes", action="store_true", help="believe the annotations of the single input, also if it is no dump")
    add("--plugin", metavar="FILE", action="append", default=[], help="load passes from a Python file")
    add("--limit", metavar="N", type=int, help="do only the first N rewrites of all passes together")
    add("--fuel", metavar="PASS:N", action="append", default=[], help="do only the first N rewrites of that pass")
    add("--reproducer", metavar="FILE", help="where to leave what reproduces the failure of a pass, if one fails")


def pipeline_options(args: argparse.Namespace, *, wrap: bool = False) -> Options:
    """What the arguments ask for. Raises MeldError."""
    from meld.diagnostics import MeldError
    from meld.driver import Options
    from meld.support.terminal import in_utf8

    fuel: dict[str, int] = {}
    for text in args.fuel:
        label, colon, count = text.rpartition(":")
        if not (colon and label and count.isdigit()):
            raise MeldError(f"--fuel={text}", hint="write --fuel=PASS:N, for example --fuel=adapter-wiring:3")
        fuel[label] = int(count)
    if args.limit is not None and args.limit < 0:
        raise MeldError(f"--limit={args.limit}", hint="a number of rewrites, from 0")
    links, host_only, keep, drop = (
        [in_utf8(text) for text in given] for given in (args.link, args.host_only, args.keep_exports, args.drop_exports)
    )
    options = Options(args.passes, args.stop_after, links, args.plugin, wrap=wrap, limit=args.limit, fuel=fuel)
    options.host_only, options.trust_notes = host_only, args.trust_notes
    options.keep_exports, options.drop_exports = keep, drop
    options.reproducer, options.target = args.reproducer or options.reproducer, args.target
    options.provenance = args.provenance
    return options


def main(args: argparse.Namespace) -> int:
    """Compiles, and writes the product whole or not at all. Raises MeldError."""
    with uncollected(for_good=args.last):
        _compile(args)
    return 0


def _compile(args: argparse.Namespace) -> None:
    import time

    from meld.driver import build
    from meld.observers.progress import Progress

    begin = time.perf_counter()
    form = _form(args)
    options = pipeline_options(args, wrap=args.emit == "component")
    options.validate = args.verify != "off"
    optimizer = _optimizer(args.optimize)
    plugins = plugin_verifier(args.inputs, options) if args.verify is None else []
    with Progress(quiet=args.quiet) as progress, watching(args) as watchers:
        options.observers = [progress, *watchers, *plugins]
        outcome = build(args.inputs, options)
        progress.say("writing")
        with _blaming(args, options):
            for one in plugins:
                one.product(outcome.program)
            outcome.program = optimizer(outcome.program)
            product = _product(args.inputs, outcome, form, validate=options.validate)
    if plugins and (said := plugins[0].remark()) is not None:
        outcome.plan.remarks.append(said)
    _write(args, outcome.program, product)
    report(outcome, quiet=args.quiet, explain=args.format if args.explain else None, form=args.diagnostics)
    _count(args, outcome, begin)


def _form(args: argparse.Namespace) -> str:
    """How the product is written, ``wasm`` or ``wat``. Raises MeldError: what is asked for does not go together."""
    from meld.diagnostics import MeldError

    wrap = args.emit == "component"
    if args.manifest is not None and wrap:
        raise MeldError("--manifest is about a core module; a component says itself what it is")
    if args.output == "-":
        args.output = None
        args.emit = args.emit or "wasm"
    form = "wat" if args.output is None or args.output.endswith(".wat") else "wasm"
    if args.emit and not wrap:
        form = args.emit
    if args.output is None and form == "wasm" and sys.stdout.isatty():
        raise MeldError("will not write a binary to a terminal", hint="name a file with -o, or use --emit=wat")
    return form


def _optimizer(level: str | None) -> Callable[[Program], Program]:
    """What `--optimize` does to the product; the tool for it is looked for now. Raises MeldError: it is not there."""
    if not level:
        return lambda program: program
    from meld.commands.wasm_opt import find_tool, optimize

    tool = find_tool()
    return lambda program: optimize(program, level, tool)


@contextmanager
def _blaming(args: argparse.Namespace, options: Options) -> Iterator[None]:
    """A failure on the way from the last pass to the product is one of a pass, or of a plugin that nobody checks."""
    from meld.diagnostics import MeldError, PassFailure
    from meld.driver import FailedRun

    try:
        yield
    except PassFailure as e:
        raise FailedRun(e, args.inputs, options) from e
    except MeldError:
        raise
    except Exception as e:
        if not (args.plugin and args.verify == "off"):
            raise
        said = f"what the plugins left cannot be written: {type(e).__name__}: {e}"
        raise MeldError(said, hint="without --verify=off it is said which pass left it") from e


def _product(inputs: Sequence[str], outcome: Outcome, form: str, *, validate: bool) -> Sequence[bytes | memoryview]:
    """The product as it is written. Raises as `check_product` does."""
    from meld.files import render

    _drop_stale(inputs, outcome)
    product = render(outcome.program, form)
    if validate:
        check_product(outcome, form, product)
    return product


def _write(args: argparse.Namespace, program: Program, product: Sequence[bytes | memoryview]) -> None:
    """Writes the manifest, if one is asked for, and the product. Raises MeldError."""
    from pathlib import Path

    from meld.files import write_file

    if args.manifest is not None:
        _write_manifest(program, Path(args.manifest))
    if args.output is not None:
        write_file(Path(args.output), *product)
    else:
        sys.stdout.buffer.writelines(product)
        sys.stdout.buffer.flush()


def _count(args: argparse.Namespace, outcome: Outcome, begin: float) -> None:
    """What `--time` and `--stats` print, to standard error; `begin`: when the command began, by `time.perf_counter`."""
    if not (args.time or args.stats):
        return
    import time

    from meld.support.terminal import say
    from meld.views.timing import stats_text, time_text

    if args.time:
        say(time_text(outcome.ran, time.perf_counter() - begin, args.time), error=True, end="")
    if args.stats:
        say(stats_text(outcome.ran, args.stats), error=True, end="")


def check_product(outcome: Outcome, emit: str, product: Sequence[bytes | memoryview]) -> None:
    """Has the engine validate what is about to be written: a pass that leaves an invalid module is a defect.

    Raises:
        PassFailure: it is not valid.
        MeldError: it is more than engines take; what no pass has made is only written in another form.
    """
    from meld.binary.limits import check_tables
    from meld.diagnostics import MeldError, PassFailure
    from meld.inputs import validate_product
    from meld.ir.module import Module

    if outcome.ran and isinstance(outcome.program, Module):
        check_tables(outcome.program)
    try:
        validate_product(outcome.program, b"".join(product), text=emit == "wat")
    except MeldError as e:
        if not outcome.ran:
            raise
        last, who = outcome.ran[-1], outcome.ran[-1].step
        own = all(one.step.instance.is_own for one in outcome.ran)
        hint = "--verify=each says which pass left it"
        message = f"{e.where}: {e.message}"
        raise PassFailure(message, number=last.number, label=who.label, own=own, hint=hint) from e


def plugin_verifier(inputs: Sequence[str], options: Options) -> list[PluginVerifier]:
    """The observers that check what plugins leave; none without plugins."""
    from dataclasses import replace

    from meld.driver import build
    from meld.passes import installed

    if not (options.plugins or installed()):
        return []
    from meld.observers.leftovers import PluginVerifier

    return [PluginVerifier(lambda steps: build(inputs, replace(options, observers=()), steps=steps).program)]


def _drop_stale(inputs: Sequence[str], outcome: Outcome) -> None:
    """Drops sections with offsets into a module that was read from a binary and has changed since."""
    from meld.ir.module import Module

    module = outcome.program
    if len(inputs) != 1 or not isinstance(module, Module) or not module.customs:
        return
    from pathlib import Path

    from meld.binary.stale import drop_stale, speaks_of_places
    from meld.files import encode, is_binary, read_file

    before = read_file(Path(inputs[0])) if speaks_of_places(module) else b""
    if is_binary(before) and before[4:8] == b"\x01\0\0\0":
        remark = drop_stale(module, before, encode(module))
        outcome.plan.remarks += [remark] if remark is not None else []


@contextmanager
def uncollected(*, for_good: bool) -> Iterator[None]:
    """Without the collector of cycles: a program is one, in use to the end, which it would search again and again.

    Args:
        for_good: the process ends behind this, so that nothing has to be collected any more.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if for_good:
            gc.freeze()  # or the interpreter would search once more as it ends
        elif was:
            gc.enable()


@contextmanager
def watching(args: argparse.Namespace) -> Iterator[list[Observer]]:
    """The observers that the arguments ask for; the journal is written at the end, also of a run that fails."""
    from pathlib import Path

    from meld.diagnostics import MeldError

    if args.check is not None and args.verify_run is None:
        raise MeldError("--check is for --verify-run=each")
    dumps = args.dump_before or args.dump_after
    verify = None if args.verify == "off" else args.verify
    if not (dumps or args.journal or verify or args.verify_run):
        yield []
        return
    from meld.observers.recorder import Recorder

    recorder = Recorder.of_command(args.argv)
    if dumps:
        from meld.observers.dumps import Dumper

        directory = Path(args.dump_dir) if args.dump_dir else None
        dumper = Dumper(args.dump_before, args.dump_after, args.dump, args.dump_only, directory)
        recorder.listeners.append(dumper)
    if verify or args.verify_run:
        from meld.observers.verifier import Verifier

        recorder.listeners.append(Verifier(verify, args.verify_run is not None, args.check))
    try:
        yield [recorder]
    finally:
        if args.journal and recorder.journal.steps:
            recorder.journal.save(args.journal)
        elif args.journal:
            print("remark: no pass began, so there is no journal", file=sys.stderr)


def _write_manifest(program: Program, path: Path) -> None:
    from meld.diagnostics import MeldError
    from meld.files import write_file
    from meld.ir.module import Module
    from meld.views.manifest import manifest_text

    if not isinstance(program, Module):
        raise MeldError("--manifest is about a core module, and the product is a composition", hint="run merge")
    write_file(path, manifest_text(program).encode())


def report(outcome: Outcome, *, quiet: bool, explain: str | None, form: str = "text") -> None:
    """Remarks and the explanation, to standard error; remarks in a form of `meld.diagnostics.forms.FORMS`."""
    from meld.support.terminal import say

    if form != "text":
        from meld.diagnostics.forms import Diagnostic, render

        remarks = [] if quiet else outcome.remarks
        say(render([Diagnostic.of_remark(remark) for remark in remarks], form), error=True, end="")
    elif not quiet:
        for remark in outcome.remarks:
            say(f"remark: {remark}", error=True)
    if explain:
        from meld.views.explain import explain as show

        show(outcome, explain)
