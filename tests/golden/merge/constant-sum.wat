;; Sums in constant expressions are numbers where their parts are known: engines without extended constants take them.
;; meldc: --passes=merge,finish
;; check: (data {{.*}}i32.const 21
;; not: i32.add
;; run: at(21) == 7
(component
  (core module $base (global (export "base") i32 (i32.const 16)))
  (core module $user
    (import "base" "base" (global $base i32))
    (memory 1)
    (data (i32.add (global.get $base) (i32.const 5)) "\07")
    (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0))))
  (core instance $b (instantiate $base))
  (core instance $u (instantiate $user (with "base" (instance $b))))
  (func (export "at") (param "at" u32) (result u32) (canon lift (core func $u "at"))))
