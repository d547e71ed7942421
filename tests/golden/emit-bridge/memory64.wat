;; The intrinsics' pointers have 32 bits: a domain with an instance whose memory has 64-bit addresses stays on the host.
;; meldc: --passes=emit-bridge
;; remark: domain `d0` stays on the host: the memory of `a` has addresses of 64 bits, the intrinsics' pointers have 32
;; not: (@meld.bridge
(module
  (@meld.facts linked merged stream-pairs)
  (@meld.instance $a)
  (@meld.instance $b)
  (@meld.domain $d0 (instances $a $b) (carried bridge))
  (import "pulseengine:async" "stream_new" (func $new (@meld.owner $a)
    (@meld.intrinsic stream_new (instance $a) (memory $m)) (result i64)))
  (memory $m (@meld.owner $a) i64 1))
