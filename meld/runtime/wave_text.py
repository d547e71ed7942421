"""Component values printed in WAVE; see `meld.runtime.wave`."""

from __future__ import annotations

from meld.abi.types import Type
from meld.abi.wit_text import wit
from meld.ir import component as c
from meld.runtime.canonical import Value
from meld.runtime.wave import KEYWORDS
from meld.runtime.wave_scalars import INTEGERS, escaped, float_text


def text_of(value: Value, t: Type) -> str:
    """A value as text. A handle, which has no text form, shows as ``<cart>``."""
    match t:
        case c.Prim.BOOL:
            return "true" if value else "false"
        case c.Prim.F32 | c.Prim.F64:
            return float_text(value, t)
        case c.Prim.CHAR:
            return f"'{escaped(value)}'"
        case c.Prim.STRING:
            return f'"{escaped(value)}"'
        case c.Prim() if t in INTEGERS:
            return str(value)
        case c.ListType(element):
            return f"[{', '.join(text_of(x, element) for x in value)}]"
        case c.MapType(key, item):
            return f"{{{', '.join(f'{text_of(k, key)}: {text_of(v, item)}' for k, v in value)}}}"
        case c.Tuple(elements):
            return f"({', '.join(text_of(x, of) for x, of in zip(value, elements, strict=True))})"
        case c.Record(fields):
            return _record(value, fields)
        case c.Flags(names):
            return f"{{{', '.join(name for i, name in enumerate(names) if value & 1 << i)}}}"
        case c.EnumType(names):
            return _case(names[value[0]])
        case c.Variant(cases):
            name, payload = cases[value[0]]
            return _with(_case(name), value[1], payload)
        case c.Option(element):
            return _with("some", value[1], element) if value[0] else "none"
        case c.Result(ok, error):
            return _with("err", value[1], error) if value[0] else _with("ok", value[1], ok)
    return f"<{wit(t)}>"


def _record(value: Value, fields: tuple[tuple[str, Type], ...]) -> str:
    """Fields that are none are left out, as other printers do."""
    parts = [
        f"{name}: {text_of(x, t)}"
        for (name, t), x in zip(fields, value, strict=True)
        if not (isinstance(t, c.Option) and x[0] == 0)
    ]
    return f"{{{', '.join(parts) or ':'}}}"


def _case(name: str) -> str:
    return f"%{name}" if name in KEYWORDS else name


def _with(name: str, value: Value, t: Type | None) -> str:
    return name if t is None else f"{name}({text_of(value, t)})"
