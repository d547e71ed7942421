"""The text of one function, read into a module that is there: what the debugger's `edit FUNCTION` gives back."""

from __future__ import annotations

from meld.diagnostics import MeldError, Source, Span
from meld.ir.instructions import IndexSpaces, LazyBody
from meld.ir.module import Function, Module
from meld.text.grammar.lalr import Tree
from meld.text.grammar.syntax import syntax
from meld.text.literals import identifier, identifier_name
from meld.text.printing.module import ModulePrinter
from meld.text.printing.names import Names, declarations
from meld.text.reading.module import read_function
from meld.text.reading.names import TextContext


def function_text(module: Module, function: Function) -> str:
    """A function as it stands in the text of its module."""
    return "".join(line + "\n" for line in ModulePrinter(module, -1).function(function))


def replace_function(module: Module, function: Function, text: str, source: str) -> None:
    """Replaces a function by a text. References to the function stay.

    Args:
        text: ``(func …)``, which defines a function and exports nothing. It may name whatever the module has.
        source: what the text is called in messages.

    Raises:
        MeldError: the text is malformed, or a name in it means nothing; the function is what it was then.
    """
    names = Names(module)
    types = len(module.types)
    try:
        made = _read(module, text, source, names)
    except MeldError as e:
        del module.types[types:]
        raise _shown_in(Source(source, text), e) from None
    called = names.ref("functions", function)
    function.type, function.body = made.type, made.body
    function.local_names, function.label_names = made.local_names, {}
    function.owner, function.origin, function.synthetic = made.owner, made.origin, made.synthetic
    function.notes = made.notes
    if made.name is None or identifier(made.name) != called:
        function.name = made.name


_BEFORE, _AFTER = "(module ", "\n)"


def _shown_in(source: Source, error: MeldError) -> MeldError:
    """The text stands in a module of its own while the grammar reads it; the error is to show it as it is."""
    if error.span is not None:
        start, end = (max(0, min(at - len(_BEFORE), len(source.text))) for at in (error.span.start, error.span.end))
        error.span = Span(source, start, max(start, end))
    return error


def _read(module: Module, text: str, source: str, names: Names) -> Function:
    whole = Source(source, _BEFORE + text + _AFTER)
    tree = syntax("module", "wat.lark").parse(whole)
    fields = tree.children[1:]
    field = fields[0] if len(fields) == 1 else None
    if not isinstance(field, Tree) or field.data != "func":
        place = Span(whole, len(_BEFORE), len(_BEFORE) + 1)
        raise MeldError("expected one function, `(func …)`, and nothing else", span=place)
    context = TextContext(whole, {name: note for note, name in names.unique["note"].items()})
    made = read_function(field, context, _scope(names), module)
    if isinstance(made.body, LazyBody):  # so that names in it are checked now
        made.body = made.decoded()
    return made


def _scope(names: Names) -> IndexSpaces:
    """Everything in a module by index and by name."""
    scope = IndexSpaces(names={"fields": {}})
    for space in IndexSpaces.SPACES:
        indices = names.numbering.indices[space]
        setattr(scope, space, list(indices))
        scope.names[space] = {name: indices[item] for item, name in names.unique[space].items()}
    for index, typedef in enumerate(scope.types):
        for number, (_, name) in declarations(typedef.field_names).items():
            scope.names["fields"][f"{index} {identifier_name(name)}"] = number
    return scope
