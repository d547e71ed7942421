"""Inputs of a compilation: read, and validated by the engine while passes run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path

from meld.binary.validation import Refusal, refusals, refusals_of_text
from meld.diagnostics import MeldError, Remark, Span
from meld.files import encode, is_binary, read_file, read_program
from meld.ir.component import Component, CoreModule, NestedComponent
from meld.ir.instructions import LazyBody
from meld.ir.module import Function, Module
from meld.passes.base import Program
from meld.support.ahead import Background
from meld.support.records import record
from meld.text.literals import identifier

LARGEST_TEXT = 4 << 20
"""Bytes of a text that the engine's reader is given; of a longer one our own reader and writer make a binary."""
HINT = "`meldc check --engine` says what else is wrong; --verify=off leaves the engine out"


@record(eq=False)
class Validation:
    """What the engine says against the core modules of an input; asked on another thread.

    Attributes:
        name: the name of the file.
        data: its bytes.
    """

    name: str
    data: bytes | memoryview
    _answer: Background[list[Refusal] | None]

    @classmethod
    def begin(cls, name: str, data: bytes | memoryview) -> Validation:
        """Has the engine begin."""

        def answer() -> list[Refusal] | None:
            if is_binary(data):
                return refusals(data)
            return refusals_of_text(bytes(data)) if len(data) <= LARGEST_TEXT else None

        return cls(name, data, Background(answer, lambda found: found))

    def demand(self) -> list[Remark]:
        """Waits for the answer; remarks where the engine cannot tell.

        Raises:
            MeldError: a core module of the input is not valid.
        """
        found = self._answer.get()
        if found is None:
            found = refusals(encode(self._program()))
        wrong = [refusal for refusal in found if not refusal.lacks]
        if wrong:
            raise self._error(wrong[0])
        if not found:
            return []
        program, remarks = self._program(located=True), []
        for refusal in found:
            self._check_form(refusal, program)
            lacking = "the bodies of a core module are not type-checked, since the engine lacks a feature"
            said = f"{self.name}: {place(refusal, program)[0]}: {lacking}: {refusal.message}"
            remarks.append(Remark("inputs", said))
        return remarks

    def _check_form(self, refusal: Refusal, program: Program) -> None:
        """What can be seen without types, in a module of which the engine sees nothing. Raises MeldError."""
        from meld.ir.nesting import misnested

        where, module = _all_modules(program)[refusal.module]
        for number, function in enumerate(module.space("functions")):
            for at, message in misnested(function.view().instructions if function.body is not None else ()):
                what = ", ".join(filter(None, (where, _called(function, number, at))))
                raise self._invalid(what, message, function.view().instructions[at].span)

    def _program(self, *, located: bool = False) -> Program:
        return read_program(self.data, self.name, located=located)

    def _error(self, refusal: Refusal) -> MeldError:
        """With the line, if the input is text. Instructions are found by the offsets in our own encoding."""
        program = self._program(located=True)
        again = [other for other in refusals(encode(program)) if other.module == refusal.module]
        refusal = again[0] if again else refusal
        where, span = place(refusal, program)
        return self._invalid(where, refusal.message, span)

    def _invalid(self, where: str, message: str, span: Span | None) -> MeldError:
        said = f"the input is not valid: {message}"
        if span is None:
            return MeldError(said, where=f"{self.name}: {where}" if where else self.name, hint=HINT)
        return MeldError(f"{where}: {said}", span=span, hint=HINT)


def read_inputs(
    paths: Sequence[str | PathLike[str]],
    tell: Callable[[str | PathLike[str], bytes | memoryview], None],
    *,
    validate: bool,
) -> tuple[list[Program], list[Validation]]:
    """The programs in files; with `validate`, the engine has begun to validate each when this returns.

    Args:
        tell: is told of the bytes of each file.

    Raises:
        MeldError: a file cannot be read.
    """
    programs, validations = [], []
    for path in paths:
        data = read_file(Path(path))
        tell(path, data)
        if validate:
            validations.append(Validation.begin(str(path), data))
        programs.append(read_program(data, path))
    return programs, validations


def read_bodies(program: Program) -> None:
    """Reads all function bodies, which stay as they came until a pass needs them. Raises MeldError: one is malformed.

    For commands that show a program and run no pass over it that would need them, nor have the engine validate it.
    """
    for _, module in _all_modules(program):
        for function in module.functions:
            if isinstance(function.body, LazyBody):
                function.body.uses()


def validate_product(program: Program, product: bytes, *, text: bool) -> None:
    """Has the engine validate the core modules of a product, in binary or in text. Raises MeldError."""
    found = refusals(product) if not text else refusals_of_text(product) if len(product) <= LARGEST_TEXT else None
    for refusal in found or ():
        if not refusal.lacks:
            raise MeldError(f"the product is not valid: {refusal.message}", where=place(refusal, program)[0])


def place(refusal: Refusal, program: Program) -> tuple[str, Span | None]:
    """Where something is wrong in the program that the engine was given, as our writer encodes it; and in its text."""
    from meld.binary.places import instruction_at

    modules = _all_modules(program)
    if refusal.module >= len(modules):
        return f"core module {refusal.module}", None
    where, module = modules[refusal.module]
    span = None
    if refusal.function is not None and refusal.offset is not None and refusal.function < len(module.functions):
        function = module.functions[refusal.function]
        number = sum(isinstance(item, Function) for item in module.imports) + refusal.function
        at, span = instruction_at(module, function, refusal.offset), function.span
        what = _called(function, number, at)
        if at is not None:
            span = function.view().instructions[at].span or span
    else:
        what = "" if refusal.offset is None else f"offset {refusal.offset:#x}"
    return ", ".join(filter(None, (where, what))), span


def _called(function: Function, number: int, instruction: int | None) -> str:
    """A function in words, by its name or its number, and an instruction of it if it is about one."""
    what = f"function {identifier(function.name) if function.name else number}"
    return what if instruction is None else f"{what}, instruction {instruction}"


def _all_modules(program: Program) -> list[tuple[str, Module]]:
    return [("", program)] if isinstance(program, Module) else list(_modules(program))


def _modules(component: Component) -> Iterator[tuple[str, Module]]:
    """The core modules of a component, nested ones included, with the place of each; in the order of a binary."""
    pending: list[tuple[str, Component | Module]] = [("", component)]
    while pending:
        where, current = pending.pop()
        if isinstance(current, Module):
            yield where, current
            continue
        before, inner = f"{where}, " if where else "", list[tuple[str, Component | Module]]()
        for number, item in enumerate(current.definitions):
            name = identifier(item.name) if item.name else str(number)
            match item:
                case NestedComponent():
                    inner.append((f"{before}component {name}", item.component))
                case CoreModule():
                    inner.append((f"{before}core module {name}", item.module))
        pending += reversed(inner)
