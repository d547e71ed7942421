"""The commands that move through a compilation, and those that change it."""

from __future__ import annotations

from pathlib import Path

from meld.debugger.arguments import at_most_one, number_of, refuse, take_value, text_of_file, words_of
from meld.debugger.editor import edited
from meld.debugger.session import Breakpoint, Invalid, Report, Stepped, Stopped, rewrites
from meld.debugger.shell import Shell, all_commands, command, resolve
from meld.diagnostics import MeldError
from meld.ir.module import Function, Module

# --- moving --------------------------------------------------------------------------------------------------------


@command("step", "s", "next", "n", usage="[N]", repeats=True)
def step(shell: Shell, rest: str) -> None:
    """Run the next step, or N steps; inside a pass, the rest of it.

    Breakpoints stop it.
    """
    _advance(shell, number_of(rest or "1", "step [N]"))


@command("continue", "c", repeats=True)
def continue_(shell: Shell, rest: str) -> None:
    """Run until a breakpoint or the end."""
    refuse(words_of(rest), "continue")
    _advance(shell, None)


def _advance(shell: Shell, count: int | None) -> None:
    session = shell.session
    if session.done == len(session.entries) and session.rewrite is None:
        raise MeldError("all steps have run", hint="`back` goes back; `save FILE` and `run CALL` take what there is")
    for event in session.advance(count):
        match event:
            case Stepped():
                shell.say(f"{event.number}. {event.entry.step.instance.spec()}{_sizes(event.report)}")
                for line in report_lines(event.report):
                    shell.say(f"   {line}")
            case Stopped(breakpoint, changes):
                shell.say(f"stopped {_why(shell, breakpoint)}")
                shell.say_all(
                    (f"   {change.what.value} {symbol}" for symbol, change in changes),
                    everything=False,
                    more="diff",
                )
    if session.done == len(session.entries):
        shell.say("all steps have run")


def _why(shell: Shell, hit: Breakpoint) -> str:
    session = shell.session
    if hit.symbol:
        return f"after {session.label(session.done)} (breakpoint {hit.number}, {hit.text})"
    return f"before {session.entries[session.done].step.label} (breakpoint {hit.number})"


def _sizes(report: Report | None) -> str:
    if report is None:
        return "  skipped"
    both = [(key, report.before.get(key), after) for key, after in report.after.items()]
    return "".join(f"  {key} {before} → {now}" for key, before, now in both if before is not None and before != now)


def report_lines(report: Report | None) -> list[str]:
    """What a step counted and said, and how many rewrites it made."""
    if report is None:
        return []
    lines = [f"{name}: {count}" for name, count in report.stats.items()]
    made = sum(done for *_, done in report.rewrites)
    if report.rewrites:
        asked = rewrites(len(report.rewrites))
        lines.append(f"{made} of {asked}" if made < len(report.rewrites) else asked)
    return lines + [f"remark: {remark}" for remark in report.remarks]


@command("into", "i", usage="[N]", repeats=True)
def into(shell: Shell, rest: str) -> None:
    """Stop inside the next step before its first rewrite, the next one, or that with number N.

    The program is then what the step leaves if it may do the rewrites before only, which is always one that runs.
    """
    session = shell.session
    word = at_most_one(rest, "into [N]")
    what, item = session.into(None if word is None else number_of(word, "into [N]"))
    shell.say(f"inside {session.label(session.number)}, before rewrite {session.rewrite}: {what} {item or ''}".rstrip())


@command("back", "b", usage="[N]", repeats=True)
def back(shell: Shell, rest: str) -> None:
    """Go back over one step, or N steps; out of a pass counts as one."""
    session = shell.session
    count = number_of(rest or "1", "back [N]")
    if not session.number:
        raise MeldError("this is the input")
    session.back(count)
    shell.say(_standing(shell))


@command("goto", "g", usage="N|PASS|input", completes="steps")
def goto(shell: Shell, rest: str) -> None:
    """Go to where N steps have run, or to behind a step; breakpoints do not stop it."""
    word = at_most_one(rest, "goto N|PASS|input")
    if word is None:
        raise MeldError("go where?", hint="usage: goto N|PASS|input")
    shell.session.goto(shell.session.place(word))
    shell.say(_standing(shell))


def _standing(shell: Shell) -> str:
    session = shell.session
    ahead = session.entries[session.done].step.label if session.done < len(session.entries) else None
    here = f"after {session.done}. {session.label(session.done)}" if session.done else "at the input"
    return f"{here}; next is {ahead}" if ahead else f"{here}; all steps have run"


