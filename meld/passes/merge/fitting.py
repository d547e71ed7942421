"""Whether what is given fits what is wanted: arguments of instantiations against declared imports, and core imports.

A validator has checked each input, but nobody has checked what `link` connects. Types are resolved here, so two of them
fit if they are equal; an instance may have more exports than are asked for. What a declaration names is bound to what
is given, so that later types of it mean that.

Source: Component Model, Explainer.md (instantiate definitions); Subtyping.md. WebAssembly 3.0, 3.4 (import matching).
"""

from __future__ import annotations

from typing import Any, Protocol

from meld.abi.types import Resource, show
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.describe import signature
from meld.ir.module import CoreItem, Function, Global, Memory, Table
from meld.ir.types import FuncType, Limits, NumType
from meld.passes.merge.values import (
    ComponentValue,
    Env,
    HostFunction,
    InstanceValue,
    LiftedFunction,
    TypeValue,
    Value,
    expect,
)


class Definer(Protocol):
    """What evaluates the definitions of an instance type."""

    def define(self, item: c.Definition, env: Env) -> None: ...

    def function_type(self, definition: c.CompValType | None, env: Env) -> c.CompFuncType: ...


def check_given(definer: Definer, value: Value, declared: c.ExternType, env: Env, what: str) -> None:
    """Checks that a value fits a declaration of `env`. `what`: the import or export, for messages.

    Raises:
        MeldError: it does not, with both types, and the instance that the value comes from.
    """
    where = f"component instance `{env.instance.name}`"

    def refuse(wanted: str, given: str) -> MeldError:
        return MeldError(f"{what} wants {wanted}, but gets {given}", where=where)

    match declared.sort:
        case c.Sort.FUNC:
            wanted = definer.function_type(declared.type, env)
            if not isinstance(value, LiftedFunction | HostFunction):
                raise refuse(show(wanted), _kind(value))
            if value.type != wanted:
                raise refuse(show(wanted), f"{show(value.type)}{_origin(value)}")
        case c.Sort.INSTANCE:
            if not isinstance(value, InstanceValue):
                raise refuse("an instance", _kind(value))
            of = expect(env, declared.type, TypeValue, "an instance type")
            if isinstance(of.type, c.InstanceType) and of.env is not None:
                _check_exports(definer, value, of.type, Env(env.instance, of.env, {}), what)
        case c.Sort.TYPE:
            if not isinstance(value, TypeValue):
                raise refuse("a type", _kind(value))
            if declared.type is None:
                if not isinstance(value.type, Resource):
                    raise refuse("a resource type", show_type(value.type))
                return
            type_ = expect(env, declared.type, TypeValue, "a type").type
            if not isinstance(type_, c.InstanceType | c.ComponentType) and type_ != value.type:
                raise refuse(show_type(type_), show_type(value.type))
        case c.Sort.COMPONENT:
            if not isinstance(value, ComponentValue):
                raise refuse("a component", _kind(value))
        case _:
            pass  # core modules: their items are checked where they are instantiated


def _check_exports(definer: Definer, value: InstanceValue, of: c.InstanceType, inner: Env, what: str) -> None:
    for decl in of.decls:
        if not isinstance(decl, c.ExportDecl):
            definer.define(decl, inner)
            continue
        name = str(decl.extern)
        if name not in value.exports:
            raise MeldError(
                f"{what} wants an instance with `{name}`, which is not among the exports that it gets",
                where=f"component instance `{inner.instance.name}`",
            )
        given = inner.values[decl] = value.exports[name]
        check_given(definer, given, decl.type, inner, f"`{name}` of {what}")


def show_type(t: Any) -> str:
    """A resolved type for people."""
    match t:
        case Resource():
            return f"the resource `{t.label}`" + (f" of `{t.owner.name}`" if t.owner is not None else " of the host")
        case c.InstanceType():
            return "an instance type"
        case c.ComponentType():
            return "a component type"
        case _:
            return show(t)


def _origin(value: LiftedFunction | HostFunction) -> str:
    return f" from `{value.instance.name}`" if isinstance(value, LiftedFunction) else " from the host"


def _kind(value: Value) -> str:
    match value:
        case LiftedFunction() | HostFunction():
            return f"a function{_origin(value)}"
        case TypeValue():
            return "a type"
        case InstanceValue():
            return "an instance"
        case ComponentValue():
            return "a component"
        case _:
            return "a core item"


def core_misfit(wanted: CoreItem, given: CoreItem) -> str | None:
    """Why a core item cannot be given for an import; None if it can, or if only a validator could tell.

    Reference types are left to validators: whether one matches another depends on the types they name.
    """
    match wanted, given:
        case Function(), Function():
            want, have = wanted.signature, given.signature
            if want != have and _plain(want) and _plain(have):
                return f"wants {signature(want)}, but gets {signature(have)}"
        case Global(), Global():
            if wanted.mutable != given.mutable:
                return f"wants {_mutability(wanted)} global, but gets {_mutability(given)} one"
            if wanted.type != given.type and NumType in (type(wanted.type), type(given.type)):
                return "wants a global of another type"
        case Memory(), Memory():
            return _limits_misfit(wanted.limits, given.limits)
        case Table(), Table():
            return _limits_misfit(wanted.limits, given.limits)
    return None


def _plain(t: FuncType) -> bool:
    return all(isinstance(x, NumType) for x in (*t.params, *t.results))


def _mutability(item: Global) -> str:
    return "a mutable" if item.mutable else "an immutable"


def _limits_misfit(wanted: Limits, given: Limits) -> str | None:
    if wanted.is64 != given.is64:
        return f"wants {64 if wanted.is64 else 32}-bit addresses, but gets {64 if given.is64 else 32}-bit ones"
    if wanted.shared != given.shared:
        return "wants one that is shared, and the other is not"
    if given.minimum < wanted.minimum:
        return f"wants at least {wanted.minimum}, but gets {given.minimum}"
    if wanted.maximum is not None and (given.maximum is None or given.maximum > wanted.maximum):
        return f"wants at most {wanted.maximum}, but what it gets may grow beyond"
    return None
