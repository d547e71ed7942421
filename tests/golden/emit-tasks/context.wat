;; Context slots are globals: what `context.set` stores, `context.get` reads.
;; meldc: --passes=plan-tasks,emit-tasks
;; not: (import
;; check: (@meld.context-slots
;; check: {{^  }}(func $get (@{{.*}}(@meld.synthetic async){{.*}}(@meld.canon context.get
;; check: global.get
;; run: run(42) == 42
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (import "meld:canon" "context.get" (func $get (@meld.owner $a) (@meld.canon context.get (instance $a) (slot 0)) (result i32)))
  (import "meld:canon" "context.set" (func $set (@meld.owner $a) (@meld.canon context.set (instance $a) (slot 0)) (param i32)))
  (func (@meld.owner $a) (export "run") (param i32) (result i32) (call $set (local.get 0)) (call $get)))