@command("where", "w")
def where(shell: Shell, rest: str) -> None:
    """Show all steps and where the session stands."""
    refuse(words_of(rest), "where")
    session = shell.session
    for number, entry in enumerate(session.entries, 1):
        mark = "→" if number == session.number else " "
        inside = f"  (before its rewrite {session.rewrite})" if number == session.number and session.rewrite else ""
        note = "  skipped" if entry.skipped else ""
        stops = [b for b in session.breakpoints if not b.symbol and entry.step.matches(b.text)]
        stop = "".join(f"  (breakpoint {b.number})" for b in stops)
        occurrence = f"{entry.step.label} " if entry.step.occurrence > 1 else ""
        shell.say(f"{mark} {number:2}. {occurrence}{entry.step.instance.spec()}{note}{inside}{stop}")
    shell.say(_standing(shell) if session.rewrite is None else f"inside {session.label(session.number)}")


# --- breakpoints ---------------------------------------------------------------------------------------------------


@command("break", "br", usage="PASS|SYMBOL|GLOB", completes="breaks")
def break_(shell: Shell, rest: str) -> None:
    """Stop before a pass, or after a step that creates, changes or removes a symbol.

    `$name`, `func:name` and patterns with `*` always mean symbols.
    """
    _stop_at(shell, rest, temporary=False)


@command("tbreak", "tb", usage="PASS|SYMBOL|GLOB", completes="breaks")
def tbreak(shell: Shell, rest: str) -> None:
    """Like `break`, but once."""
    _stop_at(shell, rest, temporary=True)


def _stop_at(shell: Shell, rest: str, *, temporary: bool) -> None:
    word = at_most_one(rest, "break PASS|SYMBOL|GLOB")
    if word is None:
        raise MeldError("stop where?", hint="usage: break PASS|SYMBOL|GLOB")
    made, there = shell.session.stop_at(word, temporary=temporary)
    waits = "" if there else "; nothing has that name yet"
    shell.say(f"breakpoint {str(made).partition(',')[0]}{waits}")


@command("delete", "d", usage="N|all", completes="breakpoints")
def delete(shell: Shell, rest: str) -> None:
    """Remove the breakpoint with a number, or all."""
    word = at_most_one(rest, "delete N|all")
    if word is None:
        raise MeldError("which breakpoint?", hint="usage: delete N|all")
    shell.session.delete(None if word == "all" else number_of(word, "delete N|all"))


@command("info")
def info(shell: Shell, rest: str) -> None:
    """List the breakpoints, and what was changed by hand."""
    refuse(words_of(rest), "info")
    session = shell.session
    for each in session.breakpoints:
        shell.say(str(each))
    if not session.breakpoints:
        shell.say("no breakpoints")
    for what, _ in session.history.past:
        shell.say(f"changed: {what}")


# --- changing ------------------------------------------------------------------------------------------------------


@command("skip", usage="PASS…", completes="steps")
def skip(shell: Shell, rest: str) -> None:
    """Have passes that are ahead skipped."""
    _skip(shell, rest, skipped=True)


@command("unskip", usage="PASS…", completes="steps")
def unskip(shell: Shell, rest: str) -> None:
    """Have passes that are skipped run after all."""
    _skip(shell, rest, skipped=False)


def _skip(shell: Shell, rest: str, *, skipped: bool) -> None:
    words = words_of(rest)
    if not words:
        raise MeldError("which pass?", hint="usage: skip PASS…")
    for note in shell.session.skip(words, skipped):
        shell.say(note)
    shell.say(f"{', '.join(words)} {'will be skipped' if skipped else 'will run'}")


@command("set", usage="PASS [OPTION=VALUE…]", completes="options")
def set_(shell: Shell, rest: str) -> None:
    """Give options of a pass that is ahead other values; without any, show them."""
    from meld.passes.base import options_of, shown

    words = words_of(rest)
    if not words:
        raise MeldError("which pass?", hint="usage: set PASS [OPTION=VALUE…]")
    session = shell.session
    if words[1:]:
        for note in session.set(words[0], words[1:]):
            shell.say(note)
    one = session.entries[session.history.find(words[0])].step.instance
    for each in options_of(type(one)):
        shell.say(f"{each.name}={shown(getattr(one, each.name.replace('-', '_')))}  {each.help}")


