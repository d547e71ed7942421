"""Canonical definitions in the text of components."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.builtins import BUILTINS, ENCODINGS, Operand
from meld.ir.component import CanonBuiltin, CanonOptions, Definition, Sort
from meld.ir.types import I32
from meld.text.grammar.lalr import Token, Tree
from meld.text.reading.component.reading import Reading, token, trees
from meld.text.reading.component.references import References
from meld.text.reading.component.types import TypeReader
from meld.text.reading.names import NUMTYPES
from meld.text.reading.types import Node

_REFERENCES = {
    "memory": Sort.CORE_MEMORY,
    "realloc": Sort.CORE_FUNC,
    "post_return": Sort.CORE_FUNC,
    "callback": Sort.CORE_FUNC,
    "core_type": Sort.CORE_TYPE,
}
"""Options that refer to something, as the attributes of `CanonOptions`."""

_OPERANDS = {
    Operand.TYPE: "a type",
    Operand.CORE_TYPE: "a core type",
    Operand.TABLE: "a core table",
    Operand.SLOT: "a type and the number of a slot",
    Operand.MEMORY: "a memory",
}
"""The operands that cannot be left out."""


class CanonReader:
    """Reads canonical definitions.

    Attributes:
        rules: what reads each form.
    """

    def __init__(self, reading: Reading, references: References, types: TypeReader) -> None:
        self.here = reading
        self.references = references
        self.types = types
        self.rules: dict[str, Callable[[list[Node]], None]] = {
            "core_func": self.core_func,
            "func_definition": self.func_definition,
            "lift_definition": self.lift_definition,
            "lower_definition": self.canon_definition,
            "builtin_definition": self.canon_definition,
        }

    def core_func(self, nodes: list[Node]) -> None:
        """``(core func $f (canon …))``."""
        keyword, head_tree, canon = nodes
        assert isinstance(head_tree, Tree) and isinstance(canon, Tree)
        head = self.here.head(keyword, head_tree.children)
        item = self.lower(canon.children) if canon.data == "canon_lower" else self.builtin(canon.children)
        self.here.add(item, head)

    def canon_definition(self, nodes: list[Node]) -> None:
        """``(canon … (core func $f))``."""
        *operands, name = nodes
        assert isinstance(name, Tree)
        keyword, head_tree = name.children
        assert isinstance(head_tree, Tree)
        head = self.here.head(keyword, head_tree.children)
        is_builtin = isinstance(operands[1], Token) and operands[1].type == "BUILTIN"
        self.here.add(self.builtin(operands) if is_builtin else self.lower(operands), head)

    def func_definition(self, nodes: list[Node]) -> None:
        """``(func $f … (canon lift …))``."""
        keyword, head_tree, *exports, use, lift = nodes
        assert isinstance(head_tree, Tree) and isinstance(lift, Tree)
        head = self.here.head(keyword, head_tree.children)
        place = self.here.place
        item = self.lift(lift.children, use)
        self.here.place = place
        self.here.inline_exports(self.here.add(item, head), exports)

    def lift_definition(self, nodes: list[Node]) -> None:
        """``(canon lift … (func $f …))``."""
        lift, keyword, head_tree, use = nodes
        assert isinstance(head_tree, Tree) and isinstance(lift, Tree)
        head = self.here.head(keyword, head_tree.children)
        place = self.here.place
        item = self.lift(lift.children, use)
        self.here.place = place
        self.here.add(item, head)

    def lift(self, nodes: list[Node], use: Node) -> Definition:
        """``(canon lift f options…)`` with the type of the function."""
        _, function, *options = nodes
        t = self.types.type_use(Sort.FUNC, [use])
        return c.CanonLift(self.references.reference(Sort.CORE_FUNC, function), t, self.options(options))

    def lower(self, nodes: list[Node]) -> Definition:
        """``(canon lower f options…)``."""
        _, function, *options = nodes
        return c.CanonLower(self.references.reference(Sort.FUNC, function), self.options(options))

    # --- built-ins ---

    def builtin(self, nodes: list[Node]) -> Definition:
        """``(canon stream.new t)`` and the like: the table of built-ins has the operands of each."""
        _, name, *rest = nodes
        builtin = BUILTINS.get(str(name))
        if builtin is None:
            from difflib import get_close_matches

            close = get_close_matches(str(name), BUILTINS, 1, 0.6)
            hint = f"did you mean `{close[0]}`?" if close else None
            raise self.here.error(token(name), f"unknown built-in `{name}`", hint)
        item = CanonBuiltin(str(name))
        for operand in builtin.operands:
            if operand in _OPERANDS and not rest:
                raise self.here.error(token(name), f"`{name}` needs {_OPERANDS[operand]}")
            match operand:
                case Operand.TYPE:
                    item.type = self.operand(Sort.TYPE, rest)
                case Operand.CORE_TYPE:
                    item.type = self.operand(Sort.CORE_TYPE, rest)
                case Operand.TABLE:
                    item.table = self.operand(Sort.CORE_TABLE, rest)
                case Operand.SLOT:
                    first = rest[0]
                    is_typed = isinstance(first, Token) and first.type == "NUMTYPE"
                    valtype = NUMTYPES[token(rest.pop(0))] if is_typed else I32
                    if not rest or not isinstance(rest[0], Token):
                        raise self.here.error(token(name), f"`{name}` needs the number of a slot")
                    item.slot = valtype, self.here.number(token(rest.pop(0)))
                case Operand.RESULT:
                    if results := trees(rest[:1], "comp_result"):
                        item.result = self.types.value_type(results[0].children[0])
                        del rest[0]
                case Operand.OPTIONS:
                    item.options, rest = self.options(rest), []
                case Operand.MEMORY | Operand.ASYNC:
                    item.options = self.options(rest[:1])
                    allowed = ("memory",) if operand is Operand.MEMORY else ("is_async",)
                    if item.options.order not in ((), allowed):
                        raise self.here.error(token(name), f"`{name}` takes no such option")
                    rest = rest[1:]
                case Operand.ZERO:
                    pass
        if rest:
            if Operand.ZERO in builtin.operands:
                self.options(trees(rest, "canon_option"))  # `cancellable` is said to be gone
            raise self.here.error(token(name), f"`{name}` has an operand too many")
        return item

    def operand(self, sort: Sort, rest: list[Node]) -> Definition:
        """The next operand, which refers to something."""
        node = rest.pop(0)
        if isinstance(node, Token):
            return self.here.find(sort, node)
        if node.data != "operand_reference":
            raise MeldError(f"expected a {sort.value}", span=self.here.place)
        return self.references.reference(sort, node)

    def options(self, nodes: Iterable[Node]) -> CanonOptions:
        """The options of a canonical definition; their order is kept. Raises MeldError if one is given twice."""
        found: dict[str, Any] = {}
        for node in nodes:
            if not isinstance(node, Tree) or node.data != "canon_option":
                raise MeldError("expected an option, found an operand", span=self.here.place)
            first, *operands = node.children
            keyword = token(first)
            value: Any = True
            match keyword.type:
                case "ASYNC":
                    key = "is_async"
                case "CANCELLABLE":
                    raise self.here.error(keyword, "`cancellable` is not part of the format any more")
                case "ENCODING":
                    key, value = "encoding", keyword.partition("=")[2]
                    if value not in ENCODINGS:
                        raise self.here.error(
                            keyword, f"unknown encoding `{value}`", f"there are {', '.join(ENCODINGS)}"
                        )
                case "GC" | "ALWAYS_TASK_RETURN":
                    key = keyword.replace("-", "_")
                case _:
                    key = keyword[1:].replace("-", "_")
                    value = self.references.reference(_REFERENCES[key], operands[0], operands[1:])
            if key in found:
                raise self.here.error(keyword, f"the option `{keyword.lstrip('(')}` is given twice")
            found[key] = value
        return CanonOptions(**found, order=tuple(found))
