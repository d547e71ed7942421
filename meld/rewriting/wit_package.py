"""WIT packages in binary form: components of types alone.

Source: Component Model, WIT.md ("Package Format").
"""

from __future__ import annotations

from meld.ir.component import Component, ComponentType, CoreModule, Export, ExportDecl, Import, Sort, TypeDefinition


def is_wit_package(component: Component) -> bool:
    """Whether a component is a WIT package: it exports types of interfaces and worlds, and no code."""
    exports = list(component.of(Export))
    code = any(isinstance(item, Import | CoreModule) for item in component.definitions)
    return bool(exports) and not code and all(map(_holds_wit, exports))


def _holds_wit(export: Export) -> bool:
    """Whether an export is the type of an interface or a world: a component type around its full name."""
    match export.target:
        case TypeDefinition(type=ComponentType(decls=decls)):
            shown = [decl for decl in decls if isinstance(decl, ExportDecl)]
            return len(shown) == 1 and shown[0].sort in (Sort.INSTANCE, Sort.COMPONENT) and ":" in shown[0].extern.name
    return False
