;; Whether a callee may block is read off the call graph; the note has the call path, so that nobody has to search again.
;; meldc: --passes=plan-tasks
;; check: (@meld.planned task (call 1) (blocks "g → helper → thread.yield"))
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (import "meld:canon" "thread.yield" (func $yield (@meld.owner $b) (@meld.canon thread.yield (instance $b)) (result i32)))
  (import "meld:boundary" "a->b/f" (func $f (@meld.boundary (caller $a) (callee $b) (label "f") (target $g) (type async))))
  (func $helper (@meld.owner $b) (drop (call $yield)))
  (func $g (@meld.owner $b) (call $helper))
  (func $run (@meld.owner $a) (export "run") (call $f)))
