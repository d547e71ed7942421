;; A bridge belongs to one cluster of linked instances: `a` and `b` have no slot in common with `c` and `d`.
;; meldc: --passes=emit-bridge
;; check: (@meld.bridge (memory $state) (slots 8) (ring 4096)
;; next: (@meld.bridge (memory $state) (slots 8) (ring 4096) {{.*}}(cluster 1)
;; check: (func $a/stream_new.shim
;; check: (func $c/stream_new.shim
(module
  (@meld.facts linked merged stream-pairs)
  (@meld.instance $a)
  (@meld.instance $b)
  (@meld.instance $c)
  (@meld.instance $d)
  (@meld.domain $d0 (instances $a $b) (carried bridge))
  (@meld.domain $d1 (instances $c $d) (cluster 1) (carried bridge))
  (import "pulseengine:async" "stream_new" (func $a/stream_new (@meld.owner $a) (@meld.intrinsic stream_new (instance $a)) (result i64)))
  (import "pulseengine:async" "stream_new" (func $b/stream_new (@meld.owner $b) (@meld.intrinsic stream_new (instance $b)) (result i64)))
  (import "pulseengine:async" "stream_new" (func $c/stream_new (@meld.owner $c) (@meld.intrinsic stream_new (instance $c)) (result i64)))
  (import "pulseengine:async" "stream_new" (func $d/stream_new (@meld.owner $d) (@meld.intrinsic stream_new (instance $d)) (result i64))))
