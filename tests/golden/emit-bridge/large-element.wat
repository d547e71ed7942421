;; Whole elements are written, so one has to fit into a ring; a domain with larger ones stays on the host.
;; meldc: --passes=emit-bridge{ring=16}
;; remark: domain `d0` stays on the host: its elements of 32 bytes do not fit into a ring of 16 bytes
;; check: (@meld.domain $d0 (instances $a $b) {{.*}}(why "its elements of 32 bytes do not fit into a ring of 16 bytes"))
;; not: (@meld.bridge
;; meldc: --passes=emit-bridge{ring=32}
;; check: (@meld.domain $d0 {{.*}}(carried bridge))
;; check: (@meld.bridge
(module
  (@meld.facts linked merged stream-pairs)
  (@meld.instance $a)
  (@meld.instance $b)
  (@meld.domain $d0 (instances $a $b) (element (tuple u64 u64 u64 u64)) (size 32) (carried bridge))
  (@meld.pair (domain $d0) (producer $a) (consumer $b))
  (import "pulseengine:async" "stream_new" (func $new (@meld.owner $a) (@meld.intrinsic stream_new (instance $a)) (result i64)))
  (import "pulseengine:async" "stream_read" (func $read (@meld.owner $b) (@meld.intrinsic stream_read (instance $b))
    (param i32 i32 i32 i32) (result i32))))
