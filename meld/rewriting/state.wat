;; The heap of the state memory: blocks whose sizes are powers of two, from 16 bytes on.
;;
;; At $base stand the heads of 32 free lists, one per size class; a free block holds the address of the next one. Behind
;; them, from $top on, nothing has been given out. Both globals are set at compile time to the end of the static regions
;; (meld/rewriting/state.py). A new block is all zero: memory beyond $top is, and a block that is used again is cleared.
(module
  (import "meld" "state" (memory $state 1))
  (import "meld" "base" (global $base i32))
  (import "meld" "top" (global $top (mut i32)))
  (import "meld" "trap MEMORY" (func $out_of_memory))

  ;; The size class of a number of bytes: the number of bits of its rounded size.
  (func $class (param $bytes i32) (result i32)
    (if (i32.le_u (local.get $bytes) (i32.const 16)) (then (return (i32.const 4))))
    (if (i32.gt_u (local.get $bytes) (i32.const 0x80000000)) (then (call $out_of_memory) (unreachable)))
    (i32.sub (i32.const 32) (i32.clz (i32.sub (local.get $bytes) (i32.const 1)))))

  ;; A block of at least so many bytes, all zero: its address, a multiple of 16. Traps where the memory cannot grow, and
  ;; nothing has changed then.
  (func $block_new (export "block_new") (param $bytes i32) (result i32)
    (local $class i32) (local $head i32) (local $block i32)
    (local.set $class (call $class (local.get $bytes)))
    (local.set $head (i32.add (global.get $base) (i32.shl (local.get $class) (i32.const 2))))
    (local.set $block (i32.load $state (local.get $head)))
    (if (i32.eqz (local.get $block)) (then (return (call $fresh (i32.shl (i32.const 1) (local.get $class))))))
    (i32.store $state (local.get $head) (i32.load $state (local.get $block)))
    (if (i32.eq (local.get $class) (i32.const 4))
      (then (i64.store $state (local.get $block) (i64.const 0)) (i64.store $state offset=8 (local.get $block) (i64.const 0)))
      (else (memory.fill $state (local.get $block) (i32.const 0) (i32.shl (i32.const 1) (local.get $class)))))
    (local.get $block))

  ;; A block from where none has been.
  (func $fresh (param $size i32) (result i32)
    (local $end i64) (local $have i64) (local $block i32)
    (local.set $block (global.get $top))
    (local.set $end (i64.add (i64.extend_i32_u (local.get $block)) (i64.extend_i32_u (local.get $size))))
    (if (i64.gt_u (local.get $end) (i64.const 0xfffffff0)) (then (call $out_of_memory) (unreachable)))
    (local.set $have (i64.shl (i64.extend_i32_u (memory.size $state)) (i64.const 16)))
    (if (i64.gt_u (local.get $end) (local.get $have))
      (then
        (if (i32.eq
              (memory.grow $state
                (i32.wrap_i64 (i64.shr_u (i64.add (i64.sub (local.get $end) (local.get $have)) (i64.const 0xffff)) (i64.const 16))))
              (i32.const -1))
          (then (call $out_of_memory) (unreachable)))))
    (global.set $top (i32.wrap_i64 (local.get $end)))
    (local.get $block))

  ;; Gives a block back; as many bytes as it was asked for with.
  (func $block_free (export "block_free") (param $block i32) (param $bytes i32)
    (local $head i32)
    (local.set $head (i32.add (global.get $base) (i32.shl (call $class (local.get $bytes)) (i32.const 2))))
    (i32.store $state (local.get $block) (i32.load $state (local.get $head)))
    (i32.store $state (local.get $head) (local.get $block)))
)
