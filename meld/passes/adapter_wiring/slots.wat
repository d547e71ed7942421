;; Handles in an instance's memory, in lists that the host is about to read: they are found first, then all are replaced by
;; the host's, and put back when the host has returned. A handle in several lists is one slot several times.
;;
;; A slot, 32 bytes: +0 the next one; +4 the host's handle; +8 what stood there before; +16 the address (i64).
(module
  (import "meld" "state" (memory $state 1))
  (import "meld" "memory" (memory $memory {is64} 0))
  (import "meld" "block_new" (func $block_new (param i32) (result i32)))
  (import "meld" "block_free" (func $block_free (param i32 i32)))

  ;; A slot was found: the list with it.
  (func $slot_add (export "slot_add") (param $slots i32) (param $at {p}) (param $handle i32) (result i32)
    (local $slot i32)
    (local.set $slot (call $block_new (i32.const 32)))
    (i32.store $state (local.get $slot) (local.get $slots))
    (i32.store $state offset=4 (local.get $slot) (local.get $handle))
    (i64.store $state offset=16 (local.get $slot) ({long} (local.get $at)))
    (local.get $slot))

  ;; Replaces the handles: the list the other way round.
  (func $slots_put (export "slots_put") (param $slots i32) (result i32)
    (local $next i32) (local $done i32) (local $at {p})
    (block $end
      (loop $more
        (br_if $end (i32.eqz (local.get $slots)))
        (local.set $at ({short} (i64.load $state offset=16 (local.get $slots))))
        (i32.store $state offset=8 (local.get $slots) (i32.load $memory (local.get $at)))
        (i32.store $memory (local.get $at) (i32.load $state offset=4 (local.get $slots)))
        (local.set $next (i32.load $state (local.get $slots)))
        (i32.store $state (local.get $slots) (local.get $done))
        (local.set $done (local.get $slots))
        (local.set $slots (local.get $next))
        (br $more)))
    (local.get $done))

  ;; Puts back what stood there, unless the host has written something else.
  (func $slots_restore (export "slots_restore") (param $slots i32)
    (local $next i32) (local $at {p})
    (block $end
      (loop $more
        (br_if $end (i32.eqz (local.get $slots)))
        (local.set $at ({short} (i64.load $state offset=16 (local.get $slots))))
        (if (i32.eq (i32.load $memory (local.get $at)) (i32.load $state offset=4 (local.get $slots)))
          (then (i32.store $memory (local.get $at) (i32.load $state offset=8 (local.get $slots)))))
        (local.set $next (i32.load $state (local.get $slots)))
        (call $block_free (local.get $slots) (i32.const 32))
        (local.set $slots (local.get $next))
        (br $more))))
)
