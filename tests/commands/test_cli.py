"""The command line as a user meets it: exit codes, places, nothing half-written."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from measured import forked
from smith import WASM_TOOLS

ROOT = Path(__file__).parents[2]
STREAM = [str(ROOT / "examples/stream/producer.wat"), str(ROOT / "examples/stream/consumer.wat")]


def meldc(*args: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return forked(*args, stdin=stdin or "")


def refused(*args: str | Path) -> str:
    done = meldc(*args)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout
    return done.stderr


def test_fuse_and_run(tmp_path: Path) -> None:
    out = tmp_path / "fused.wasm"
    assert meldc(*STREAM, "-o", out).returncode == 0
    done = meldc("run", out, "--invoke", "c_get", "7")
    assert (done.returncode, done.stdout.strip()) == (0, "0")
    subprocess.run([WASM_TOOLS, "validate", "--features", "all", out], check=True)


def test_text_goes_to_standard_output() -> None:
    done = meldc(*STREAM)
    assert done.returncode == 0
    assert done.stdout.startswith("(module")


def test_a_module_is_a_program(tmp_path: Path) -> None:
    source = tmp_path / "m.wat"
    source.write_text('(module (func (export "f") (result i32) i32.const 7))')
    done = meldc(source, "--passes=")
    assert done.returncode == 0
    assert "i32.const 7" in done.stdout


def test_dumps(tmp_path: Path) -> None:
    done = meldc(
        *STREAM, "--dump-after=all", "--dump-before=merge", "--dump-dir", tmp_path / "d", "-o", tmp_path / "o.wasm"
    )
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "d").iterdir())
    assert names[:3] == ["01-after-link.wat", "02-after-merge.wat", "02-before-merge.wat"]
    assert names[-2:] == ["14-after-finish.wat", "index.json"]
    for path in (tmp_path / "d").glob("*.wat"):
        subprocess.run([WASM_TOOLS, "validate", "--features", "all", path], check=True)


def test_a_dump_goes_to_standard_error(tmp_path: Path) -> None:
    done = meldc(*STREAM, "--dump-after=emit-bridge", "-o", tmp_path / "o.wasm")
    assert ";; after emit-bridge" in done.stderr
    assert not done.stdout


def test_stop_after(tmp_path: Path) -> None:
    done = meldc(*STREAM, "--stop-after=merge")
    assert "(@meld.facts linked merged)" in done.stdout
    assert "is not in the pipeline" in refused(*STREAM, "--passes=link", "--stop-after=merge")


def test_explain(tmp_path: Path) -> None:
    done = meldc(*STREAM, "--explain", "-o", tmp_path / "o.wasm")
    assert "bridged" in done.stderr
    assert "both ends" in done.stderr


def test_passes() -> None:
    assert "detect-pairs" in meldc("passes").stdout
    shown = meldc("passes", "emit-bridge").stdout
    assert "option slots" in shown
    assert "default 8" in shown
    assert "did you mean `merge`" in refused("passes", "mege")


def test_plugin_by_file(tmp_path: Path) -> None:
    plugin = ROOT / "examples/plugin/meld_count_calls/__init__.py"
    done = meldc(*STREAM, f"--plugin={plugin}", "--passes=merge,count-calls{top=1}", "-o", tmp_path / "o.wasm")
    assert done.returncode == 0, done.stderr
    assert "count-calls: " in done.stderr


def test_plugin_by_entry_point(tmp_path: Path) -> None:
    """An installed package, as pip lays it out: the package beside its metadata."""
    package = ROOT / "examples/plugin/meld_count_calls"
    site = tmp_path / "site"
    (site / "meld_count_calls").mkdir(parents=True)
    (site / "meld_count_calls/__init__.py").write_text((package / "__init__.py").read_text())
    (site / "broken_plugin.py").write_text("raise ImportError('broken on purpose')")
    info = site / "meld_count_calls-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: meld-count-calls\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(
        "[meld.passes]\ncount-calls = meld_count_calls:CountCalls\nbroken = broken_plugin:Pass\n"
    )
    run = f"import sys; sys.path.insert(0, {str(site)!r}); from meld.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", run, *STREAM, "-o", str(tmp_path / "o.wasm")]
    done = subprocess.run([*command, "--passes=merge,count-calls"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "count-calls: " in done.stderr
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0
    assert "plugin pass `broken`" in done.stderr
    done = subprocess.run([*command, "--passes=merge,broken"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert "broken on purpose" in done.stderr


class TestBadInput:
    def test_absent(self) -> None:
        assert "no such file" in refused("absent.wasm")

    def test_directory(self, tmp_path: Path) -> None:
        assert "is a directory" in refused(tmp_path)

    def test_empty(self, tmp_path: Path) -> None:
        (tmp_path / "e.wasm").write_bytes(b"")
        assert "empty" in refused(tmp_path / "e.wasm")

    def test_not_wasm(self, tmp_path: Path) -> None:
        (tmp_path / "e.wasm").write_bytes(b"\xff\xfe\x00")
        assert "neither a WebAssembly binary nor UTF-8 text" in refused(tmp_path / "e.wasm")
        (tmp_path / "e.wat").write_text("hello")
        assert "e.wat:1:1" in refused(tmp_path / "e.wat")

    def test_unknown_version(self, tmp_path: Path) -> None:
        (tmp_path / "e.wasm").write_bytes(b"\0asm\x63\0\0\0")
        assert "unknown version 63 00 00 00" in refused(tmp_path / "e.wasm")
        (tmp_path / "e.wasm").write_bytes(b"\0asm\1")
        assert "offset 0x5: the file ends inside its header" in refused(tmp_path / "e.wasm")
        (tmp_path / "e.wat").write_bytes(b"\xef\xbb\xbf(module)")
        assert "begins with a byte order mark" in refused(tmp_path / "e.wat")

    def test_huge_section(self, tmp_path: Path) -> None:
        (tmp_path / "e.wasm").write_bytes(b"\0asm\x01\0\0\0\x01" + b"\x80\x80\x80\x80\x04" + b"\x01")
        begin = time.monotonic()
        assert "offset 0x" in refused(tmp_path / "e.wasm")
        assert time.monotonic() - begin < 30

    @pytest.mark.parametrize("opening", ["(module ", "(component ", "(module (func ", "(i32.add "])
    def test_deep_nesting(self, tmp_path: Path, opening: str) -> None:
        source = tmp_path / "deep.wat"
        source.write_text(f"(module (func {opening * 100_000}" if "i32" in opening else opening * 100_000)
        refused(source)

    def test_no_partial_output(self, tmp_path: Path) -> None:
        (tmp_path / "bad.wat").write_text("(module (func unreachabel))")
        error = refused(tmp_path / "bad.wat", "-o", tmp_path / "out.wasm")
        assert "did you mean" in error
        assert [path.name for path in tmp_path.iterdir()] == ["bad.wat"]

    def test_output_into_nothing(self, tmp_path: Path) -> None:
        assert "cannot write" in refused(*STREAM, "-o", tmp_path / "absent" / "o.wasm")
        assert "cannot write" in refused(*STREAM, "-o", tmp_path)

    def test_wrong_pipeline(self, tmp_path: Path) -> None:
        error = refused(*STREAM, "--passes=emit-bridge,detect-pairs", "-o", tmp_path / "o.wasm")
        assert "emit-bridge,detect-pairs\n^" in error
        assert "this order works" in error
        assert not list(tmp_path.iterdir())

    def test_usage(self) -> None:
        assert meldc().returncode == 2
        assert meldc("--no-such-option").returncode == 2


def test_reproducible(tmp_path: Path) -> None:
    outputs = []
    for i in range(2):
        out = tmp_path / f"{i}.wasm"
        command = [sys.executable, "-m", "meld", *STREAM, "-o", str(out)]
        subprocess.run(command, check=True, cwd=ROOT, env={"PYTHONHASHSEED": str(i), "PATH": "/usr/bin:/bin"})
        outputs.append(out.read_bytes())
    assert outputs[0] == outputs[1]
