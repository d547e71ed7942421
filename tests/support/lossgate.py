"""The gate of the loss scenarios: a run of the tests fails if an approved scenario is not held by its tests.

A scenario (specs/loss-scenarios.toml) lists the tests that pin it. A test may name scenarios itself::

    @pytest.mark.loss("LS-ST-3")

The run fails if an approved scenario lists no test; if, in a full run, a test that it lists was skipped or did not run;
or if a test names a scenario that does not exist or that does not list it. A full run is one that was not narrowed down
by paths, ``-k``, ``-m`` or the like.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CATALOGUE = Path(__file__).parents[2] / "specs" / "loss-scenarios.toml"
STATUSES = ("approved", "draft", "retired")
PROPERTY = "loss"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way to lose something: what is lost (a hazard), how, why, and the tests that would notice."""

    id: str
    hazard: str
    scenario: str
    causes: tuple[str, ...]
    status: str
    tests: tuple[str, ...]


def read_catalogue(path: Path) -> dict[str, Scenario]:
    """The scenarios of a catalogue by id. Raises `pytest.UsageError` if it is malformed."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        scenarios = [
            Scenario(
                one["id"], one["hazard"], one["scenario"], tuple(one["causes"]), one["status"], tuple(one["tests"])
            )
            for one in data["scenario"]
        ]
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as e:
        raise pytest.UsageError(f"{path}: {type(e).__name__}: {e}") from e
    found: dict[str, Scenario] = {}
    for one in scenarios:
        wrong = {
            "its id is not of the form LS-ST-1": not re.fullmatch(r"LS-[A-Z]+-[1-9]\d*", one.id),
            "its id is taken": one.id in found,
            "its hazard is not in [hazards]": one.hazard not in data.get("hazards", {}),
            f"its status is none of {', '.join(STATUSES)}": one.status not in STATUSES,
            "it has no causes": not one.causes,
            "it lists a test twice": len(set(one.tests)) != len(one.tests),
        }
        for problem in (text for text, is_so in wrong.items() if is_so):
            raise pytest.UsageError(f"{path}: scenario {one.id}: {problem}")
        found[one.id] = one
    return found


def install(config: pytest.Config, catalogue: Path = CATALOGUE) -> None:
    """Adds the gate to a run."""
    config.addinivalue_line("markers", "loss(id): the test pins this loss scenario")
    config.pluginmanager.register(LossGate(config, read_catalogue(catalogue)), "lossgate")


class LossGate:
    """Gathers what ran, and judges at the end. Under xdist the workers pass on what the tests name, and one judges."""

    def __init__(self, config: pytest.Config, scenarios: dict[str, Scenario]) -> None:
        self.config = config
        self.scenarios = scenarios
        self.outcomes: dict[str, set[str]] = {}
        self.named: dict[str, set[str]] = {}
        self.problems: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            item.user_properties += [(PROPERTY, name) for mark in item.iter_markers("loss") for name in mark.args]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = report.nodeid.partition("[")[0]
        if report.when == "call" or report.outcome != "passed":
            self.outcomes.setdefault(test, set()).add(report.outcome)
        self.named.setdefault(test, set()).update(
            str(value) for key, value in report.user_properties if key == PROPERTY
        )

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if hasattr(self.config, "workerinput") or self.config.option.collectonly:
            return
        stopped = bool(session.shouldstop or session.shouldfail) or exitstatus == pytest.ExitCode.INTERRUPTED
        self.problems = [*self.about_names(), *self.about_scenarios(is_full(self.config) and not stopped)]
        if self.problems and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.problems:
            terminalreporter.section("loss scenarios", red=True)
            for problem in self.problems:
                terminalreporter.write_line(problem)

    def about_names(self) -> Iterator[str]:
        """Tests that name a scenario that is not there, or that does not know of them."""
        for test, names in sorted(self.named.items()):
            for name in sorted(names):
                if name not in self.scenarios:
                    yield f"{test} names {name}, and there is no such scenario"
                elif test not in self.scenarios[name].tests:
                    yield f"{test} names {name}, which does not list it"

    def about_scenarios(self, full: bool) -> Iterator[str]:
        """Approved scenarios that nothing holds. What did not run counts in a full run only."""
        for scenario in self.scenarios.values():
            if scenario.status != "approved":
                continue
            if not scenario.tests:
                yield f"{scenario.id} is approved and lists no test"
            for test in scenario.tests if full else ():
                outcomes = self.outcomes.get(test)
                if outcomes is None:
                    yield f"{scenario.id}: its test {test} did not run"
                elif "skipped" in outcomes:
                    yield f"{scenario.id}: its test {test} was skipped"


def is_full(config: pytest.Config) -> bool:
    """Whether a run is of all tests."""
    narrowing = ("keyword", "markexpr", "deselect", "lf", "ignore", "ignore_glob")
    if any(getattr(config.option, name, None) for name in narrowing):
        return False
    root = config.rootpath
    return {(root / a).resolve() for a in config.args} <= {(root / p).resolve() for p in config.getini("testpaths")}
