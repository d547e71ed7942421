"""`meldc debug`: a compilation that is stopped, inspected, changed and resumed."""

from __future__ import annotations

import argparse
import sys


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    from meld.commands.compile import pipeline_arguments

    parser.description = "Debug a compilation: step through it and back, look at the IR, run it, change it, go on."
    parser.epilog = """\
examples:
  meldc debug a.wasm b.wasm
  meldc debug a.wasm b.wasm -c 'break adapter-wiring; continue; run f(1)' -i
  meldc debug a.wasm b.wasm --script session.txt
`help` in the session lists the commands."""
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT", help="components or a module, .wasm or .wat")
    add("--emit", choices=("component",), help="debug how the product is wrapped as a component, too")
    add("-c", "--command", metavar="COMMANDS", action="append", default=[], help="perform these, and end")
    add("--script", metavar="FILE", help="perform the commands in a file, and end")
    add("-i", "--interactive", action="store_true", help="do not end after -c or --script")
    pipeline_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Holds a session. Without a terminal the exit code is that of the worst error. Raises MeldError."""
    from meld.commands.compile import pipeline_options
    from meld.debugger.arguments import text_of_file
    from meld.debugger.candidates import completions
    from meld.debugger.lineedit import LineEditor
    from meld.debugger.session import Session
    from meld.debugger.shell import Shell

    given = list(args.command) + ([text_of_file(args.script)] if args.script else [])
    session = Session.open(args.inputs, pipeline_options(args, wrap=args.emit == "component"))
    shell = Shell(session)
    for text in given:
        shell.perform_all(text)
    if shell.over or (given and not args.interactive):
        return shell.status
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        for line in sys.stdin:
            shell.perform_all(line)
        return shell.status
    editor = LineEditor(lambda line, word: completions(session, line, word))
    shell.editor = editor
    shell.say(f"{len(session.entries)} steps; `help` lists the commands, `where` the steps")
    try:
        shell.converse()
    finally:
        editor.close()
    return 0
