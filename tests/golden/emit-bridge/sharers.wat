;; The intrinsics of an instance are the shims or the host's, for all its streams: a domain that has to stay on the host
;; keeps those with it that share an instance, one after the other. Futures have intrinsics of their own.
;; meldc: --passes=emit-bridge{ring=16}
;; remark: domain `d0` stays on the host: the memory of `a` has addresses of 64 bits, the intrinsics' pointers have 32
;; remark: domain `d1` stays on the host: `b` uses the same intrinsics for stream u8, which stays on the host
;; remark: domain `d2` stays on the host: `c` uses the same intrinsics for stream u16, which stays on the host
;; check: (@meld.domain $d0 {{.*}}(why "the memory of `a`
;; check: (@meld.domain $d1 {{.*}}(why "`b` uses the same intrinsics for stream u8, which stays on the host"))
;; check: (@meld.domain $d2 {{.*}}(why "`c` uses the same intrinsics for stream u16, which stays on the host"))
;; check: (@meld.domain $d3 {{.*}}(carried bridge))
;; check: (@meld.shim future_new (replaces $c/future_new) (instance $c))
;; not: (@meld.shim stream
(module
  (@meld.facts linked merged stream-pairs)
  (@meld.instance $a)
  (@meld.instance $b)
  (@meld.instance $c)
  (@meld.instance $d)
  (@meld.domain $d0 (instances $a $b) (element u8) (carried bridge))
  (@meld.domain $d1 (instances $b $c) (element u16) (size 2) (carried bridge))
  (@meld.domain $d2 (instances $c $d) (element u32) (size 4) (carried bridge))
  (@meld.domain $d3 (instances $c $d) (element u8) (future) (carried bridge))
  (import "pulseengine:async" "stream_new" (func $a/new (@meld.owner $a)
    (@meld.intrinsic stream_new (instance $a) (memory $a/memory)) (result i64)))
  (import "pulseengine:async" "stream_new" (func $c/new (@meld.owner $c) (@meld.intrinsic stream_new (instance $c))
    (result i64)))
  (import "pulseengine:async" "future_new" (func $c/future_new (@meld.owner $c) (@meld.intrinsic future_new (instance $c))
    (result i64)))
  (import "pulseengine:async" "future_read" (func $d/read (@meld.owner $d) (@meld.intrinsic future_read (instance $d))
    (param i32 i32 i32) (result i32)))
  (memory $a/memory (@meld.owner $a) i64 1))
