;; Not only calls are rebound: also `ref.func`, element segments and exports. Generated code (`synthetic`) is left alone.
;; meldc: --passes=rewire-calls
;; check: (export "again" (func $shim))
;; check: (elem (table $t) (i32.const 0) func $shim)
;; check: (func $shim (@
;; next: call $new
;; check: (func $direct (@
;; next: call $shim
;; check: (func $indirect (@
;; next: ref.func $shim
;; check: (func $made (@
;; next: call $new
(module
  (@meld.facts linked merged stream-pairs stream-bridge)
  (@meld.instance $a)
  (import "pulseengine:async" "stream_new" (func $new (@meld.owner $a) (@meld.intrinsic stream_new (instance $a)) (result i64)))
  (table $t 1 funcref)
  (export "again" (func $new))
  (func $shim (@meld.synthetic stream-bridge) (@meld.shim stream_new (replaces $new) (instance $a)) (result i64) (call $new))
  (func $direct (@meld.owner $a) (export "direct") (result i64) (call $new))
  (func $indirect (@meld.owner $a) (export "indirect") (result funcref) (ref.func $new))
  (func $made (@meld.synthetic adapter) (export "made") (result i64) (call $new))
  (elem (table $t) (i32.const 0) func $new))
