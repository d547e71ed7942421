;; A destructor that the outside runs as it drops a handle has a task of its own as well; tasks that wait go on after it.
;; meldc: --passes=expose-resources,plan-tasks,handle-tables,emit-tasks
;; check: (func $r.dtor.exposed
;; check: global.get $r.taking
;; check: call $"a/r destructor"
;; check: (func $"a/r destructor"
;; check: global.set $context.0
;; check: call $dtor
;; check: global.set $context.0
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.resource $r (label "r") (owner $a) (dtor $dtor))
  (@meld.resource-export $r (module "$root") (label "r"))
  (@meld.export "make" (instance $a) (target $make) (type (result (own $r))))
  (import "meld:canon" "context.set" (func $set (@meld.owner $a) (@meld.canon context.set (instance $a) (slot 0)) (param i32)))
  (import "meld:canon" "resource.new" (func $new (@meld.owner $a) (@meld.canon resource.new (instance $a) (type (own $r))) (param i32) (result i32)))
  (func $dtor (@meld.owner $a) (param i32) (call $set (local.get 0)))
  (func $make (@meld.owner $a) (export "make") (result i32) (call $new (i32.const 1))))
