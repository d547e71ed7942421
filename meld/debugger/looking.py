"""The commands that show what there is, and those that run it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from meld.debugger.arguments import at_most_one, refuse, take, words_of
from meld.debugger.commands import report_lines
from meld.debugger.execution import callable_exports
from meld.debugger.shell import Shell, command
from meld.debugger.symbols import KINDS
from meld.diagnostics import MeldError
from meld.files import print_text
from meld.ir.module import Function, Module
from meld.observers.dumps import MARKS, diff_lines
from meld.text.printing.module import ModulePrinter


@command("print", "p", usage="[SYMBOL|GLOB] [--all]", completes="symbols")
def print_(shell: Shell, rest: str) -> None:
    """Show the text of symbols, or of the whole program; the beginning of it, if it is long, or --all."""
    words = words_of(rest)
    everything = take(words, "--all")
    refuse(words[1:], "print [SYMBOL|GLOB] [--all]")
    if not words:
        shell.say_all(_program_lines(shell), everything=everything, more="print --all")
        return
    symbols = shell.session.symbols
    texts = (symbols.text(number) for number in symbols.find(words[0]))
    lines = chain.from_iterable(text.split("\n") for text in texts)
    shell.say_all(lines, everything=everything, more=f"print {words[0]} --all")


def _program_lines(shell: Shell) -> Iterator[str]:
    program = shell.session.program
    if isinstance(program, Module):
        return ModulePrinter(program, 0).lines(None)
    return iter(print_text(program).splitlines())


@command("list", "l", "ls", usage="[KIND] [GLOB] [--all]", completes="kinds")
def list_(shell: Shell, rest: str) -> None:
    """List symbols with their types, by kind and pattern; without either, say how many there are of each kind."""
    words = words_of(rest)
    everything = take(words, "--all")
    kind = words.pop(0) if words and words[0] in KINDS else None
    refuse(words[1:], "list [KIND] [GLOB] [--all]")
    symbols = shell.session.symbols
    if kind is None and not words:
        for name, count in symbols.counts().items():
            shell.say(f"{count:6} {name}")
        return
    pattern = words[0] if words else "*"
    found = symbols.find(f"{kind}:{pattern}" if kind is not None else pattern)
    lines = (symbols.about(number) for number in found)
    shell.say_all(lines, everything=everything, more=f"list {rest} --all")


@command("diff", usage="[A [B]] [SYMBOL|GLOB] [--stat] [--all]", completes="steps symbols")
def diff(shell: Shell, rest: str) -> None:
    """Show what the last step changed, or what changed from A to B, which are numbers of steps, passes, or `input`.

    Without B, up to here. In a large program, name the symbols that matter: that is much faster.
    """
    session = shell.session
    words = words_of(rest)
    everything, stat = take(words, "--all"), take(words, "--stat")
    places: list[int] = []
    while words and len(places) < 2 and _is_place(shell, words[0]):
        places.append(session.place(words.pop(0)))
    refuse(words[1:], "diff [A [B]] [SYMBOL|GLOB] [--stat] [--all]")
    first = places[0] if places else max(0, session.number - 1)
    last = places[1] if len(places) > 1 else session.number
    found = session.diff(first, last, words[0] if words else None)
    if not found:
        of = f" in `{words[0]}`" if words else ""
        shell.say(f"nothing differs between {session.label(first)} and {session.label(last)}{of}")
        return
    lines = (f"{MARKS[one.what.value]} {one.symbol}" for one in found) if stat else diff_lines(found)
    shell.say_all(
        chain.from_iterable(line.split("\n") for line in lines),
        everything=everything,
        more=f"diff {rest} --all".replace("  ", " "),
        diff=True,
    )


def _is_place(shell: Shell, word: str) -> bool:
    return word.isdigit() or word == "input" or any(entry.step.matches(word) for entry in shell.session.entries)


@command("trace", "t", usage="SYMBOL|GLOB [--blame]", completes="symbols")
def trace(shell: Shell, rest: str) -> None:
    """Show the life of symbols up to here; with --blame the text of one, each line with the step that wrote it."""
    from meld.journal.trace import blame, blamed, lives

    words = words_of(rest)
    blames, everything = take(words, "--blame"), take(words, "--all")
    refuse(words[1:], "trace SYMBOL|GLOB [--blame]")
    if not words:
        raise MeldError("which symbol?", hint="usage: trace SYMBOL|GLOB [--blame]")
    session = shell.session
    journal = session.journal(session.number, words[0])
    if not journal.symbols:
        session.symbols.find(words[0])
    found = journal.find(words[0])
    if blames and len(found) > 1:
        raise MeldError(f"`{words[0]}` means {len(found)} symbols", hint=f"say which: `{journal.symbols[found[0]]}`, …")
    lines = blamed(blame(journal, found[0], session.number)) if blames else lives(journal, found)
    shell.say_all(lines, everything=everything, more=f"trace {rest} --all", diff=not blames)


@command("graph", usage="[plan|calls|FUNCTION]", completes="graphs")
def graph(shell: Shell, rest: str) -> None:
    """Show the plan with its reasons, which instance calls which, and for a function who calls it and whom it calls."""
    word = at_most_one(rest, "graph [plan|calls|FUNCTION]")
    match word:
        case None | "plan":
            from meld.views.plan import plan_text

            shell.say(plan_text(shell.session.history.plan()).rstrip("\n"))
            if word is None:
                _calls(shell)
        case "calls":
            _calls(shell)
        case _:
            symbols = shell.session.symbols
            found = symbols.one(word)
            if not isinstance(found, Function):
                raise MeldError(f"`{word}` is no function")
            lines = [f"{symbols.symbol_of(found).name} calls:", *(f"  {one.name}" for one in symbols.callees(found))]
            lines += [f"{symbols.symbol_of(found).name} is called by:"]
            lines += [f"  {one.name}" for one in symbols.callers(found)]
            shell.say_all(lines, everything=False, more="there is no more to see")


def _calls(shell: Shell) -> None:
    """The instances, and a line for each function that one calls of another, and for each pair of stream partners."""
    from meld.journal.graph import graph_of

    graph = graph_of(shell.session.program)
    lines = [f"{node.kind} {node.name}" for node in graph.nodes if node.kind != "host"]
    lines += [
        f"{edge.source} → {edge.target}  {edge.kind}{f': {row}' * bool(row)}"
        for edge in graph.edges
        for row in edge.rows or [""]
    ]
    shell.say_all(lines, everything=False, more="`save` it, then meldc inspect")


@command("run", "r", usage="[CALL]", completes="exports")
def run(shell: Shell, rest: str) -> None:
    """Call an export in a new instance: `f(1, "a")` by component types, `f 1 2` or `f(1, 2)` by core types.

    What is not lowered yet is interpreted. Without a call, list the exports.
    """
    _call(shell, rest, fresh=True)


@command("call", usage="CALL", completes="exports")
def call(shell: Shell, rest: str) -> None:
    """Call an export in the instance that the last `run` or `call` used, if nothing has changed since."""
    _call(shell, rest, fresh=False)


def _call(shell: Shell, rest: str, *, fresh: bool) -> None:
    session = shell.session
    execution = session.execution(fresh=fresh)
    if not rest:
        shell.say_all(callable_exports(execution.module), everything=False, more="list export")
        return
    if len(rest) > 1 and rest[0] == rest[-1] == "'":
        rest = rest[1:-1]
    for line in execution.call(rest):
        shell.say(line)


@command("verify", "v")
def verify(shell: Shell, rest: str) -> None:
    """Check the program by our own rules and by the engine's."""
    refuse(words_of(rest), "verify")
    fault = shell.session.fault()
    if fault is not None:
        raise MeldError(f"not valid: {fault.message}", where=fault.where, span=fault.span, hint=fault.hint)
    shell.say("valid")


