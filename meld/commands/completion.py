"""`meldc completion`: completion in a shell."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.description = "Print the script that teaches a shell to complete commands, options, and names of passes."
    parser.epilog = """\
for good:
  bash   eval "$(meldc completion bash)"        in ~/.bashrc
  zsh    eval "$(meldc completion zsh)"         in ~/.zshrc, behind compinit
  fish   meldc completion fish | source         in ~/.config/fish/config.fish"""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), metavar="bash|zsh|fish")
    parser.add_argument("--words", help=argparse.SUPPRESS)  # those in front of the cursor, one a line


def main(args: argparse.Namespace) -> int:
    """Prints the script, or what the last of the words can be."""
    from meld.commands.shells import SCRIPTS, complete

    if args.words is None:
        print(SCRIPTS[args.shell], end="")
    else:
        print("".join(f"{each}\n" for each in complete(args.words.split("\n"), splits=args.shell == "bash")), end="")
    return 0
