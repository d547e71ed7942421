"""`Function.view`: what is asked for again is not decoded again, and never what it was before something changed."""

from __future__ import annotations

import pytest

from meld.binary.bodies import EncodedBody
from meld.files import encode
from meld.ir.instructions import Code
from meld.ir.module import VIEWS, Function, Module
from meld.ir.types import FuncType, TypeDef
from meld.text.reading.body import TextBody
from meld.text.reading.program import parse_module

TEXT = """(module (func $a (result i32) i32.const 1) (func $b (result i32) i32.const 2)
  (func $user (result i32) (local i64) block $l (result i32) call $a end))"""


@pytest.fixture(params=["text", "binary"])
def module(request: pytest.FixtureRequest) -> Module:
    from meld.binary.reader import read_module

    made = parse_module(TEXT, "t")
    return made if request.param == "text" else read_module(encode(made), "t")


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The bodies that are decoded."""
    found: list[object] = []
    for kind in (TextBody, EncodedBody):
        plain = kind.decode

        def decode(self: object, plain: object = plain) -> Code:
            found.append(self)
            return plain(self)  # type: ignore[operator,no-any-return]

        monkeypatch.setattr(kind, "decode", decode)
    return found


def called(function: Function) -> object:
    return function.view().instructions[1].args[0]


def test_a_view_in_a_loop_decodes_once(module: Module, decoded: list[object]) -> None:
    user = module.functions[2]
    for index in range(len(user.view().instructions)):
        assert user.view().instructions[index].op == ("block", "call", "end")[index]
    assert len(decoded) == 1 and not isinstance(user.body, Code)


def test_a_view_means_what_the_scope_means_now(module: Module) -> None:
    a, b, user = module.functions
    assert called(user) is a
    module.replace_uses({a: b})
    assert called(user) is b
    user.body.scope.types = [TypeDef(FuncType()) for _ in user.body.scope.types]  # type: ignore[union-attr]
    assert called(user) is b


def test_a_view_is_that_of_the_body_now(module: Module) -> None:
    a, b, user = module.functions
    assert a.view().instructions[0].args == (1,)
    a.body = b.body
    assert a.view().instructions[0].args == (2,)
    user.view()
    user.label_names = {0: "other"}
    assert user.view().instructions[0].label == "other"


def test_what_is_changed_in_a_view_is_lost(module: Module) -> None:
    user, text = module.functions[2], encode(module)
    user.view().instructions.clear()
    assert encode(module) == text
    user.view().locals.clear()
    assert len(user.code.locals) == 1 and len(user.instructions) == 3


def test_few_views_are_kept(decoded: list[object]) -> None:
    module = parse_module("(module " + "(func i32.const 1 drop) " * (VIEWS + 1) + ")", "t")
    for function in module.functions:
        function.view()
    module.functions[-1].view()
    assert len(decoded) == VIEWS + 1
    module.functions[0].view()
    assert len(decoded) == VIEWS + 2


def test_an_import_has_none() -> None:
    (function,) = parse_module('(module (import "a" "b" (func)))', "t").imports
    assert isinstance(function, Function)
    for ask in (Function.view, Function.decoded):
        with pytest.raises(AttributeError):
            ask(function)
