;; One region of the single memory: what stands for one memory of the program.
;;
;; `base` is the region's first byte, `size` its size in pages. A region that grows moves those behind it up, and their
;; bases with them ({moved}); the pages of all regions together are the memory, without gaps.
(module
  (import "meld" "memory" (memory $memory 0))
  (import "meld" "base" (global $base (mut i32)))
  (import "meld" "size" (global $size (mut i32)))
{imports}
  ;; The address in the memory of `address` in the region; traps unless `reach` bytes from there on lie in the region.
  (func $at (param $address i32) (param $reach i64) (result i32)
    (if (i64.gt_u
          (i64.add (i64.extend_i32_u (local.get $address)) (local.get $reach))
          (i64.shl (i64.extend_i32_u (global.get $size)) (i64.const 16)))
      (then
        (drop (i64.load $memory offset=0xffffffff (i32.const -1))) ;; never in bounds: the trap that it was
        (unreachable)))
    (i32.add (global.get $base) (local.get $address)))

  ;; memory.grow of the region: the old size in pages, or −1.
  (func $grow (param $delta i32) (result i32)
    (local $old i32) (local $behind i32) (local $tail i32) (local $bytes i32)
    (local.set $old (global.get $size))
    (if (i64.gt_u
          (i64.add (i64.extend_i32_u (local.get $old)) (i64.extend_i32_u (local.get $delta)))
          (i64.const {maximum}))
      (then (return (i32.const -1))))
    (if (i32.eqz (local.get $delta))
      (then (return (local.get $old))))
    (local.set $behind (i32.add (global.get $base) (i32.shl (local.get $old) (i32.const 16))))
    (local.set $tail (i32.sub (i32.shl (memory.size $memory) (i32.const 16)) (local.get $behind)))
    (if (i32.eq (memory.grow $memory (local.get $delta)) (i32.const -1))
      (then (return (i32.const -1))))
    (local.set $bytes (i32.shl (local.get $delta) (i32.const 16)))
    (if (local.get $tail)
      (then
        (memory.copy $memory $memory
          (i32.add (local.get $behind) (local.get $bytes))
          (local.get $behind)
          (local.get $tail))
        (memory.fill $memory (local.get $behind) (i32.const 0) (local.get $bytes))))
    (global.set $size (i32.add (local.get $old) (local.get $delta)))
{moves}
    (local.get $old))
)
