"""Running golden tests: the commands of a file, and what came of them against what is expected."""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meld.diagnostics import MeldError
from meld.golden.expectations import Case, Expectation, Golden, Kind, as_block, block, pattern, read_golden
from meld.support.records import record

if TYPE_CHECKING:
    from meld.ir.module import Module

MAX_DIFF = 60
"""Lines of a difference that are shown."""


@record(frozen=True)
class Failure:
    """What is not as expected. `line` counts from 0; None if it is about no line of the file."""

    message: str
    line: int | None = None


@record()
class Report:
    """What came of a golden test. `blessed` is the text that would pass, as far as expectations can be rewritten."""

    golden: Golden
    failures: list[Failure] = field(default_factory=list)
    blessed: str = ""

    def __str__(self) -> str:
        name = self.golden.path
        places = [f"{name}:{f.line + 1}: " if f.line is not None else f"{name}: " for f in self.failures]
        return "\n".join(place + failure.message for place, failure in zip(places, self.failures, strict=True))


@record()
class CommandLine:
    """The command line that golden tests run: its entry point, and the names of its commands.

    It is given, since it has the command that runs golden tests among its own.
    """

    main: Callable[[Sequence[str]], int]
    commands: Collection[str]


@record()
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str
    errors: list[dict[str, Any]]
    remarks: list[str] = field(default_factory=list)


@record()
class _Edits:
    """Changes to the lines of a file: replacements by line, lines to drop, lines to add behind one."""

    replaced: dict[int, list[str]] = field(default_factory=dict)
    added: dict[int, list[str]] = field(default_factory=dict)

    def text(self, lines: list[str]) -> str:
        out = self.added.get(-1, []).copy()
        for number, line in enumerate(lines):
            out += self.replaced.get(number, [line])
            out += self.added.get(number, [])
        return "\n".join(out)


def run_golden(path: Path, meldc: CommandLine) -> Report:
    """Runs a golden test. Raises MeldError: it is none, or cannot be read."""
    from meld.files import decode_text, read_file

    golden = read_golden(path, decode_text(read_file(path), str(path)))
    report = Report(golden)
    edits = _Edits()
    errors: list[dict[str, Any]] = []
    fresh = not golden.expects_anything()
    for case in golden.cases:
        ran = run_command(golden, case, meldc)
        errors += ({**error, "case": case.line} for error in ran.errors)
        if ran.code == 70:
            report.failures.append(Failure(f"meldc failed: {ran.err.strip()}", case.line))
        if ran.code == 0:
            _compare(golden, case, ran, report, edits, fresh)
        elif case.expectations or case.output:
            report.failures.append(Failure(f"the command failed, and a product is expected\n{ran.err}", case.line))
    _compare_errors(golden, errors, report, edits)
    _compare_hints(golden, errors, report)
    if fresh and not errors:
        report.failures.append(Failure("the test expects nothing; --bless writes down what comes out"))
    report.blessed = edits.text(golden.lines)
    return report


# --- commands ------------------------------------------------------------------------------------------------------


def command_of(golden: Golden, case: Case, names: Collection[str]) -> list[str]:
    """The arguments of the command as it is run: with the file, and so that product and errors can be compared."""
    args = list(case.args)
    own = golden.path.name
    command = args[:1] if args and args[0] in names else []
    rest = args[len(command) :]
    if "{}" in rest:
        rest = [own if arg == "{}" else arg for arg in rest]
    elif golden.has_program():
        rest = [own, *rest]
    if not command:
        if not any(arg.startswith("--emit") for arg in rest):
            rest.append("--emit=wat")
        rest.append("--diagnostics=json")
    elif command == ["check"]:
        rest.append("--diagnostics=json")
    return [*command, *rest]


