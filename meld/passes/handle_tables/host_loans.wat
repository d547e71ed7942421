;; What one component instance has borrowed of handles that live outside, until it drops them. 8 bytes each, the last on
;; top: number of the resource type, handle. A handle is the same number for who lends it and for who borrows it.
(module
  (import "meld" "trap TABLE" (func $table_full))
  (import "meld" "trap BORROWS" (func $borrows_remain))
  (memory $loans 1)
  (global $top (mut i32) (i32.const 0))

  ;; The instance is lent a handle: the handle.
  (func $lend (export "lend") (param $type i32) (param $handle i32) (result i32)
    (if (i32.ge_u (global.get $top) (i32.shl (memory.size $loans) (i32.const 16)))
      (then (if (i32.eq (memory.grow $loans (i32.const 1)) (i32.const -1)) (then (call $table_full) (unreachable)))))
    (i32.store $loans (global.get $top) (local.get $type))
    (i32.store $loans offset=4 (global.get $top) (local.get $handle))
    (global.set $top (i32.add (global.get $top) (i32.const 8)))
    (local.get $handle))

  ;; The instance drops a handle: whether it had borrowed it, and the latest loan of it is over.
  (func $give_back (export "give_back") (param $type i32) (param $handle i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $top))
    (loop $next
      (if (i32.eqz (local.get $at)) (then (return (i32.const 0))))
      (local.set $at (i32.sub (local.get $at) (i32.const 8)))
      (br_if $next (i32.ne (i32.load $loans (local.get $at)) (local.get $type)))
      (br_if $next (i32.ne (i32.load $loans offset=4 (local.get $at)) (local.get $handle))))
    (global.set $top (i32.sub (global.get $top) (i32.const 8)))
    (i64.store $loans (local.get $at) (i64.load $loans (global.get $top)))
    (i32.const 1))

  ;; How much is borrowed: the mark of a call that begins.
  (func $mark (export "mark") (result i32) (global.get $top))

  ;; A call returns, that began at the mark: what was borrowed for it is dropped.
  (func $end (export "end") (param $mark i32)
    (if (i32.gt_u (global.get $top) (local.get $mark)) (then (call $borrows_remain) (unreachable))))
)
