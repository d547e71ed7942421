;; Whether an access lies in its region, where that is not asked in place: outside of short loops, and for bulks.
;;
;; `base` is the region's first byte, {bytes} its size.
(module
  (import "meld" "memory" (memory $memory 0))
  (import "meld" "base" (global $base {base}))
  (import "meld" "size" (global $size {size}))

  ;; The address in the memory of `address` in the region; traps unless `reach` bytes from there on lie in the region.
  (func $at (param $address i32) (param $reach i32) (result i32)
    (if (i64.gt_u
          (i64.add (i64.extend_i32_u (local.get $address)) (i64.extend_i32_u (local.get $reach)))
          {bytes})
      (then
        (drop (i64.load $memory offset=0xffffffff (i32.const -1))) ;; never in bounds: the trap that it was
        (unreachable)))
    (i32.add (global.get $base) (local.get $address)))
)
