;; A function of asynchronous type that is synchronous on both sides waits for its turn where the instance has other
;; tasks: `f` is called as a task, so `g` is one too; nothing else calls into `$c`, and `h` cannot block.
;; meldc: --passes=plan-tasks
;; check: (label "f") (target $k) (type async) (lower async)) (@meld.planned task (call 1)
;; check: (label "g") (target $l) (type async)) (@meld.planned task (call 2))
;; check: (label "h") (target $m) (type async)) (@meld.planned direct)
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (@meld.instance $c)
  (import "meld:canon" "thread.yield" (func $yield (@meld.owner $b) (@meld.canon thread.yield (instance $b)) (result i32)))
  (import "meld:boundary" "a->b/f" (func $f (@meld.boundary (caller $a) (callee $b) (label "f") (target $k) (type async) (lower async)) (result i32)))
  (import "meld:boundary" "a->b/g" (func $g (@meld.boundary (caller $a) (callee $b) (label "g") (target $l) (type async))))
  (import "meld:boundary" "a->c/h" (func $h (@meld.boundary (caller $a) (callee $c) (label "h") (target $m) (type async))))
  (func $k (@meld.owner $b) (drop (call $yield)))
  (func $l (@meld.owner $b))
  (func $m (@meld.owner $c))
  (func $run (@meld.owner $a) (export "run") (drop (call $f)) (call $g) (call $h)))
