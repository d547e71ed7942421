"""Completion in shells. The scripts ask the compiler, so what they offer is what the parsers take."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from meld.commands.parser import COMPILE, parser_of

SCRIPTS = {
    "bash": """\
# meldc in bash: eval "$(meldc completion bash)"
_meldc() {
  local IFS=$'\\n'
  COMPREPLY=($(meldc completion bash --words="${COMP_WORDS[*]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _meldc meldc
""",
    "zsh": """\
#compdef meldc
# meldc in zsh: eval "$(meldc completion zsh)", behind compinit
_meldc() {
  local -a found
  found=("${(@f)$(meldc completion zsh --words="${(F)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$found" ]]; then compadd -Q -- $found; else _files; fi
}
compdef _meldc meldc
""",
    "fish": """\
# meldc in fish: meldc completion fish | source
function __meldc
  set -l words (commandline -opc) (commandline -ct)
  meldc completion fish --words=(string join \\n -- $words[2..-1] | string collect --allow-empty) 2>/dev/null
end
complete -c meldc -a '(__meldc)'
""",
}
"""Per shell; where nothing is offered, the shell offers files."""


def complete(words: Sequence[str], *, splits: bool = False) -> list[str]:
    """What the last of some words can be, the words being those behind `meldc`. Nothing means a file.

    Args:
        splits: the shell makes three words of ``--emit=wat``, and wants only the last of them (bash).
    """
    from meld.commands import COMMANDS

    words = _joined(words) if splits else list(words) or [""]
    current = words[-1]
    if len(words) == 1 and not current.startswith("-"):
        return [name for name in COMMANDS if name.startswith(current)]
    command = words[0] if words[0] in COMMANDS else COMPILE
    parser = parser_of(command)
    if current.startswith("--") and "=" in current:
        option, _, value = current.partition("=")
        action = parser.taken_by(option)
        found = [] if action is None else _values(action, value)
        return found if splits else [f"{option}={each}" for each in found]
    if current.startswith("-"):
        return [option for option in parser.options() if option.startswith(current)]
    before = parser.taken_by(words[-2]) if len(words) > 1 else None
    if before is not None and before.nargs != 0:
        return _values(before, current)
    return [each for action in parser.positionals() for each in _values(action, current)]


def _joined(words: Sequence[str]) -> list[str]:
    """The words as they were before ``=`` split them."""
    out: list[str] = []
    glue = False
    for word in words:
        if (glue or word == "=") and out and out[-1].startswith("--"):
            out[-1] += word
        else:
            out.append(word)
        glue = word == "="
    return out or [""]


def _values(action: argparse.Action, current: str) -> list[str]:
    """What an argument can be: its choices, or what stands for it in the help."""
    if action.choices is not None:
        return [str(each) for each in action.choices if str(each).startswith(current)]
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    values = VALUES_OF.get(action.dest) or VALUES.get(metavar)
    return [] if values is None else values(current)


def _passes(current: str) -> list[str]:
    from meld.passes import Registry

    return [name for name in Registry.standard().names() if name.startswith(current)]


def _passes_or(*words: str) -> Callable[[str], list[str]]:
    return lambda current: [*_passes(current), *(word for word in words if word.startswith(current))]


def _pipeline(current: str) -> list[str]:
    """The last pass of a pipeline, or an option of it."""
    if "{" in current.rpartition("}")[2]:
        return _pass_options(current)
    front, comma, last = current.rpartition(",")
    return [f"{front}{comma}{name}" for name in _passes(last)]


def _pass_options(current: str) -> list[str]:
    from meld.diagnostics import MeldError
    from meld.passes import Registry
    from meld.passes.base import options_of

    front, _, inside = current.rpartition("{")
    given, comma, last = inside.rpartition(",")
    try:
        options = options_of(Registry.standard().get(front.rpartition(",")[2].strip()))
    except MeldError:
        return []
    return [f"{front}{{{given}{comma}{option.name}=" for option in options if option.name.startswith(last)]


VALUES: dict[str, Callable[[str], list[str]]] = {
    "PASS": _passes,
    "PASS:N": lambda current: [f"{name}:" for name in _passes(current)],
    "PIPELINE": _pipeline,
}
"""What can stand for a word in the help; nothing for FILE and the like, which the shell completes."""

VALUES_OF: dict[str, Callable[[str], list[str]]] = {
    "dump_before": _passes_or("all"),
    "dump_after": _passes_or("all", "changed", "failed"),
}
"""The same for arguments that take more than the word says."""
