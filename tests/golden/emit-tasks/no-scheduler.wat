;; Where no call has a task nobody yields to anybody: `thread.yield` returns 0, and no handle can be one of a subtask.
;; meldc: --passes=plan-tasks,emit-tasks
;; not: (@meld.tasks
;; check: {{^  }}(func $yield (@
;; next: i32.const 0
;; run: yields() == 0
;; run: drops() traps
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (import "meld:canon" "thread.yield" (func $yield (@meld.owner $a) (@meld.canon thread.yield (instance $a)) (result i32)))
  (import "meld:canon" "subtask.drop" (func $drop (@meld.owner $a) (@meld.canon subtask.drop (instance $a)) (param i32)))
  (func (@meld.owner $a) (export "yields") (result i32) (call $yield))
  (func (@meld.owner $a) (export "drops") (call $drop (i32.const 5))))
