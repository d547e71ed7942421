"""What names and numbers mean while the text of a component is read."""

from __future__ import annotations

from dataclasses import field

from meld.diagnostics import MeldError, Span
from meld.ir.component import CoreType, Definition, Export, OuterAlias, Sort, StartDefinition
from meld.ir.types import TypeDef
from meld.support.records import record
from meld.text.literals import identifier
from meld.text.reading.names import record_use, similar

OUTER_SORTS = frozenset((Sort.CORE_MODULE, Sort.CORE_TYPE, Sort.TYPE, Sort.COMPONENT))
"""What an outer alias may refer to: what holds no state."""


@record(eq=False)
class TextScope:
    """The index spaces of a component, or of a type with declarations, as far as it has been read.

    Attributes:
        definitions: what has been read, in order; also what sugar stands for: aliases, types without a name.
        name: its ``$name``, by which outer aliases may refer to it.
        exports: what definitions export by themselves; that comes behind all definitions.
        is_type: whether these are declarations of a component or instance type.
        place: where the definition stands that this is the inside of.
    """

    parent: TextScope | None = None
    name: str | None = None
    is_type: bool = False
    place: Span | None = None
    definitions: list[Definition] = field(default_factory=list)
    spaces: dict[Sort, list[Definition]] = field(default_factory=lambda: {sort: [] for sort in Sort})
    names: dict[Sort, dict[str, Definition]] = field(default_factory=lambda: {sort: {} for sort in Sort})
    exports: list[Export] = field(default_factory=list)

    def define(self, item: Definition, name: str | None, span: Span) -> None:
        """Gives a definition its place and the name by which the text refers to it. Raises MeldError if it is taken."""
        self.definitions.append(item)
        if isinstance(item, StartDefinition):
            return
        self.stand(item, name, span)

    def stand(self, item: Definition, name: str | None, span: Span) -> None:
        """Puts a definition into its index space only."""
        sort = item.sort
        if sort is None:
            return
        self.spaces[sort].append(item)
        if name is not None:
            if name in self.names[sort]:
                raise MeldError(f"{sort.value} `{identifier(name)}` is defined twice", span=span)
            self.names[sort][name] = item

    def find(self, sort: Sort, key: str | int, span: Span) -> Definition:
        """The definition that a name or a number means.

        A name that only an enclosing component knows stands for an outer alias, which is put in front of what is being
        read, one for each use: numbers in the text count them.

        Raises:
            MeldError: there is none.
        """
        found = self._find(sort, key, span)
        record_use(span, found)
        return found

    def _find(self, sort: Sort, key: str | int, span: Span) -> Definition:
        if isinstance(key, int):
            space = self.spaces[sort]
            if key >= len(space):
                raise MeldError(f"unknown {sort.value} {key}: there are {len(space)} so far", span=span)
            return space[key]
        found = self.names[sort].get(key)
        return found if found is not None else self._find_outside(sort, key, span)

    def _find_outside(self, sort: Sort, name: str, span: Span) -> Definition:
        scope, depth = self.parent, 1
        while scope is not None:
            found = scope.names[sort].get(name)
            if found is not None and sort not in OUTER_SORTS:
                hint = f"a {sort.value} of an enclosing component has to be handed in by an import"
                raise MeldError(f"{sort.value} `{identifier(name)}` is outside this component", span=span, hint=hint)
            if found is not None:
                alias = OuterAlias(found, depth, sort)
                self.define(alias, None, span)
                return alias
            scope, depth = scope.parent, depth + 1
        raise MeldError(f"unknown {sort.value} `{identifier(name)}`", span=span, hint=similar(name, self._known(sort)))

    def _known(self, sort: Sort) -> list[str]:
        known: list[str] = []
        scope: TextScope | None = self
        while scope is not None:
            known += scope.names[sort]
            scope = scope.parent
        return known

    def enclosing(self, key: str | int, sort: Sort, name: str | int, span: Span) -> tuple[TextScope, int]:
        """The scope that the first operand of an outer alias means, and how far out it is.

        Of several with one name it is the innermost that has what the second operand, `name`, asks for.

        Raises:
            MeldError: there is none.
        """
        scope: TextScope | None = self
        found: tuple[TextScope, int] | None = None
        depth = 0
        while scope is not None:
            if key == (scope.name if isinstance(key, str) else depth):
                found = found or (scope, depth)
                if isinstance(key, int) or name in scope.names[sort]:
                    found = scope, depth
                    break
            scope, depth = scope.parent, depth + 1
        if found is not None:
            if isinstance(key, str):
                record_use(span, found[0])
            return found
        if isinstance(key, str):
            raise MeldError(f"no enclosing component is called `{identifier(key)}`", span=span)
        raise MeldError(f"an outer alias of depth {key}, {depth - 1} levels deep", span=span)

    def get(self, sort: Sort, key: str | int, span: Span) -> Definition:
        """As `find`, in this scope alone."""
        if isinstance(key, str) and key not in self.names[sort]:
            hint = similar(key, self.names[sort])
            raise MeldError(f"unknown {sort.value} `{identifier(key)}`", span=span, hint=hint)
        return self.find(sort, key, span)


def core_typedef(item: Definition) -> TypeDef | None:
    """The core type that a definition stands for, through outer aliases; None for a module type."""
    while isinstance(item, OuterAlias):
        item = item.target
    return item.type if isinstance(item, CoreType) and isinstance(item.type, TypeDef) else None
