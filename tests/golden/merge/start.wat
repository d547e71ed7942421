;; Start functions run in the order of instantiation, before anything is exported.
;; meldc: --stop-after=merge
;; run: seen() == 12
(component
  (core module $shared
    (global (export "seen") (mut i32) (i32.const 0)))
  (core module $first
    (import "" "seen" (global $seen (mut i32)))
    (func $start (global.set $seen (i32.add (i32.mul (global.get $seen) (i32.const 10)) (i32.const 1))))
    (start $start))
  (core module $second
    (import "" "seen" (global $seen (mut i32)))
    (func $start (global.set $seen (i32.add (i32.mul (global.get $seen) (i32.const 10)) (i32.const 2))))
    (start $start)
    (func (export "get") (result i32) (global.get $seen)))
  (core instance $shared (instantiate $shared))
  (core instance (instantiate $first (with "" (instance $shared))))
  (core instance $second (instantiate $second (with "" (instance $shared))))
  (func (export "seen") (result u32) (canon lift (core func $second "get"))))
