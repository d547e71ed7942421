"""Core modules in a component, their types and their instances: each import gets an item that fits.

Source: Component Model, Explainer.md (Instance Definitions); WebAssembly 3.0, section 4.7.2 (external typing).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meld.binary.limits import check_counts, check_types
from meld.diagnostics import MeldError, did_you_mean
from meld.ir import component as c
from meld.ir.module import Function, Global, Memory, Table
from meld.ir.types import RecGroup, TypeDef
from meld.validity.core_items import Mismatch, check_limits, fit_core
from meld.validity.core_types import check_order, is_plain
from meld.validity.entities import CoreModuleType, exported_names
from meld.validity.meanings import Meanings


class CoreModules:
    """Gives core modules, core types and core instances their meaning.

    `is_plain`: all core types so far are, so that equal shapes are one type.
    """

    def __init__(self, meanings: Meanings) -> None:
        self.meanings = meanings
        self.is_plain = True
        self._depths: dict[TypeDef, int] = {}  # of types of components

    def module(self, item: c.CoreModule) -> CoreModuleType:
        module = item.module
        check_counts(module)
        if not all(map(is_plain, module.types)):
            check_order(module.types)
        self._add(module.types)
        imports = {(i.imported.module, i.imported.field): i for i in module.imports if i.imported is not None}
        exports = {export.name: export.item for export in module.exports}
        if len(imports) != len(module.imports) or len(exports) != len(module.exports):
            self._twice(
                [f"import `{i.imported.module}` `{i.imported.field}`" for i in module.imports if i.imported]
                + [f"export `{export.name}`" for export in module.exports]
            )
        for memory in (*module.memories, *module.tables, *module.imports):
            if type(memory) is Memory or type(memory) is Table:
                check_limits(memory)
        return CoreModuleType(imports, exports)

    def _twice(self, labels: list[str]) -> None:
        seen: set[str] = set()
        for label in labels:
            if label in seen:
                raise MeldError(f"the module has the {label} twice")
            seen.add(label)

    def _add(self, groups: Iterable[RecGroup]) -> None:
        groups = list(groups)
        known = self.meanings.known.core
        known.add(groups)
        if not all(map(is_plain, groups)):
            self.is_plain = False
            for group in groups:
                for t in group.types:
                    if t.supers:
                        known.check_supers(t)

    def type(self, item: c.CoreType) -> Any:
        if not isinstance(item.type, c.ModuleType):
            group = item.group or RecGroup([item.type])
            check_types([group], self._depths)
            self._add([group])
            return item.type
        groups = [decl for decl in item.type.decls if isinstance(decl, RecGroup)]
        check_types(groups, self._depths)
        self._add(groups)
        imports: dict[tuple[str, str], Any] = {}
        exports: dict[str, Any] = {}
        said: list[str] = []
        for decl in item.type.decls:
            match decl:
                case (str() as module, str() as name, t):
                    check_limits(t)
                    imports[module, name] = t
                    said.append(f"import `{module}` `{name}`")
                case (str() as name, t):
                    check_limits(t)
                    exports[name] = t
                    said.append(f"export `{name}`")
        if len(imports) + len(exports) != len(said):
            self._twice(said)
        return CoreModuleType(imports, exports)

    def instance(self, item: c.CoreInstance) -> dict[str, Any]:
        module: CoreModuleType = self.meanings.a(CoreModuleType, item.module, "a core module")
        args: dict[str, dict[str, Any]] = {}
        for name, given in item.args:
            if name in args:
                raise MeldError(f"the argument `{name}` is given twice")
            args[name] = self.meanings.meaning[given]
        for (where, name), wanted in module.imports.items():
            exports = args.get(where)
            if exports is None:
                raise MeldError(f"the argument `{where}` is missing: the module imports `{name}` from it")
            found = exports.get(name)
            if found is None:
                hint = did_you_mean(name, exports, exported_names(exports))
                raise MeldError(f"the argument `{where}` does not export `{name}`, which the module imports", hint=hint)
            kind = type(found)
            if kind is type(wanted) and (  # what nearly all are, and large programs have thousands
                (kind is Function and self.is_plain and found.type.shape == wanted.type.shape)
                or (kind is Global and found.type is wanted.type and found.mutable == wanted.mutable)
            ):
                continue
            if found is not wanted:
                try:
                    fit_core(found, wanted, f"`{where}` `{name}`", self.meanings.known.core)
                except Mismatch as e:
                    raise MeldError(f"an argument does not fit what the module imports: {e}") from None
        return module.exports

    def inline_instance(self, item: c.CoreInlineInstance) -> dict[str, Any]:
        exports: dict[str, Any] = {}
        for name, given in item.exports:
            if name in exports:
                raise MeldError(f"the core instance has the export `{name}` twice")
            exports[name] = self.meanings.meaning[given]
        return exports
