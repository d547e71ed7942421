;; Each instance has shims of its own, since each has a memory of its own: what `b` calls is nothing of `a`.
;; meldc: --passes=rewire-calls
;; check: (func $a/run (@
;; next: call $a/new.shim
;; check: (func $b/run (@
;; next: call $b/new.shim
(module
  (@meld.facts linked merged stream-pairs stream-bridge)
  (@meld.instance $a)
  (@meld.instance $b)
  (import "pulseengine:async" "stream_new" (func $a/new (@meld.owner $a) (@meld.intrinsic stream_new (instance $a)) (result i64)))
  (import "pulseengine:async" "stream_new" (func $b/new (@meld.owner $b) (@meld.intrinsic stream_new (instance $b)) (result i64)))
  (func $a/new.shim (@meld.synthetic stream-bridge) (@meld.shim stream_new (replaces $a/new) (instance $a)) (result i64) (call $a/new))
  (func $b/new.shim (@meld.synthetic stream-bridge) (@meld.shim stream_new (replaces $b/new) (instance $b)) (result i64) (call $b/new))
  (func $a/run (@meld.owner $a) (export "a") (result i64) (call $a/new))
  (func $b/run (@meld.owner $b) (export "b") (result i64) (call $b/new)))
