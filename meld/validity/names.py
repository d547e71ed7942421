"""Whether the name of an import or export is well-formed, unlike the others, and fits what it names.

Source: Component Model, Explainer.md (Import and Export Definitions) and Binary.md (`importname'`, `exportname'`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from meld.binary.limits import check_length
from meld.diagnostics import MeldError
from meld.ir import component as c
from meld.ir.component import ExternName, Sort
from meld.validity.core_items import Mismatch
from meld.validity.entities import Defined, Entity, Func, Res, Value
from meld.validity.extern_names import ParsedName, parse_name, version_problem
from meld.validity.subtyping import Fitting, Known


class NameContext(NamedTuple):
    """What other names of a component, or of a type, are there.

    Attributes:
        way: ``import`` or ``export``; the two do not meet.
        keys: the names by `ParsedName.key`.
        resources: the names of resource types, to which methods refer.
        known: what the names are of.
    """

    way: str
    keys: dict[tuple[str, str], str]
    resources: dict[Res, str]
    known: dict[str, Entity]


def check_name(extern: ExternName, entity: Entity, context: NameContext) -> None:
    """Raises MeldError if a name is not right. Notes it in the context, but for what it is of."""
    way, keys, _, _ = context
    name = extern.name
    check_length(name)
    try:
        found = parse_name(name)
    except MeldError as e:
        raise MeldError(f"the {way} name `{name}` {e.message}", hint=e.hint) from None
    if found.key in keys:
        other = keys[found.key]
        alike = "there twice" if other == name else f"too like `{other}`"
        hint = f"rename one of the two {way}s: case alone does not count, nor `[method]` and `[static]`"
        raise MeldError(f"the {way} name `{name}` is {alike}", hint=hint)
    keys[found.key] = name
    kind = found.kind
    if kind == "elsewhere" and way == "export":
        raise MeldError(f"the export name `{name}` says where something is, which only an import can")
    if extern.version_suffix is not None or extern.implements is not None:
        _check_attributes(extern, entity, kind, way)
    elif kind == "interface" and (problem := version_problem(found.version, None)) is not None:
        raise MeldError(f"the {way} name `{name}`: {problem}")
    if found.resource is not None or found.accessor is not None:
        if entity.sort is not Sort.FUNC:
            raise MeldError(f"`{name}` names a function, not a {entity.sort.value}")
        _check_annotated(name, found, entity.type, context)


def _check_attributes(extern: ExternName, entity: Entity, kind: str, way: str) -> None:
    """Whether the attributes of a name are well-formed, and fit it."""
    name, suffix = extern.name, extern.version_suffix
    if entity.sort is not Sort.INSTANCE:
        raise MeldError(f"the {way} `{name}` has an attribute that only instances can have")
    interface = name
    if extern.implements is not None:
        interface = extern.implements
        if kind != "label" or name.startswith("["):
            raise MeldError(f"`implements` goes with a plain name, and `{name}` is none")
        try:
            kind = parse_name(interface).kind
        except MeldError as e:
            raise MeldError(f"the interface name `{interface}` in `implements` {e.message}", hint=e.hint) from None
        if kind != "interface":
            raise MeldError(f"`implements` has to name an interface, not `{interface}`", hint="write `ns:pkg/iface`")
    elif kind != "interface":
        raise MeldError(f"a version suffix goes with the name of an interface, and `{name}` is none")
    if suffix == "":
        raise MeldError(f"the version suffix of `{name}` is empty", hint="leave it out")
    problem = version_problem(parse_name(interface).version, suffix)
    if problem is not None:
        raise MeldError(f"the {way} name `{interface}`: {problem}")


def _check_annotated(name: str, parsed: ParsedName, t: Func, context: NameContext) -> None:
    """Whether a function is of the type that its annotated name asks for."""
    way, _, resources, _ = context
    resource = parsed.resource
    found: Any = None
    own = list(zip(t.names, t.params, strict=True))
    match parsed.kind:
        case "constructor":
            wanted = f"`{name}` has to return `(own ${resource})`, or a result with that"
            result = t.result
            if type(result) is Defined and type(result.shape) is c.Result and result.shape.ok is not None:
                result = result.parts[0]
            if type(result) is not Defined or type(result.shape) is not c.Own:
                raise MeldError(wanted)
            if t.is_async:
                raise MeldError(f"`{name}` is asynchronous, which a constructor cannot be")
            found = result.parts[0]
        case "method":
            wanted = f'`{name}` has to begin with `(param "self" (borrow ${resource}))`'
            first = own.pop(0)[1] if own and own[0][0] == "self" else None
            if type(first) is not Defined or type(first.shape) is not c.Borrow:
                raise MeldError(wanted)
            found = first.parts[0]
        case "static" if resource not in resources.values():
            raise MeldError(f"`{name}` belongs to a resource `{resource}` that is not {way}ed before")
    if found is not None and resources.get(found) != resource:
        known = resources.get(found)
        what = f"is {way}ed as `{known}`" if known else f"is not {way}ed under a name"
        raise MeldError(f"{wanted}, and the resource of its type {what}", hint=f"{way} the resource as `{resource}`")
    if parsed.accessor is not None:
        _check_accessor(name, parsed.accessor, own, t, context)


def _check_accessor(name: str, accessor: str, own: list[tuple[str, Value]], t: Func, context: NameContext) -> None:
    result = t.result
    ok = result.shape.ok if type(result) is Defined and type(result.shape) is c.Result else result
    if t.is_async:
        raise MeldError(f"`{name}` is asynchronous, which an accessor cannot be")
    if accessor == "get" and (own or ok is None):
        raise MeldError(f"`{name}` has to take nothing, and to return a value")
    if accessor == "set":
        if len(own) != 1 or ok is not None:
            raise MeldError(f"`{name}` has to take one value, and to return nothing or a result without one")
        getter = name.replace("[set]", "[get]")
        if getter not in context.known:
            raise MeldError(f"`{name}` comes without a getter", hint=f"{context.way} `{getter}` in front of it")
        found = context.known[getter].type.result
        if type(found) is Defined and type(found.shape) is c.Result:
            found = found.parts[0]
        try:
            Fitting(Known()).type(own[0][1], found)
        except Mismatch as e:
            raise MeldError(f"`{name}` takes something else than `{getter}` returns: {e}") from None
