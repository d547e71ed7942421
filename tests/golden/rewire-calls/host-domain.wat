;; An instance without shims keeps what it calls: streams that stay on the host are the host's.
;; meldc: --passes=detect-pairs,emit-bridge,rewire-calls
;; check: (import "pulseengine:async" "stream_new" (func $new
;; check: (func $run (@
;; next: call $new
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.streams $a (builtins stream.new) (type (stream u8)))
  (import "pulseengine:async" "stream_new" (func $new (@meld.owner $a) (@meld.intrinsic stream_new (instance $a)) (result i64)))
  (func $run (@meld.owner $a) (export "run") (result i64) (call $new)))
