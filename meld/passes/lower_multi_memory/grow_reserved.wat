;; memory.grow of a region that has {maximum} pages of the single memory for itself: the old size in pages, or −1.
(module
  (import "meld" "memory" (memory $memory 0))
  (import "meld" "base" (global $base i32))
  (import "meld" "size" (global $size (mut i32)))
{globals}
  (func $grow (param $delta i32) (result i32)
    (local $old i32)
    (local.set $old (global.get $size))
    (if (i32.gt_u (local.get $delta) (i32.sub (i32.const {maximum}) (local.get $old)))
      (then (return (i32.const -1))))
    (memory.fill $memory ;; a host that sees the memory may have written there
      (i32.add (global.get $base) (i32.shl (local.get $old) (i32.const 16)))
      (i32.const 0)
      (i32.shl (local.get $delta) (i32.const 16)))
    (global.set $size (i32.add (local.get $old) (local.get $delta)))
{bounds}
    (local.get $old))
)
