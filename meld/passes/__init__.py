"""The registry of passes: those of the compiler by name, those of plugins by entry point or file."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator
from dataclasses import field
from functools import cache
from importlib import import_module, util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, cast

from meld.diagnostics import Interruption, MeldError, Remark, did_you_mean
from meld.passes.base import Pass, contained, misdeclared, told
from meld.support.records import record

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

BUILTIN = {
    "link": "meld.passes.link:Link",
    "merge": "meld.passes.merge:Merge",
    "detect-pairs": "meld.passes.detect_pairs:DetectPairs",
    "emit-bridge": "meld.passes.emit_bridge:EmitBridge",
    "rewire-calls": "meld.passes.rewire_calls:RewireCalls",
    "plan-tasks": "meld.passes.plan_tasks:PlanTasks",
    "expose-resources": "meld.passes.expose_resources:ExposeResources",
    "handle-tables": "meld.passes.handle_tables:HandleTables",
    "emit-tasks": "meld.passes.emit_tasks:EmitTasks",
    "host-memory": "meld.passes.host_memory:HostMemory",
    "adapter-wiring": "meld.passes.adapter_wiring:AdapterWiring",
    "wire-entries": "meld.passes.wire_entries:WireEntries",
    "resumable-frames": "meld.passes.resumable_frames:ResumableFrames",
    "stack-switching": "meld.passes.stack_switching:StackSwitching",
    "guard-entries": "meld.passes.guard_entries:GuardEntries",
    "direct-calls": "meld.passes.direct_calls:DirectCalls",
    "finish": "meld.passes.finish:Finish",
    "lower-multi-memory": "meld.passes.lower_multi_memory:LowerMultiMemory",
    "fit-target": "meld.passes.fit_target:FitTarget",
    "wrap": "meld.passes.wrap:Wrap",
}
"""Name → ``module:Class``. Nothing is imported before it is used."""

ON_REQUEST = frozenset(
    {"expose-resources", "fit-target", "host-memory", "lower-multi-memory", "stack-switching", "wrap"}
)
"""Passes that no default pipeline has."""

GROUP = "meld.passes"


class _FromSource(SourceFileLoader):
    """Never from bytecode, whose timestamp counts seconds: a plugin may be changed and run within one."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def installed() -> list[EntryPoint]:
    """The entry points of installed packages, by name."""
    return _installed(tuple(sys.path))


@cache
def _installed(places: tuple[str, ...]) -> list[EntryPoint]:
    """Those of the packages on a search path.

    The files are read first: importlib.metadata takes longer to import than all of them to read.
    """
    if not any(map(_may_announce, places)):
        return []
    from importlib.metadata import entry_points

    return sorted(entry_points(group=GROUP), key=lambda entry: entry.name)


def _may_announce(place: str) -> bool:
    """Whether an entry of the search path may hold a package with passes."""
    try:
        for entry in os.scandir(place or "."):
            if entry.name.endswith((".dist-info", ".egg-info")):
                file = Path(entry.path, "entry_points.txt")
                if file.is_file() and GROUP.encode() in file.read_bytes():
                    return True
    except FileNotFoundError:
        return False
    except OSError:  # an archive, or what cannot be read
        return True
    return False


def _module_name(file: Path) -> str:
    """The name of a plugin file as a Python module: the same in each run, and different for each file."""
    name, n = f"meld_plugin_{file.stem}", 1
    while (taken := sys.modules.get(name)) is not None and Path(taken.__file__ or "").resolve() != file.resolve():
        n += 1
        name = f"meld_plugin_{file.stem}_{n}"
    return name


