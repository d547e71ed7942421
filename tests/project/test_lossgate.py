"""The gate of the loss scenarios fails in each of its ways, and only then."""

from __future__ import annotations

from pathlib import Path

import lossgate
import pytest

pytest_plugins = ["pytester"]

CATALOGUE = """
[hazards]
H-1 = "bytes are lost"

[[scenario]]
id = "LS-ST-1"
hazard = "H-1"
scenario = "the ring is full"
causes = ["nobody looks"]
status = "approved"
tests = ["t/test_it.py::test_ring"]
"""
PASSES = """
import pytest

@pytest.mark.loss("LS-ST-1")
def test_ring():
    pass

def test_other():
    pass
"""

UNMARKED = PASSES.replace('@pytest.mark.loss("LS-ST-1")', "")


class Run:
    """A project with a catalogue and a test file."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        pytester.makeini("[pytest]\ntestpaths = t\n")
        pytester.mkdir("t")

    def __call__(self, catalogue: str, tests: str, *args: str) -> tuple[int, str]:
        """Exit code and output."""
        files = self.pytester.path
        (files / "catalogue.toml").write_text(catalogue)
        (files / "t" / "test_it.py").write_text(tests)
        (files / "t" / "conftest.py").write_text(
            f"import sys, pathlib\nsys.path.insert(0, {str(Path(lossgate.__file__).parent)!r})\nimport lossgate\n"
            "def pytest_configure(config):\n"
            "    lossgate.install(config, pathlib.Path(__file__).parent.parent / 'catalogue.toml')\n"
        )
        # an inner run with faulthandler would, at its end, take away the signal handler by which the engine traps
        result = self.pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:faulthandler", *args)
        return int(result.ret), "\n".join(result.outlines + result.errlines)


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    return Run(pytester)


def test_it_passes_if_all_is_held(run: Run) -> None:
    code, output = run(CATALOGUE, PASSES)
    assert code == 0 and "loss scenarios" not in output


def test_it_judges_once_under_xdist(run: Run) -> None:
    assert run(CATALOGUE, PASSES, "-n", "2")[0] == 0
    code, output = run(CATALOGUE, PASSES.replace("LS-ST-1", "LS-ST-9"), "-n", "2")
    assert code == 1 and output.count("names LS-ST-9, and there is no such scenario") == 1


def test_an_approved_scenario_without_a_test(run: Run) -> None:
    code, output = run(CATALOGUE.replace('"t/test_it.py::test_ring"', ""), UNMARKED)
    assert code == 1 and "LS-ST-1 is approved and lists no test" in output


@pytest.mark.parametrize("status", ["draft", "retired"])
def test_one_that_is_not_approved_may_be_without(run: Run, status: str) -> None:
    catalogue = CATALOGUE.replace("approved", status).replace('"t/test_it.py::test_ring"', "")
    assert run(catalogue, UNMARKED)[0] == 0


@pytest.mark.parametrize(
    "mark", ["skip", "xfail(run=False)", "parametrize('x', [1, pytest.param(2, marks=pytest.mark.skip)])"]
)
def test_a_test_that_was_skipped(run: Run, mark: str) -> None:
    parameter = "x" if "'x'" in mark else ""
    code, output = run(CATALOGUE, PASSES.replace("def test_ring()", f"@pytest.mark.{mark}\ndef test_ring({parameter})"))
    assert code == 1 and "LS-ST-1: its test t/test_it.py::test_ring was skipped" in output


def test_a_test_that_did_not_run(run: Run) -> None:
    code, output = run(CATALOGUE, UNMARKED.replace("test_ring", "test_renamed"))
    assert code == 1 and "LS-ST-1: its test t/test_it.py::test_ring did not run" in output


@pytest.mark.parametrize(
    "args", [["-k", "other"], ["t/test_it.py::test_other"], ["--deselect", "t/test_it.py::test_ring"]]
)
def test_a_narrow_run_is_not_asked_for_what_it_left_out(run: Run, args: list[str]) -> None:
    assert run(CATALOGUE, PASSES, *args)[0] == 0


@pytest.mark.parametrize("args", [["t"], ["./t"], ["-q"]])
def test_a_full_run_by_another_name(run: Run, args: list[str]) -> None:
    assert run(CATALOGUE, PASSES.replace("def test_ring", "@pytest.mark.skip\ndef test_ring"), *args)[0] == 1


def test_a_scenario_that_does_not_exist(run: Run) -> None:
    code, output = run(CATALOGUE, PASSES + '\n@pytest.mark.loss("LS-ST-2")\ndef test_more(): pass\n', "-k", "more")
    assert code == 1 and "t/test_it.py::test_more names LS-ST-2, and there is no such scenario" in output


def test_a_scenario_that_does_not_list_the_test(run: Run) -> None:
    code, output = run(CATALOGUE, PASSES + '\n@pytest.mark.loss("LS-ST-1")\ndef test_more(): pass\n')
    assert code == 1 and "t/test_it.py::test_more names LS-ST-1, which does not list it" in output


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("LS-ST-1", "LS-ST", "is not of the form"),
        ("approved", "accepted", "its status is none of"),
        ('"nobody looks"', "", "it has no causes"),
        ('hazard = "H-1"', 'hazard = "H-2"', "its hazard is not in"),
        ("[[scenario]]", "[scenario", "TOMLDecodeError"),
        ('status = "approved"', "", "KeyError"),
    ],
)
def test_a_malformed_catalogue_stops_the_run(run: Run, old: str, new: str, message: str) -> None:
    code, output = run(CATALOGUE.replace(old, new), PASSES)
    assert code == pytest.ExitCode.USAGE_ERROR and message in output
