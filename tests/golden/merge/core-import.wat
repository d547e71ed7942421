;; A core import is bound to the very item that it gets at instantiation; nothing of it is left, not even a call through it.
;; meldc: --stop-after=merge
;; not: (import
;; check: (func $core-import/add
;; check: (func $core-import/run
;; next: local.get 0
;; next: i32.const 1
;; next: call $core-import/add
;; run: run(41) == 42
(component
  (core module $lib
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
  (core module $app
    (import "lib" "add" (func $add (param i32 i32) (result i32)))
    (func (export "run") (param i32) (result i32) (call $add (local.get 0) (i32.const 1))))
  (core instance $lib (instantiate $lib))
  (core instance $app (instantiate $app (with "lib" (instance $lib))))
  (func (export "run") (param "x" u32) (result u32) (canon lift (core func $app "run"))))
