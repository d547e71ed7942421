"""`meldc debug`: a compilation that is stopped, looked at, changed and gone on with.

session.py is the debugger itself, without a terminal; history.py what is to run and what was changed in it; symbols.py
what a program is made of, by name; execution.py runs exports; commands.py and shell.py are the words of it, and
lineedit.py the line that they are typed on.
"""
