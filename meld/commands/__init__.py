"""The commands of the command line, one module each; `meld.cli` finds them by name.

A module has two functions: ``configure(parser)`` declares its arguments and stays light, since `--help` pays for it;
``main(args)`` does the work, imports what it needs, and returns the exit code.
"""
