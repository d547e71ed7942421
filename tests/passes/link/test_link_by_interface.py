"""Links by interface, and versions of an interface that become one: what is linked runs, what is left is one import."""

from __future__ import annotations

from pathlib import Path

import pytest
from wrapped import Running, fuse, wit

import meld
from meld.diagnostics import MeldError
from meld.runtime.instantiate import instantiate

GOLDEN = Path(__file__).parents[2] / "golden"
CASES = Path(__file__).parents[4] / "shared" / "cases"

USER = """(component
  (import "users" (implements "shop:api/store") (instance $users (export "get" (func (param "key" u32) (result u32)))))
  (import "old" (implements "shop:api/store") (instance $old (export "get" (func (param "key" u32) (result u32)))))
  (core func $users (canon lower (func $users "get")))
  (core func $old (canon lower (func $old "get")))
  (core module $m
    (import "" "users" (func $users (param i32) (result i32)))
    (import "" "old" (func $old (param i32) (result i32)))
    (func (export "run") (param i32) (result i32)
      (i32.add (i32.mul (i32.const 1000) (call $users (local.get 0))) (call $old (local.get 0)))))
  (core instance $i (instantiate $m
    (with "" (instance (export "users" (func $users)) (export "old" (func $old))))))
  (func (export "run") (param "key" u32) (result u32) (canon lift (core func $i "run"))))"""


@pytest.mark.parametrize(
    ("users", "old", "answer"),
    [
        ("stores", "stores#archive", 6_007),
        ("stores#archive", "stores", 7_006),
        ("stores#shop:api/store", "stores#shop:api/store", 6_006),
    ],
)
def test_each_import_gets_what_was_named(users: str, old: str, answer: int, tmp_path: Path) -> None:
    path = tmp_path / "user.wat"
    path.write_text(USER)
    links = [f"user:users={users}", f"user:old={old}"]
    module = meld.compile([path, GOLDEN / "inputs/stores.wat"], links=links)
    assert instantiate(module).call("run", 5) == answer


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("user:users=stores#nothing", "`stores` has no export `nothing`"),
        ("user:users=user", "`user` cannot feed its own import `users`"),
        ("user:users=stores#", "--link=user:users=stores#"),
        ("user:users=clock", "`clock` exports nothing that fits the import `users` of `user`"),
    ],
)
def test_what_is_not_there(link: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "user.wat"
    path.write_text(USER)
    with pytest.raises(MeldError, match=message):
        meld.compile([path, GOLDEN / "inputs/stores.wat", GOLDEN / "inputs/clock.wat"], links=[link])


@pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases")
def test_two_providers_of_one_interface(tmp_path: Path) -> None:
    inputs = [CASES / f"F7-{name}.wasm" for name in ("app", "p1", "p2")]
    for wish in ("", "#t:e/store"):
        made = fuse(
            inputs, tmp_path / "o.wasm", f"--link=F7-app:users=F7-p1{wish}", f"--link=F7-app:catalog=F7-p2{wish}"
        )
        assert Running(made).call("run", 5) == 6_007


@pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases")
def test_versions_of_the_host_become_one(tmp_path: Path) -> None:
    made = fuse([CASES / "F6-a.wasm", CASES / "F6-b.wasm"], tmp_path / "o.wasm")
    assert "import h:io/streams@0.2.3;" in wit(made)
    assert "0.2.0" not in wit(made)
