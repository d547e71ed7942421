;; The shims of a bridge that move bytes are inlined where few places call them, with vectors and in loops, too.
;; meldc: --passes=direct-calls,finish{lines=false,provenance=false,signatures=false}
;; not: (func $a/stream_write.shim
;; check: (func $run
;; check: loop
;; check: v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
;; check: v128.load
;; not: call $a/stream_write.shim
;; check: call $a/stream_drop_writable.shim
;; check: (func $a/stream_drop_writable.shim
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (memory $m (@meld.owner $a) 1)
  (func $a/stream_write (@meld.owner $a) (param i32 i32 i32 i32) (result i32) (i32.const -1))
  (func $a/stream_drop_writable (@meld.owner $a) (param i32))
  (func $run (@meld.owner $a) (export "run") (param $n i32)
    (loop $more
      (drop (call $a/stream_write.shim (i32.const 1) (i32.const 8) (i32.const 16) (i32.const 0)))
      (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (call $a/stream_drop_writable.shim (i32.const 1)))
  (func $a/stream_write.shim (@meld.owner $a) (@meld.synthetic bridge)
    (@meld.shim stream_write (replaces $a/stream_write) (instance $a))
    (param $handle i32) (param $ptr i32) (param $n i32) (param $memory i32) (result i32)
    (local $v v128)
    (if (i32.eqz (local.get $handle)) (then (return (i32.const -2))))
    (local.set $v (v128.load (local.get $ptr)))
    (v128.store offset=64 (local.get $ptr) (local.get $v))
    (local.get $n))
  (func $a/stream_drop_writable.shim (@meld.owner $a) (@meld.synthetic bridge)
    (@meld.shim stream_drop_writable (replaces $a/stream_drop_writable) (instance $a))
    (param $handle i32)
    (i32.store (local.get $handle) (i32.const 1))))
