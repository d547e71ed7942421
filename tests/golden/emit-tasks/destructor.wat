;; A destructor that uses context slots runs in a task of its own: it finds them empty, and the dropper has its own back.
;; meldc: --passes=plan-tasks,handle-tables,emit-tasks
;; check: (func $"a/r destructor"
;; check: global.set $context.0
;; check: call $dtor
;; check: global.set $context.0
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.resource $r (label "r") (owner $a) (dtor $dtor))
  (import "meld:canon" "context.set" (func $set (@meld.owner $a) (@meld.canon context.set (instance $a) (slot 0)) (param i32)))
  (import "meld:canon" "resource.drop" (func $drop (@meld.owner $a) (@meld.canon resource.drop (instance $a) (type (own $r))) (param i32)))
  (func $dtor (@meld.owner $a) (param i32) (call $set (local.get 0)))
  (func (@meld.owner $a) (export "run") (param i32) (call $drop (local.get 0))))