@command("explain")
def explain(shell: Shell, rest: str) -> None:
    """Say what was done with each stream domain and boundary, and why."""
    from rich.console import Console

    from meld.views.explain import explain_to

    refuse(words_of(rest), "explain")
    console = Console(width=None if shell.interactive else 160, no_color=True)
    with console.capture() as captured:
        explain_to(console, shell.session.program)
    shell.say(captured.get().rstrip("\n"))


@command("stats")
def stats(shell: Shell, rest: str) -> None:
    """Say what each step up to here counted."""
    refuse(words_of(rest), "stats")
    _reports(shell, lambda lines: [line for line in lines if not line.startswith("remark: ")], "nothing was counted")


@command("remarks")
def remarks(shell: Shell, rest: str) -> None:
    """Say what the steps up to here remarked."""
    refuse(words_of(rest), "remarks")
    for remark in shell.session.remarks:
        shell.say(str(remark))
    _reports(shell, lambda lines: [line for line in lines if line.startswith("remark: ")], "no remarks")


def _reports(shell: Shell, chosen: Callable[[list[str]], list[str]], nothing: str) -> None:
    session = shell.session
    said = 0
    for number in range(1, session.number + 1):
        for line in chosen(report_lines(session.report(number))):
            shell.say(f"{number}. {session.label(number)}: {line.removeprefix('remark: ')}")
            said += 1
    if not said:
        shell.say(nothing)


@command("rewrites", "rw", usage="[PASS]", completes="steps")
def rewrites(shell: Shell, rest: str) -> None:
    """List the rewrites of the last step, or of one that has run: what, on which item, and whether it was done."""
    session = shell.session
    word = at_most_one(rest, "rewrites [PASS]")
    number = session.number if word is None else session.place(word)
    report = session.report(number)
    if report is None:
        raise MeldError(f"`{session.label(number)}` has not run", hint="`step` runs the next step")
    if not report.rewrites:
        shell.say(f"{session.label(number)} asked for no rewrites")
    lines = (
        f"{i:4}. {what} {item or ''}".rstrip() + ("" if done else "  (not done)")
        for i, (what, item, done) in enumerate(report.rewrites, 1)
    )
    shell.say_all(lines, everything=False, more="into N stops before one of them")
