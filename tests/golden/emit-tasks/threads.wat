;; A thread that suspends itself is in no queue until another one resumes it, and goes on behind what is ready.
;; meldc: --passes=plan-tasks,handle-tables,emit-tasks,adapter-wiring,wire-entries,resumable-frames
;; check: (table $starts
;; run: f() == 123
;; run: g() traps
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.export "f" (instance $a) (target $f) (type async (result u32)))
  (@meld.export "g" (instance $a) (target $g) (type async (result u32)))
  (import "meld:canon" "thread.new-indirect" (func $new (@meld.owner $a)
    (@meld.canon thread.new-indirect (instance $a) (table $t)) (param i32 i32) (result i32)))
  (import "meld:canon" "thread.index" (func $index (@meld.owner $a)
    (@meld.canon thread.index (instance $a)) (result i32)))
  (import "meld:canon" "thread.suspend-then-resume" (func $switch (@meld.owner $a)
    (@meld.canon thread.suspend-then-resume (instance $a)) (param i32) (result i32)))
  (import "meld:canon" "thread.resume-later" (func $later (@meld.owner $a)
    (@meld.canon thread.resume-later (instance $a)) (param i32)))
  (table $t 1 funcref)
  (elem (table $t) (i32.const 0) func $thread)
  (global $log (mut i32) (i32.const 0))
  (func $say (@meld.owner $a) (param i32)
    (global.set $log (i32.add (i32.mul (global.get $log) (i32.const 10)) (local.get 0))))
  (func $thread (@meld.owner $a) (param $main i32)
    (call $say (i32.const 2))
    (call $later (local.get $main)))
  (func $f (@meld.owner $a) (export "f") (result i32)
    (call $say (i32.const 1))
    (drop (call $switch (call $new (i32.const 0) (call $index))))
    (call $say (i32.const 3))
    (global.get $log))
  ;; nobody is suspended who could be resumed
  (func $g (@meld.owner $a) (export "g") (result i32)
    (call $switch (call $index))))
