"""The commands behind the command line: what is written where, and what is said."""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path
from types import TracebackType

from meld.diagnostics import MeldError
from meld.driver import Options, Outcome, build
from meld.ir.module import Module
from meld.output import dumper, render, write_file
from meld.passes import BUILTIN, Registry
from meld.passes.base import Program, options_of, summary_of
from meld.passmanager import Step


def compile_command(args: argparse.Namespace) -> int:
    """`meldc INPUT…`."""
    wrap = args.emit == "component"
    if args.manifest is not None and wrap:
        raise MeldError("--manifest is about a core module; a component says itself what it is")
    form = "wat" if args.output is None or args.output.endswith(".wat") else "wasm"
    emit = args.emit if args.emit and not wrap else form
    if args.output is None and emit == "wasm" and sys.stdout.isatty():
        raise MeldError("will not write a binary to a terminal", hint="name a file with -o, or use --emit=wat")
    registry = Registry.standard(args.plugin)
    for name in {*args.dump_before, *args.dump_after} - {"all"}:
        registry.get(name)
    with Progress(quiet=args.quiet) as progress:
        dump = dumper(args.dump_before, args.dump_after, Path(args.dump_dir) if args.dump_dir else None)
        options = Options(args.passes, args.stop_after, args.link, args.plugin, [progress.observe, dump], wrap)
        outcome = build(args.inputs, options)
        progress.say("writing")
        product = render(outcome.program, emit)
    if args.manifest is not None:
        _write_manifest(outcome.program, Path(args.manifest))
    if args.output is not None:
        write_file(Path(args.output), product)
    else:
        sys.stdout.buffer.write(product)
        sys.stdout.buffer.flush()
    report(outcome, quiet=args.quiet, explain=args.explain)
    return 0


def _write_manifest(program: Program, path: Path) -> None:
    from meld.manifest import manifest_text

    if not isinstance(program, Module):
        raise MeldError("--manifest is about a core module, and the product is a composition", hint="run merge")
    write_file(path, manifest_text(program).encode())


def report(outcome: Outcome, *, quiet: bool, explain: bool) -> None:
    """Remarks and the explanation, to standard error."""
    if not quiet:
        for remark in outcome.remarks:
            print(f"remark: {remark}", file=sys.stderr)
    if explain:
        from meld.explain import explain as show

        show(outcome)


def passes_command(name: str | None, plugins: list[str]) -> int:
    """`meldc passes [NAME]`."""
    from rich.console import Console
    from rich.table import Table

    registry = Registry.standard(plugins)
    console = Console()
    if name is not None:
        cls = registry.get(name)
        console.print(f"[bold]{cls.name}[/]: {summary_of(cls)}", highlight=False)
        rest = "\n".join((cls.__doc__ or "").strip().splitlines()[1:])
        if rest.strip():
            import textwrap

            console.print(textwrap.dedent(rest).strip("\n"), highlight=False, markup=False)
        language = f"{cls.reads.__name__.lower()} → {cls.writes.__name__.lower()}"
        rows = [("language", language), ("requires", ", ".join(sorted(cls.requires)) or "nothing")]
        rows += [("establishes", ", ".join(sorted(cls.establishes)) or "nothing")]
        rows += [("after", ", ".join(cls.after))] * bool(cls.after) + [("before", ", ".join(cls.before))] * bool(
            cls.before
        )
        rows += [(f"option {o.name}", f"{o.type.__name__}, default {o.default}: {o.help}") for o in options_of(cls)]
        width = max(len(key) for key, _ in rows)
        for key, value in rows:
            console.print(f"  {key:<{width}}  {value}", highlight=False, markup=False)
        return 0
    table = Table("pass", "from → to", "needs", "what it does", title=None)
    for each in registry.names():
        try:
            cls = registry.get(each)
        except MeldError as e:
            table.add_row(each, "", "", f"[red]{e.message}[/]")
            continue
        origin = "" if each in BUILTIN else " (plugin)"
        language = f"{cls.reads.__name__.lower()} → {cls.writes.__name__.lower()}"
        table.add_row(each + origin, language, ", ".join(sorted(cls.requires)), summary_of(cls))
    console.print(table)
    return 0


class Progress:
    """What is going on, on a terminal, when it takes long enough to wonder."""

    def __init__(self, *, quiet: bool) -> None:
        self._enabled = sys.stderr.isatty() and not quiet
        self._what = "loading"
        self._timer: threading.Timer | None = None
        self._shown = False

    def __enter__(self) -> Progress:
        if self._enabled:
            self._timer = threading.Timer(0.7, self._show)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        if self._timer:
            self._timer.cancel()
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _show(self) -> None:
        self._shown = True
        self.say(self._what)

    def say(self, what: str) -> None:
        """Names what is being done now."""
        self._what = what
        if self._shown:
            print(f"\r\x1b[K{what} …", end="", file=sys.stderr, flush=True)

    def observe(self, when: str, number: int, step: Step, program: Program) -> None:
        """An observer of the pass manager."""
        if when == "before":
            self.say(f"pass {number}: {step.name}")