@record()
class Registry:
    """Passes by name. A broken plugin is reported when one of its passes is named."""

    sources: dict[str, str | EntryPoint | type[Pass]] = field(
        default_factory=lambda: dict[str, "str | EntryPoint | type[Pass]"](BUILTIN)
    )
    broken: dict[str, str] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    _loaded: dict[str, type[Pass]] = field(default_factory=dict)

    @classmethod
    def standard(cls, plugins: tuple[str, ...] | list[str] = ()) -> Registry:
        """The compiler's own passes, those of installed packages, and those of the given files."""
        registry = cls()
        for entry in installed():
            if entry.name in BUILTIN:
                registry.remarks.append(
                    Remark(
                        "plugins", f"entry point `{entry.name}` ({entry.value}) hides no pass of the compiler; ignored"
                    )
                )
            else:
                registry.sources[entry.name] = entry
        for path in plugins:
            registry.add_file(path)
        return registry

    def add_file(self, path: str) -> None:
        """Loads a plugin file and registers the passes in it. A file named by the user must load: MeldError if not."""
        file = Path(path)
        if not file.is_file():
            raise MeldError("no such plugin file", where=path)
        if file.suffix != ".py":
            raise MeldError("a plugin is a Python file", where=path, hint="its name ends in .py")
        loader = _FromSource(_module_name(file), str(file))
        spec = util.spec_from_file_location(loader.name, file, loader=loader)
        assert spec is not None
        module = util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look there for what annotations mean
        try:
            with contained():
                loader.exec_module(module)
        except (KeyboardInterrupt, Interruption):
            raise
        except BaseException as e:  # whatever a module does when it is imported
            raise MeldError(f"plugin does not load: {told(e)}", where=path) from e
        found = [
            c
            for c in vars(module).values()
            if isinstance(c, type) and issubclass(c, Pass) and c is not Pass and c.__module__ == module.__name__
        ]
        if not found:
            raise MeldError("the plugin defines no subclass of meld.Pass", where=path)
        for cls in found:
            if not cls.name:
                if any(issubclass(other, cls) and other is not cls for other in found):
                    continue  # what others have in common
                raise MeldError(f"class {cls.__name__} has no `name`", where=path)
            wrong = misdeclared(cls)
            if wrong is not None:
                raise MeldError(f"class {cls.__name__}: {wrong}", where=path)
            if cls.name in BUILTIN:
                raise MeldError(f"a plugin cannot replace the pass `{cls.name}` of the compiler", where=path)
            self.sources[cls.name] = cls

    def names(self) -> Iterator[str]:
        """All names, those of the compiler first."""
        yield from self.sources

    def get(self, name: str) -> type[Pass]:
        """The class of a pass.

        Raises:
            MeldError: no such pass (with what was probably meant), or a plugin that does not load.
        """
        if name in self._loaded:
            return self._loaded[name]
        source = self.sources.get(name)
        if source is None:
            hint = did_you_mean(name, self.sources, "`meldc passes` lists the passes")
            raise MeldError(f"unknown pass `{name}`", hint=hint)
        if isinstance(source, str):
            module, _, cls_name = source.partition(":")
            cls = cast("type[Pass]", getattr(import_module(module), cls_name))
        elif isinstance(source, type):
            cls = source
        else:
            try:
                with contained():
                    cls = source.load()
            except (KeyboardInterrupt, Interruption):
                raise
            except BaseException as e:  # whatever a module does when it is imported
                self.broken[name] = told(e)
                raise MeldError(f"plugin pass `{name}` ({source.value}) does not load: {self.broken[name]}") from e
            if not (isinstance(cls, type) and issubclass(cls, Pass) and cls.name == name):
                self.broken[name] = "not a subclass of meld.Pass with that name"
                raise MeldError(f"plugin pass `{name}` ({source.value}) is {self.broken[name]}")
            wrong = misdeclared(cls)
            if wrong is not None:
                self.broken[name] = wrong
                raise MeldError(f"plugin pass `{name}` ({source.value}): {wrong}")
        self._loaded[name] = cls
        return cls

    def facts(self) -> dict[str, list[type[Pass]]]:
        """The facts that passes establish, with the passes; plugins that do not load are left out."""
        found: dict[str, list[type[Pass]]] = {}
        for name in self.names():
            try:
                cls = self.get(name)
            except MeldError:
                continue
            for fact in sorted(cls.establishes):
                found.setdefault(fact, []).append(cls)
        return found

    def placed(self, also: Collection[str] = ()) -> list[type[Pass]]:
        """The passes that a default pipeline is made of: the compiler's own unless they run on request only, plugins
        that name their place, and those that `also` names.

        A plugin that does not load is left out, with a remark.
        """
        found = [self.get(name) for name in BUILTIN if name not in ON_REQUEST or name in also]
        for name in self.sources:
            if name in BUILTIN:
                continue
            try:
                cls = self.get(name)
            except MeldError as e:
                self.remarks.append(Remark("plugins", f"{e.message}; it is left out"))
                continue
            if cls.after or cls.before:
                found.append(cls)
            elif isinstance(self.sources[name], type):
                hint = f"--passes=default,{name} runs it at the end"
                self.remarks.append(
                    Remark("plugins", f"`{name}` wishes no place by `after` or `before`, so it does not run; {hint}")
                )
        return found
