(module
  ;; References of suspended frames. A slot is free if it holds null; slot 0 is never given away. At least half of the
  ;; table is free, so a search is short.
  (table $kept.{heap} (export "table") 8 (ref null {heap}))
  (global $kept.{heap}.used (mut i32) (i32.const 1))
  (global $kept.{heap}.last (mut i32) (i32.const 0))

  ;; Keeps a reference; returns its slot, 0 for null.
  (func $kept.{heap}.keep (export "keep") (param $reference (ref null {heap})) (result i32)
    (local $size i32) (local $slot i32)
    (if (ref.is_null (local.get $reference)) (then (return (i32.const 0))))
    (local.set $size (table.size $kept.{heap}))
    (if (i32.ge_u (i32.shl (global.get $kept.{heap}.used) (i32.const 1)) (local.get $size))
      (then
        (if (i32.eq (table.grow $kept.{heap} (ref.null {heap}) (local.get $size)) (i32.const -1))
          (then (call $kept.{heap}.exhausted)))
        (local.set $size (i32.shl (local.get $size) (i32.const 1)))))
    (local.set $slot (global.get $kept.{heap}.last))
    (loop $search
      (local.set $slot (i32.and (i32.add (local.get $slot) (i32.const 1)) (i32.sub (local.get $size) (i32.const 1))))
      (br_if $search (i32.eqz (local.get $slot)))
      (br_if $search (i32.eqz (ref.is_null (table.get $kept.{heap} (local.get $slot))))))
    (table.set $kept.{heap} (local.get $slot) (local.get $reference))
    (global.set $kept.{heap}.last (local.get $slot))
    (global.set $kept.{heap}.used (i32.add (global.get $kept.{heap}.used) (i32.const 1)))
    (local.get $slot))

  ;; Takes the reference in a slot and frees the slot.
  (func $kept.{heap}.take (export "take") (param $slot i32) (result (ref null {heap}))
    (local $reference (ref null {heap}))
    (if (i32.eqz (local.get $slot)) (then (return (ref.null {heap}))))
    (local.set $reference (table.get $kept.{heap} (local.get $slot)))
    (table.set $kept.{heap} (local.get $slot) (ref.null {heap}))
    (global.set $kept.{heap}.used (i32.sub (global.get $kept.{heap}.used) (i32.const 1)))
    (local.get $reference))

  ;; There is no room for the references of a task that is suspended.
  (func $kept.{heap}.exhausted unreachable))
