"""Golden tests under pytest, for the compiler and for plugins of others.

Nothing is collected unless asked for: by ``pytest --meldc``, or by the setting ``meldc_golden``, which names folders::

    [tool.pytest.ini_options]
    meldc_golden = "tests/golden"

``--meldc-bless`` rewrites what is expected. The compiler is imported when the first test runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from meld.golden.running import Report


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options and the setting."""
    group = parser.getgroup("meldc", "golden tests of meldc")
    group.addoption("--meldc", action="store_true", help="collect .wat files that are golden tests of meldc")
    group.addoption("--meldc-bless", action="store_true", help="rewrite what golden tests of meldc expect")
    parser.addini("meldc_golden", "folders with golden tests of meldc", type="paths", default=[])


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A `.wat` file with directives, where such are wanted."""
    if file_path.suffix != ".wat":
        return None
    config = parent.config
    folders: list[Path] = config.getini("meldc_golden")
    if not config.getoption("--meldc") and not any(file_path.is_relative_to(folder) for folder in folders):
        return None
    from meld.golden.expectations import is_golden

    if not is_golden(file_path.read_text(encoding="utf-8", errors="replace")):
        return None
    return GoldenFile.from_parent(parent, path=file_path)


class GoldenFile(pytest.File):
    """One file, which is one test."""

    def collect(self) -> Iterator[pytest.Item]:
        """The test."""
        yield GoldenItem.from_parent(self, name=self.path.stem)


class GoldenFailure(Exception):
    """The test failed; the report says how."""


class GoldenItem(pytest.Item):
    """Runs one golden test."""

    def runtest(self) -> None:
        """Runs the commands of the file."""
        from meld.cli import main
        from meld.commands import COMMANDS
        from meld.golden.running import CommandLine, run_golden

        meldc = CommandLine(main, COMMANDS)
        report = run_golden(self.path, meldc)
        if report.failures and self.config.getoption("--meldc-bless"):
            self.path.write_text(report.blessed, encoding="utf-8")
            report = run_golden(self.path, meldc)
        if report.failures:
            raise GoldenFailure(report)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What failed, without a traceback through the plugin."""
        from meld.diagnostics import MeldError

        match excinfo.value:
            case GoldenFailure(args=(report,)):
                found: Report = report
                return str(found)
            case MeldError() as error:
                return str(error)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the test is."""
        return self.path, None, f"golden: {self.name}"
