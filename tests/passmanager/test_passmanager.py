"""Pipelines: their text, their order, and what is said when either is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from meld.diagnostics import MeldError
from meld.ir.component import Component
from meld.ir.module import Module
from meld.passes import Registry
from meld.passes.base import Pass, PassContext, option
from meld.passmanager import Plan, parse_pipeline, plan_default, plan_named, run

DEFAULT = (
    "link,merge,detect-pairs,emit-bridge,rewire-calls,plan-tasks,handle-tables,emit-tasks,adapter-wiring,wire-entries,"
    "resumable-frames,guard-entries,direct-calls,finish"
)


def module(*facts: str) -> Module:
    return Module(facts=list(facts))


def planned(text: str, program: Component | Module, *plugins: type[Pass]) -> Plan:
    registry = Registry()
    for plugin in plugins:
        registry.sources[plugin.name] = plugin
    return plan_named(parse_pipeline(text, registry), program, registry)


def refused(text: str, program: Component | Module, *plugins: type[Pass]) -> str:
    with pytest.raises(MeldError) as caught:
        planned(text, program, *plugins)
    return str(caught.value)


class TestText:
    def test_options(self) -> None:
        (step,) = parse_pipeline(" emit-bridge { slots=16, ring = 8192 } ", Registry())
        assert (step.instance.slots, step.instance.ring) == (16, 8192)  # type: ignore[attr-defined]
        assert step.instance.spec() == "emit-bridge{slots=16,ring=8192}"
        assert parse_pipeline(step.instance.spec(), Registry())[0].instance == step.instance

    def test_empty_is_no_pass(self) -> None:
        assert parse_pipeline("", Registry()) == []

    @pytest.mark.parametrize(
        ("text", "message", "column"),
        [
            ("merge,detectpairs", "unknown pass `detectpairs`", 7),
            ("emit-bridge{slot=1}", "has no option `slot`", 13),
            ("emit-bridge{slots=many}", "takes an integer, not `many`", 13),
            ("emit-bridge{slots=0}", "1 to 4096 slots, not 0", 1),
            ("emit-bridge{ring=5000}", "power of two", 1),
            ("emit-bridge{slots=4096,ring=67108864}", "do not fit", 1),
            ("emit-bridge{slots=1", "`{` is never closed", 12),
            ("merge;finish", "expected `,`", 6),
            ("merge,", "expected the name of a pass", 7),
            (",merge", "expected the name of a pass", 1),
        ],
    )
    def test_errors_point_at_the_text(self, text: str, message: str, column: int) -> None:
        with pytest.raises(MeldError) as caught:
            parse_pipeline(text, Registry())
        assert message in caught.value.message
        assert caught.value.span is not None
        assert caught.value.span.column == column

    def test_did_you_mean(self) -> None:
        with pytest.raises(MeldError, match=r"(?s)\^.*did you mean `detect-pairs`"):
            parse_pipeline("merge,detectpairs", Registry())


class TestOrder:
    def test_default_pipeline(self) -> None:
        assert plan_default(Component(), Registry()).spec() == DEFAULT

    def test_default_goes_on_from_facts(self) -> None:
        facts = ("linked", "merged", "stream-pairs", "stream-bridge")
        rest = "rewire-calls,plan-tasks,handle-tables,emit-tasks,adapter-wiring,wire-entries"
        rest += ",resumable-frames,guard-entries,direct-calls,finish"
        assert plan_default(module(*facts), Registry()).spec() == rest

    def test_plain_module_has_nothing_to_run(self) -> None:
        assert plan_default(module(), Registry()).steps == []

    def test_front_is_supplied(self) -> None:
        plan = planned("detect-pairs,emit-bridge", Component())
        assert plan.spec() == "link,merge,detect-pairs,emit-bridge"
        assert "put in front" in str(plan.remarks[0])

    def test_front_respects_facts(self) -> None:
        assert planned("finish", Component(facts=["linked"])).spec() == "merge,finish"

    def test_wrong_order(self) -> None:
        message = refused("emit-bridge,detect-pairs", Component())
        assert "`emit-bridge` needs the fact `stream-pairs`, which `detect-pairs` establishes only later" in message
        assert "emit-bridge,detect-pairs\n^^^^^^^^^^^" in message
        assert "this order works: link,merge,detect-pairs,emit-bridge" in message

    def test_missing_supplier(self) -> None:
        message = refused("rewire-calls,finish", module("linked", "merged"))
        assert "which `emit-bridge` establishes; it is not in the pipeline" in message
        assert "this order works: detect-pairs,emit-bridge,rewire-calls,finish" in message

    def test_the_proposed_order_is_accepted(self) -> None:
        message = refused("rewire-calls,finish", module("linked", "merged"))
        planned(message.rpartition("this order works: ")[2], module("linked", "merged"))

    def test_twice(self) -> None:
        assert "has run already" in refused("detect-pairs,detect-pairs", module("linked", "merged"))

    def test_wrong_language(self) -> None:
        assert "reads a component, but gets a module" in refused("link", module())

    def test_fact_without_maker(self) -> None:
        class Needs(Pass):
            """Needs what nobody has."""

            name = "needs"
            requires = frozenset({"the-moon"})

        assert "which no pass establishes" in refused("needs", module(), Needs)


class TestPlugins:
    class Late(Pass):
        """A plugin with a place."""

        name = "late"
        after = ("rewire-calls",)
        before = ("finish",)

    class Cyclic(Pass):
        """A plugin that makes a cycle."""

        name = "cyclic"
        requires = frozenset({"rewired"})
        before = ("detect-pairs",)

    class Placeless(Pass):
        """A plugin that runs when named."""

        name = "placeless"

    def test_a_place_is_kept(self) -> None:
        registry = Registry()
        registry.sources |= {cls.name: cls for cls in (self.Late, self.Placeless)}
        names = plan_default(Component(), registry).spec().split(",")
        assert names.index("rewire-calls") < names.index("late") < names.index("finish")
        assert "placeless" not in names

    def test_a_cycle_is_refused_with_its_reasons(self) -> None:
        registry = Registry()
        registry.sources["cyclic"] = self.Cyclic
        for attempt in (
            lambda: plan_default(Component(), registry),
            lambda: planned("detect-pairs,emit-bridge,rewire-calls,cyclic", Component(), self.Cyclic),
        ):
            with pytest.raises(MeldError) as caught:
                attempt()
            message = str(caught.value)
            assert "wait for each other" in message
            assert "`cyclic` asks to run before `detect-pairs`" in message
            assert "`cyclic` needs `rewired`, which `rewire-calls` establishes" in message
            assert "change `requires`, `after` or `before` of `cyclic`" in message

    def test_a_crash_names_the_plugin(self) -> None:
        class Crash(Pass):
            """Crashes."""

            name = "crash"

            def run(self, program: Any, cx: PassContext) -> None:
                raise ZeroDivisionError("oops")

        program = module()
        with pytest.raises(MeldError, match="plugin pass `crash` failed: ZeroDivisionError: oops"):
            run(planned("crash", program, Crash), program)

    def test_a_wrong_result_is_refused(self) -> None:
        class Wrong(Pass):
            """Returns nonsense."""

            name = "wrong"

            def run(self, program: Any, cx: PassContext) -> Any:
                return 42

        program = module()
        with pytest.raises(MeldError, match="declares that it writes a module, but left a int"):
            run(planned("wrong", program, Wrong), program)

    def test_options_of_all_types(self) -> None:
        class Typed(Pass):
            """Has options."""

            name = "typed"
            count: int = option(1)
            ratio: float = option(0.5)
            deep: bool = option(False)
            label: str = option("x")

        registry = Registry()
        registry.sources["typed"] = Typed
        (step,) = parse_pipeline("typed{count=0x10 ratio=2 deep=true label=a.b}", registry)
        one: Any = step.instance
        assert (one.count, one.ratio, one.deep, one.label) == (16, 2.0, True, "a.b")
        with pytest.raises(MeldError, match="takes true or false"):
            parse_pipeline("typed{deep=maybe}", registry)

    def test_broken_file(self, tmp_path: Any) -> None:
        (tmp_path / "bad.py").write_text("1/0")
        with pytest.raises(MeldError, match="plugin does not load: ZeroDivisionError"):
            Registry.standard([str(tmp_path / "bad.py")])
        with pytest.raises(MeldError, match="no such plugin file"):
            Registry.standard([str(tmp_path / "absent.py")])
