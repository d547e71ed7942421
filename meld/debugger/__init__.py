"""`meldc debug`: a compilation that is stopped, inspected, changed and resumed.

session.py is the debugger itself, without a terminal; history.py what is to run and what was changed in it; symbols.py
what a program is made of, by name; execution.py runs exports; commands.py and shell.py are its commands, lineedit.py
the line editor.
"""
