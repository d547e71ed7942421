;; `stream_new` is rebound last: a partially rewired instance must not receive local handles that its other intrinsics
;; would reject. Here one rewrite is held back, so `stream_new` stays what it was.
;; meldc: --passes=rewire-calls --fuel=rewire-calls:0
;; check: (func $run (@
;; next: call $new
;; next: i32.wrap_i64
;; next: call $drop
;; meldc: --passes=rewire-calls --fuel=rewire-calls:1
;; check: (func $run (@
;; next: call $new
;; next: i32.wrap_i64
;; next: call $drop.shim
;; meldc: --passes=rewire-calls
;; check: (func $run (@
;; next: call $new.shim
;; next: i32.wrap_i64
;; next: call $drop.shim
(module
  (@meld.facts linked merged stream-pairs stream-bridge)
  (@meld.instance $a)
  (import "pulseengine:async" "stream_new" (func $new (@meld.owner $a) (@meld.intrinsic stream_new (instance $a)) (result i64)))
  (import "pulseengine:async" "stream_drop_readable" (func $drop (@meld.owner $a)
    (@meld.intrinsic stream_drop_readable (instance $a)) (param i32)))
  (func $new.shim (@meld.synthetic stream-bridge) (@meld.shim stream_new (replaces $new) (instance $a)) (result i64) (call $new))
  (func $drop.shim (@meld.synthetic stream-bridge) (@meld.shim stream_drop_readable (replaces $drop) (instance $a)) (param i32)
    (call $drop (local.get 0)))
  (func $run (@meld.owner $a) (export "run") (call $drop (i32.wrap_i64 (call $new)))))
