;; Frames of a core module that the host provides cannot leave the stack: what it may call, by a reference here, must not block.
;; meldc: --emit=component
;; error: may block, and a core module that the host provides may call it
;; hint: let the component define the table
(component
  (import "h" (core module $h (export "table" (table 1 funcref)) (export "call" (func (param i32)))))
  (component $lib
    (import "h" (core module $h (export "table" (table 1 funcref)) (export "call" (func (param i32)))))
    (core instance $h (instantiate $h))
    (core func $return (canon task.return (result u32)))
    (core func $yield (canon thread.yield))
    (core module $m
      (import "h" "table" (table 1 funcref))
      (import "h" "call" (func $call (param i32)))
      (import "" "return" (func $return (param i32)))
      (import "" "yield" (func $yield (result i32)))
      (elem (i32.const 0) func $spin)
      (func $spin (param i32) (drop (call $yield)))
      (func (export "f") (param $x i32)
        (drop (call $yield))
        (call $call (local.get $x))
        (call $return (local.get $x))))
    (core instance $m (instantiate $m (with "h" (instance $h)) (with "" (instance
      (export "return" (func $return)) (export "yield" (func $yield))))))
    (func (export "f") async (param "x" u32) (result u32) (canon lift (core func $m "f") async)))
  (component $app
    (import "f" (func $f async (param "x" u32) (result u32)))
    (core module $memory (memory (export "memory") 1))
    (core instance $memory (instantiate $memory))
    (core func $f (canon lower (func $f) async (memory (core memory $memory "memory"))))
    (core func $f' (canon lower (func $f)))
    (core module $m
      (import "" "f" (func $f (param i32 i32) (result i32)))
      (import "" "f'" (func $f' (param i32) (result i32)))
      (func (export "run") (param i32) (result i32)
        (drop (call $f (local.get 0) (i32.const 16)))
        (call $f' (local.get 0))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f)) (export "f'" (func $f'))))))
    (func (export "run") async (param "x" u32) (result u32) (canon lift (core func $m "run"))))
  (instance $lib (instantiate $lib (with "h" (core module $h))))
  (instance $app (instantiate $app (with "f" (func $lib "f"))))
  (export "run" (func $app "run")))