@command("edit", "e", usage="[FUNCTION] [--from FILE]", completes="functions", talks=True)
def edit(shell: Shell, rest: str) -> None:
    """Edit a function, or the whole program, in $VISUAL or $EDITOR; or take its text from a file.

    What comes back is checked. If it is wrong you may edit it again; if it is only invalid you may keep it.
    """
    session = shell.session
    words = words_of(rest)
    file = take_value(words, "--from")
    refuse(words[1:], "edit [FUNCTION] [--from FILE]")
    session.outside()
    function, text = _to_edit(shell, words[0] if words else None)
    if file is None:
        before, text = text, edited(text)
        if text == before:
            shell.say("nothing was changed")
            return
    else:
        text = text_of_file(file)
    check = True
    while True:
        try:
            with shell.working("edit"):
                notes = session.edit(text, function, check=check)
        except MeldError as e:
            if not shell.interactive or file is not None:
                raise
            shell.complain(e)
            keep = isinstance(e, Invalid)
            match shell.ask(
                f"edit again{', keep it,' * keep} or discard it? [e{'k' * keep}d] ", "ekd" if keep else "ed"
            ):
                case "e":
                    text = edited(text)
                case "k":
                    check = False
                case _:
                    shell.say("nothing was changed")
                    return
        else:
            break
    shell.say(f"{session.done}. {session.entries[session.done - 1].step.instance.spec()}  edited")
    for note in notes:
        shell.say(note)


def _to_edit(shell: Shell, wanted: str | None) -> tuple[str, str]:
    """The name of the function that is to be edited, and its text; or of the whole program."""
    from meld.files import print_text
    from meld.text.function import function_text

    session = shell.session
    if wanted is None:
        return "", print_text(session.program)
    found = session.symbols.one(wanted if ":" in wanted else f"func:{wanted}")
    if not isinstance(session.program, Module) or not isinstance(found, Function) or found.imported:
        raise MeldError(f"`{wanted}` is no function with a body", hint="`edit` alone edits the whole program")
    return session.symbols.symbol_of(found).name, function_text(session.program, found)


@command("undo", "u")
def undo(shell: Shell, rest: str) -> None:
    """Take the last edit, skip or set back."""
    refuse(words_of(rest), "undo")
    shell.say(f"undone: {shell.session.undo()}")
    shell.say(_standing(shell))


@command("reload")
def reload_(shell: Shell, rest: str) -> None:
    """Take inputs and plugins as they are now; breakpoints, edits, skips and options stay.

    The session goes to behind the same step again. If a file cannot be read, nothing is changed.
    """
    from meld.debugger.reloading import reload

    refuse(words_of(rest), "reload")
    session = shell.session
    changed = session.stale()
    notes = reload(session)
    shell.say(f"reloaded: {', '.join(changed)}" if changed else "reloaded; no file has changed")
    for note in notes:
        shell.say(note)
    shell.say(_standing(shell))


# --- ending --------------------------------------------------------------------------------------------------------


@command("save", usage="FILE", completes="files")
def save(shell: Shell, rest: str) -> None:
    """Write the program here as text, with what is left to run; `meldc replay` runs that."""
    from meld.debugger.saving import how_to_go_on, saved_text
    from meld.files import write_file

    file = at_most_one(rest, "save FILE")
    if file is None:
        raise MeldError("where to?", hint="usage: save FILE")
    write_file(Path(file), saved_text(shell.session, file).encode())
    shell.say(how_to_go_on(shell.session, file))


@command("help", "h", "?", usage="[COMMAND]", completes="commands")
def help_(shell: Shell, rest: str) -> None:
    """List the commands, or describe one."""
    word = at_most_one(rest, "help [COMMAND]")
    if word is not None:
        one = resolve(word)
        shell.say(f"{one.name} {one.usage}".rstrip() + (f"   (short: {', '.join(one.aliases)})" if one.aliases else ""))
        shell.say("\n".join(line.strip() for line in one.help.splitlines()))
        return
    rows = [(f"{one.name} {one.usage}".rstrip(), one.help.partition("\n")[0]) for one in all_commands().values()]
    width = max(len(left) for left, _ in rows)
    for left, right in rows:
        shell.say(f"{left:<{width}}  {right}")
    shell.say(
        "Short names, and beginnings of names, will do. An empty line repeats `step`, `into`, `back`, `continue`."
    )


@command("quit", "q", "exit")
def quit_(shell: Shell, rest: str) -> None:
    """End the session."""
    refuse(words_of(rest), "quit")
    shell.over = True