def run_command(golden: Golden, case: Case, meldc: CommandLine) -> Ran:
    """Runs a command in the directory of the test, in this process."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    err = io.StringIO()
    folder = golden.path.parent if str(golden.path.parent) else Path()
    with _inside(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = meldc.main(command_of(golden, case, meldc.commands))
        except SystemExit as e:  # argparse
            code = e.code if isinstance(e.code, int) else 2
    out.flush()
    raw: bytes = out.buffer.getvalue()
    text, said = raw.decode("utf-8", "replace"), err.getvalue()
    if code != 2:
        return Ran(code, text, said, [], [f"{d.get('where')}: {d['message']}" for d in _diagnostics(said)])
    errors = _diagnostics(text) or _diagnostics(said)
    if not errors:
        errors = [{"message": said.strip().rpartition("error: ")[2]}]
    return Ran(code, text, said, errors)


@contextlib.contextmanager
def _inside(folder: Path) -> Any:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _diagnostics(text: str) -> list[dict[str, Any]]:
    """The diagnostics in an output, which may have something in front."""
    start = 0 if text.startswith("{\n") else text.find("\n{\n") + 1
    if not text[start:].startswith("{"):
        return []
    try:
        found: list[dict[str, Any]] = json.loads(text[start:])["diagnostics"]
    except (ValueError, KeyError):
        return []
    return found


# --- the product ---------------------------------------------------------------------------------------------------


def _compare(golden: Golden, case: Case, ran: Ran, report: Report, edits: _Edits, fresh: bool) -> None:
    """What came out against what is expected of it."""
    if case.output is not None or fresh:
        start, end = case.output or (len(golden.lines), len(golden.lines))
        wanted, lines = block(golden.lines[start + 1 : end]), [";; output:", *as_block(ran.out)]
        if wanted.rstrip() != ran.out.rstrip() and not fresh:
            report.failures.append(Failure(f"another output\n{_difference(wanted, ran.out)}", start))
        if fresh:
            edits.added[len(golden.lines) - (2 if len(golden.lines) > 1 and not golden.lines[-1] else 1)] = lines
        else:
            edits.replaced[start] = lines
            edits.replaced |= {number: [] for number in range(start + 1, end)}
    _check(case, ran.out, report)
    for expectation in case.expectations:
        match expectation.kind:
            case Kind.REMARK:
                if not any(expectation.text in remark for remark in ran.remarks):
                    said = "".join(f"\n  {remark}" for remark in ran.remarks)
                    said = f"; there are:{said}" if said else ""
                    report.failures.append(Failure(f"there is no remark `{expectation.text}`{said}", expectation.line))
            case Kind.RUN:
                _run(golden, expectation, ran, report, edits)
            case _:
                pass


def _difference(wanted: str, found: str) -> str:
    lines = list(difflib.unified_diff(wanted.splitlines(), found.splitlines(), "expected", "found", lineterm=""))
    more = [f"… {len(lines) - MAX_DIFF} more lines"] if len(lines) > MAX_DIFF else []
    return "\n".join(lines[:MAX_DIFF] + more)


def _check(case: Case, text: str, report: Report) -> None:
    """`check`, `next` and `not`, in order."""
    lines = text.splitlines()
    position = 0  # the first line that is not matched yet
    forbidden: list[Expectation] = []

    def refuse(end: int) -> None:
        for one in forbidden:
            wrong = next((line for line in lines[position:end] if pattern(one.text).search(line)), None)
            if wrong is not None:
                report.failures.append(Failure(f"`{one.text}` is in the output: {wrong.strip()}", one.line))
        forbidden.clear()

    for one in case.expectations:
        match one.kind:
            case Kind.NOT:
                forbidden.append(one)
            case Kind.CHECK | Kind.NEXT:
                end = len(lines) if one.kind is Kind.CHECK else min(position + 1, len(lines))
                at = next((i for i in range(position, end) if pattern(one.text).search(lines[i])), None)
                if at is None:
                    there = f"; there is: {lines[position].strip()}" if position < len(lines) else ""
                    where = "from here on" if one.kind is Kind.CHECK else "in the next line"
                    report.failures.append(Failure(f"`{one.text}` is not {where}{there}", one.line))
                    return
                refuse(at)
                position = at + 1
            case _:
                pass
    refuse(len(lines))


# --- calls ---------------------------------------------------------------------------------------------------------


def _run(golden: Golden, expectation: Expectation, ran: Ran, report: Report, edits: _Edits) -> None:
    """A call, and its result or its trap. Each call has a fresh instance."""
    call, wanted = _split_run(expectation.text)
    try:
        found = call_export(ran.out, call)
    except MeldError as e:
        report.failures.append(Failure(f"`{call}` cannot be called: {e}", expectation.line))
        return
    if wanted is None or not _as_wanted(wanted, found):
        expected = "nothing is expected" if wanted is None else f"expected `{wanted}`"
        report.failures.append(Failure(f"`{call}` {found}, {expected}", expectation.line))
        line = golden.lines[expectation.line]
        edits.replaced[expectation.line] = [f"{line[: len(line) - len(line.lstrip())]};; run: {call} {found}"]


def _split_run(text: str) -> tuple[str, str | None]:
    """``f(1) == 2`` and ``f(1) traps: why`` taken apart."""
    call, found, wanted = text.rpartition(") == ")
    if found:
        return f"{call})", f"== {wanted.strip()}"
    call, found, wanted = text.rpartition(") traps")
    return (f"{call})", f"traps{wanted}") if found else (text, None)


def _as_wanted(wanted: str, found: str) -> bool:
    return found.startswith(wanted) if wanted.startswith("traps") else found == wanted


def call_export(product: str, call: str) -> str:
    """Calls an export of a module in text: ``== result`` or ``traps: why``. Raises MeldError."""
    from meld.ir.module import Module
    from meld.runtime.instantiate import Trapped
    from meld.runtime.interrupt import TIME_LIMIT, stoppable
    from meld.text.reading.program import parse

    module = parse(product, "the product")
    if not isinstance(module, Module):
        raise MeldError("the product is a component, which is not run here")
    with stoppable(TIME_LIMIT.get()) as watch:
        try:
            return _result(module, call)
        except Trapped as e:
            if watch.over:
                raise MeldError(f"takes more than {watch.seconds:g} s") from None
            return f"traps: {str(e).splitlines()[0] if str(e) else 'without a word'}"


def _result(module: Module, call: str) -> str:
    """The result of a call as ``== result``. Raises Trapped, MeldError."""
    from meld.runtime.instantiate import instantiate
    from meld.runtime.run import parse as read_number
    from meld.runtime.run import show
    from meld.runtime.typed import call as call_typed
    from meld.runtime.wave import split_call

    running = instantiate(module, lenient=True, interruptible=True)
    text = split_call(call)
    if text is None:
        raise MeldError("a call is written `name(arguments)`")
    if text.name in running.functions() and not any(e.label == text.name for e in _typed(module)):
        types = running.signature(text.name)
        inner = call.partition("(")[2].rpartition(")")[0]
        words = [word.strip() for word in inner.split(",")] if inner.strip() else []
        if len(words) != len(types.params):
            raise MeldError(f"`{text.name}` takes {len(types.params)} arguments, not {len(words)}")
        given = [read_number(word, t) for word, t in zip(words, types.params, strict=True)]
        result = running.call(text.name, *given)
        values = [result] if len(types.results) == 1 else result or []
        return "== " + (", ".join(show(v, t) for v, t in zip(values, types.results, strict=True)) or "()")
    return f"== {call_typed(running, text) or '()'}"


def _typed(module: Any) -> Any:
    from meld.notes.boundaries import HostExport

    return module.notes_of(HostExport)


# --- errors --------------------------------------------------------------------------------------------------------


def _compare_errors(golden: Golden, errors: list[dict[str, Any]], report: Report, edits: _Edits) -> None:
    """Each error against the comment at its line, and the other way round."""
    open_errors = list(errors)
    for expectation in golden.errors:
        found = next((error for error in open_errors if _is_expected(golden, error, expectation)), None)
        if found is not None:
            open_errors.remove(found)
            continue
        where = "at this line" if expectation.placed else "without a place in the file"
        report.failures.append(Failure(f"there is no error `{expectation.text}` {where}", expectation.line))
        kept = golden.lines[expectation.line].partition(";; error:")[0].rstrip()
        edits.replaced[expectation.line] = [kept] if expectation.placed else []
    for error in open_errors:
        number = _line(golden, error)
        report.failures.append(Failure(f"unexpected error: {error['message']}", number))
        shown = f";; error: {error['message']}".splitlines()[0]
        if number is None:
            at = error["case"]
            edits.added.setdefault(-1 if at is None else at, []).append(shown)
        else:
            current = edits.replaced.get(number) or [golden.lines[number]]
            edits.replaced[number] = [f"{current[0]} {shown}"]


def _is_expected(golden: Golden, error: dict[str, Any], expectation: Expectation) -> bool:
    line = _line(golden, error)
    wanted = expectation.line if expectation.placed else None
    where = f"{error['where']}: " if error.get("where") and wanted is None else ""
    return line == wanted and expectation.text in f"{where}{error['message']}"


def _compare_hints(golden: Golden, errors: list[dict[str, Any]], report: Report) -> None:
    """Each expected way out is one that some error proposes."""
    hints = [error["hint"] for error in errors if error.get("hint")]
    for expectation in golden.hints:
        if not any(expectation.text in hint for hint in hints):
            said = "".join(f"\n  {hint}" for hint in hints)
            said = f"; there are:{said}" if said else ""
            report.failures.append(Failure(f"no error has the hint `{expectation.text}`{said}", expectation.line))


def _line(golden: Golden, error: dict[str, Any]) -> int | None:
    """The line, from 0, of an error about the file itself."""
    return error["line"] - 1 if error.get("file") == golden.path.name and "line" in error else None
