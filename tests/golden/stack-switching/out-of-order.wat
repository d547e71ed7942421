;; Two calls that yield: each task runs on a stack of its own, and a yield that has to leave suspends it. The functions of
;; the components stay as they are.
;; meldc: --passes=default,stack-switching{pool=2}
;; check: (table $stacks (@meld.synthetic stack-switching) 16 (ref null $stack))
;; check: (table $pool (@meld.synthetic stack-switching) 2 2 (ref null $stack))
;; check: (tag $leave (@meld.synthetic stack-switching)
;; check: (global $movable (@meld.synthetic async) i32 i32.const -1)
;; check: (func $lib/f
;; next: (local
;; next: local.get $x
;; check: call $lib/thread.yield.leaves
;; check: (func $run (@meld.synthetic stack-switching)
;; check: call $drive
;; check: suspend $leave
;; check: (func $switch
;; check: resume $stack (on $leave $left)
;; check: (func $lib/thread.yield.leaves
;; check: call $lib/thread.yield
;; check: suspend $leave
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
      (func $await (param $subtask i32)
        (local $set i32)
        (local.set $set (call $new))
        (call $join (local.get $subtask) (local.get $set))
        (loop $again
          (drop (call $wait (local.get $set) (i32.const 0)))
          (br_if $again (i32.ne (i32.load (i32.const 4)) (i32.const 2)))))
      (func (export "run") (param i32) (result i32)
        (local $a i32) (local $b i32)
        (local.set $a (i32.shr_u (call $f (local.get 0) (i32.const 16)) (i32.const 4)))
        (local.set $b (i32.shr_u (call $f (i32.const 1) (i32.const 20)) (i32.const 4)))
        (call $await (local.get $b))
        (call $await (local.get $a))
        (i32.add (i32.load (i32.const 16)) (i32.load (i32.const 20)))))
    (core instance $m (instantiate $m (with "" (instance
      (export "memory" (memory $memory "memory")) (export "f" (func $f)) (export "new" (func $new))
      (export "wait" (func $wait)) (export "join" (func $join))))))
    (func (export "run") async (param "x" u32) (result u32) (canon lift (core func $m "run"))))
  (instance $lib (instantiate $lib))
  (instance $app (instantiate $app (with "f" (func $lib "f"))))
  (export "run" (func $app "run")))
