;; memory.grow of a region that moves those behind it up, and their bases with them ({moved}): the old size in pages, or −1.
;; The pages of all regions together are the memory, without gaps.
(module
  (import "meld" "memory" (memory $memory 0))
  (import "meld" "base" (global $base {base}))
  (import "meld" "size" (global $size (mut i32)))
{globals}
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
    (if (local.get $tail) ;; regions, or pages that the host has added
      (then
        (memory.copy $memory $memory
          (i32.add (local.get $behind) (local.get $bytes))
          (local.get $behind)
          (local.get $tail))
        (memory.fill $memory (local.get $behind) (i32.const 0) (local.get $bytes))))
    (global.set $size (i32.add (local.get $old) (local.get $delta)))
{bounds}
{moves}
    (local.get $old))
)
