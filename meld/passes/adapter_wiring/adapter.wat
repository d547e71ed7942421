;; Pieces that adapters share. Each function is used on its own: `meld.passes.adapter_wiring.items.Items.piece` takes it by its
;; name and fills in the parameters in braces. {trap X} is the function that traps for the reason X (meld.abi.traps). A blank line ends a piece.

  ;; Traps unless [ptr, ptr + bytes) lies in the memory. Nothing is read where bytes is 0, but ptr must not lie beyond.
  (func $check_range_i32 (param $ptr i32) (param $bytes i32)
    (i64.gt_u
      (i64.add (i64.extend_i32_u (local.get $ptr)) (i64.extend_i32_u (local.get $bytes)))
      (i64.mul (i64.extend_i32_u (memory.size {memory})) (i64.const {page})))
    if
      call {outside}
      unreachable
    end)

  (func $check_range_i64 (param $ptr i64) (param $bytes i64)
    (local $size i64)
    (local.set $size (i64.mul (memory.size {memory}) (i64.const {page})))
    (i64.gt_u (local.get $bytes) (local.get $size))
    if
      call {outside}
      unreachable
    end
    (i64.gt_u (local.get $ptr) (i64.sub (local.get $size) (local.get $bytes)))
    if
      call {outside}
      unreachable
    end)

  ;; The instance's realloc, its result checked: aligned, and the whole range in its memory.
  (func $realloc (param $old {p}) (param $old_bytes {p}) (param $align {p}) (param $bytes {p}) (result {p})
    (local $ptr {p})
    (local.set $ptr
      (call {function} (local.get $old) (local.get $old_bytes) (local.get $align) (local.get $bytes)))
    ({p}.ne ({p}.and (local.get $ptr) ({p}.sub (local.get $align) ({p}.const 1))) ({p}.const 0))
    if
      call {trap REALLOC_ALIGNMENT}
      unreachable
    end
    {in_range}
    local.get $ptr)
