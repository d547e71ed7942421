"""The parsers of the command line, made when they are needed, with errors that offer what was probably meant."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, NoReturn

from meld.support.patterns import late

COMPILE = "compile"
"""The command that is meant if none is named."""

_CHOICE = late(r"argument (\S+?)(?:/\S+)?: invalid choice: '(.*?)' \(")
_UNKNOWN = late(r"unrecognized arguments: (\S+)")


class Parser(argparse.ArgumentParser):
    """Says what is wrong in a line, and what might be right, instead of printing everything there is."""

    def error(self, message: str) -> NoReturn:
        """Exits with 2."""
        hint = self._hint(message) or f"`{self.prog} --help` says what there is"
        from meld.support.terminal import say

        say(f"{self.prog}: error: {message}\nhint: {hint}", error=True)
        raise SystemExit(2)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Prints help, or a version; argparse itself says nothing if that fails."""
        file = file or sys.stderr
        file.write(message)
        file.flush()

    def _hint(self, message: str) -> str | None:
        from meld.diagnostics import did_you_mean

        choice = _CHOICE.match(message)
        if choice is not None:
            named = [a for a in self._actions if choice[1] in (*a.option_strings, a.dest, a.metavar)]
            return did_you_mean(choice[2], [str(one) for action in named for one in action.choices or ()])
        unknown = _UNKNOWN.match(message)
        return None if unknown is None else did_you_mean(unknown[1].partition("=")[0], self.options())

    def options(self) -> list[str]:
        """All options, long and short."""
        return [option for action in self._actions for option in action.option_strings]

    def taken_by(self, option: str) -> argparse.Action | None:
        """The action of an option."""
        return next((action for action in self._actions if option in action.option_strings), None)

    def positionals(self) -> list[argparse.Action]:
        """The arguments that are not options."""
        return [action for action in self._actions if not action.option_strings]


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal. Asking `shutil` for that, as argparse does, imports what unpacks archives."""

    def __init__(self, prog: str) -> None:
        try:
            columns = int(os.environ["COLUMNS"])
        except (KeyError, ValueError):
            try:
                columns = os.get_terminal_size(1).columns
            except OSError:
                columns = 0
        super().__init__(prog, width=(columns or 80) - 2)


def parser_of(name: str) -> Parser:
    """The parser of a command of `meld.cli.COMMANDS`, or of `COMPILE`."""
    from meld.commands import COMMANDS, module_of

    if name == COMPILE:
        listed = "\n".join(f"  meldc {name:<10} {what}" for name, what in COMMANDS.items())
        usage = f"meldc INPUT… [-o OUT] [options]\n       meldc COMMAND --help\n\ncommands:\n{listed}"
        parser = Parser(prog="meldc", usage=usage, formatter_class=_Formatter)
    else:
        parser = Parser(prog=f"meldc {name}", formatter_class=_Formatter)
    module_of(name).configure(parser)
    return parser
