;; A callee that blocks gives control back to the caller, as in engines: its subtask has started (1 | handle << 4).
;; meldc:
;; run: run(1) == 17
(component
  (component $lib
    (core func $return (canon task.return (result u32)))
    (core func $yield (canon thread.yield))
    (core module $m
      (import "" "return" (func $return (param i32)))
      (import "" "yield" (func $yield (result i32)))
      (func (export "f") (param $x i32)
        (local $rounds i32)
        (local.set $rounds (local.get $x))
        (loop $again
          (drop (call $yield))
          (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
          (br_if $again (local.get $rounds)))
        (call $return (i32.mul (local.get $x) (i32.const 1000)))))
    (core instance $m (instantiate $m (with "" (instance (export "return" (func $return)) (export "yield" (func $yield))))))
    (func (export "f") async (param "x" u32) (result u32) (canon lift (core func $m "f") async)))
  (component $app
    (import "f" (func $f async (param "x" u32) (result u32)))
    (core module $memory (memory (export "memory") 1))
    (core instance $memory (instantiate $memory))
    (core func $f (canon lower (func $f) async (memory (core memory $memory "memory"))))
    (core func $new (canon waitable-set.new))
    (core func $wait (canon waitable-set.wait (memory (core memory $memory "memory"))))
    (core func $join (canon waitable.join))
    (core module $m
      (import "" "memory" (memory 1))
      (import "" "f" (func $f (param i32 i32) (result i32)))
      (import "" "new" (func $new (result i32)))
      (import "" "wait" (func $wait (param i32 i32) (result i32)))
      (import "" "join" (func $join (param i32 i32)))
      (func (export "run") (param i32) (result i32) (call $f (local.get 0) (i32.const 16))))
    (core instance $m (instantiate $m (with "" (instance
      (export "memory" (memory $memory "memory")) (export "f" (func $f)) (export "new" (func $new))
      (export "wait" (func $wait)) (export "join" (func $join))))))
    (func (export "run") async (param "x" u32) (result u32) (canon lift (core func $m "run"))))
  (instance $lib (instantiate $lib))
  (instance $app (instantiate $app (with "f" (func $lib "f"))))
  (export "run" (func $app "run")))
