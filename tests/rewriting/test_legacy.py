"""Legacy exception handling: suspended in `try`, in handlers and below `delegate`. The engine is that of node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from smith import wasm_tools
from suspended import prepare

from meld.binary.writer import write_module
from meld.diagnostics import MeldError
from meld.text.reading.program import parse_module

NODE = shutil.which("node")
DRIVER = Path(__file__).with_name("legacy.mjs")

HOST = """
(module
  (import "host" "ask" (func $ask (param i32) (result i32)))
  (tag $e (param i32 f64))
  (tag $n)
  (func $throws (param $n i32)
    (if (i32.and (local.get $n) (i32.const 1)) (then (throw $e (call $ask (local.get $n)) (f64.const 2.5))))
    (if (i32.and (local.get $n) (i32.const 2)) (then (throw $n)))
    (drop (call $ask (i32.const 33))))
"""

CASES = {
    "try": """
      (func (export "run") (param $n i32) (result i32)
        i32.const 4
        try (result i32)
          (call $throws (local.get $n))
          (call $ask (i32.const 1))
        catch $e
          drop
        catch $n
          i32.const 5
        end
        i32.add)""",
    "catch": """
      (func (export "run") (param $n i32) (result i32) (local $k i32)
        i32.const 4
        (local.set $k (i32.const 2))
        loop $again (param i32) (result i32)
          try (result i32)
            (call $throws (local.get $n))
            (call $ask (i32.const 1))
          catch $e
            f64.floor
            i32.trunc_f64_s
            (call $ask (i32.const 2))
            i32.xor
            call $ask
            i32.sub
          catch_all
            (if (result i32) (call $ask (i32.const 3)) (then (call $ask (i32.const 5))) (else (i32.const 6)))
          end
          i32.add
          (local.tee $k (i32.sub (local.get $k) (i32.const 1)))
          br_if $again
        end)""",
    "rethrow": """
      (func (export "run") (param $n i32) (result i32)
        try $outer (result i32)
          try $inner (result i32)
            (call $throws (local.get $n))
            i32.const 0
          catch $e
            drop
            call $ask
            drop
            try (result i32)
              (throw $n)
            catch_all
              (drop (call $ask (i32.const 9)))
              rethrow $inner
            end
          end
        catch $e
          drop
          (call $ask (i32.const 1))
          i32.add
        catch_all
          i32.const 7
        end)""",
    "delegate": """
      (func (export "run") (param $n i32) (result i32)
        try $outer (result i32)
          try (result i32)
            try (result i32)
              (call $throws (local.get $n))
              (call $ask (i32.const 1))
            delegate $outer
          catch_all
            i32.const 1000
          end
        catch $e
          drop
        catch_all
          i32.const 7
        end)""",
}


def run(data: bytes, path: Path, mode: str) -> Any:
    path.write_bytes(data)
    assert NODE is not None
    done = subprocess.run([NODE, DRIVER, path, mode, "1", "2", "3", "4"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(NODE is None, reason="no engine with legacy exception handling")
@pytest.mark.parametrize("name", CASES)
def test_legacy(name: str, tmp_path: Path) -> None:
    text = f"{HOST}{CASES[name]})"
    plain = run(write_module(parse_module(text, name)), tmp_path / "plain.wasm", "plain")
    assert all(isinstance(result, int) for result in plain["results"])
    data = write_module(prepare(parse_module(text, "legacy.wat"))[0])
    wasm_tools("validate", "--features=all", data=data)
    suspended = run(data, tmp_path / "suspended.wasm", "suspend")
    assert suspended["switches"] == len(plain["asked"])
    assert suspended | {"switches": 0} == plain


def test_rethrow_of_what_is_not_known_is_refused() -> None:
    """Nothing can throw again what only `catch_all` caught."""
    text = f"""{HOST} (func $clean (export "run") (param $n i32) (result i32)
      try
        (call $throws (local.get $n))
      catch_all
        (drop (call $ask (i32.const 1)))
        rethrow 0
      end
      i32.const 0))"""
    with pytest.raises(MeldError, match=r"function `clean` cannot be suspended: .*`catch_all` that rethrows"):
        prepare(parse_module(text, "legacy.wat"))
