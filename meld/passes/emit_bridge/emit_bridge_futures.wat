;; The futures of one component instance: a shim for each future intrinsic. Spliced as emit_bridge.wat is.
;;
;;   slot s: header at {words} + 16·s   +0 resolved: 1 once the value is there   +4 unused   +8 key   +12 state
;;           value at {values} + {value}·s, {size} bytes
;;   handle: 1 | end | 1 | generation | slot       from bit 31 down; end is 1 for the writable end
;;
;; Headers are those of streams otherwise: see emit_bridge.wat. A value is there to be read until both ends are dropped.
(module
  (import "meld" "bridge" (memory $bridge {pages}))
  (import "meld" "memory" (memory $memory 0))
  (import "host" "future_new" (func $host.future_new (result i64)))
  (import "host" "future_read" (func $host.future_read (param i32 i32 i32) (result i32)))
  (import "host" "future_write" (func $host.future_write (param i32 i32 i32) (result i32)))
  (import "host" "future_cancel_read" (func $host.future_cancel_read (param i32) (result i32)))
  (import "host" "future_cancel_write" (func $host.future_cancel_write (param i32) (result i32)))
  (import "host" "future_drop_readable" (func $host.future_drop_readable (param i32)))
  (import "host" "future_drop_writable" (func $host.future_drop_writable (param i32)))

  (func $future_read (export "future_read") (param $handle i32) (param $ptr i32) (param $mem i32) (result i32)
    (local $header i32) (local $state i32)
    (if (i32.ge_s (local.get $handle) (i32.const 0))
      (then (return (call $host.future_read (local.get $handle) (local.get $ptr) (local.get $mem)))))
    (local.set $header (i32.shl (i32.and (local.get $handle) (i32.const {slot_mask})) (i32.const 4)))
    (if (i32.ne (local.get $handle) (i32.load $bridge offset={key} (local.get $header)))
      (then (return (i32.const -2))))
    (local.set $state (i32.load $bridge offset={state} (local.get $header)))
    (if (i32.and (local.get $state) (i32.const 1))
      (then (return (i32.const -1))))
    (if (i32.eqz (i32.load $bridge offset={words} (local.get $header)))
      (then (return (select (i32.const -1) (i32.const 0) (i32.and (local.get $state) (i32.const 2))))))
    (call $check (local.get $ptr) (local.get $mem))
    (if (i32.const {size})
      (then
        (memory.copy $memory $bridge
          (local.get $ptr)
          (call $value (local.get $handle))
          (i32.const {size}))))
    (i32.const 1))

  (func $future_write (export "future_write") (param $handle i32) (param $ptr i32) (param $mem i32) (result i32)
    (local $header i32)
    (if (i32.ge_s (local.get $handle) (i32.const 0))
      (then (return (call $host.future_write (local.get $handle) (local.get $ptr) (local.get $mem)))))
    (local.set $header (i32.shl (i32.and (local.get $handle) (i32.const {slot_mask})) (i32.const 4)))
    (if (i32.ne
          (i32.xor (local.get $handle) (i32.const 0x40000000))
          (i32.load $bridge offset={key} (local.get $header)))
      (then (return (i32.const -2))))
    (if (i32.and (i32.load $bridge offset={state} (local.get $header)) (i32.const 3))
      (then (return (i32.const -1))))
    (if (i32.load $bridge offset={words} (local.get $header))
      (then (return (i32.const -6))))
    (call $check (local.get $ptr) (local.get $mem))
    (if (i32.const {size})
      (then
        (memory.copy $bridge $memory
          (call $value (local.get $handle))
          (local.get $ptr)
          (i32.const {size}))))
    (i32.store $bridge offset={words} (local.get $header) (i32.const 1))
    (i32.const 1))

  ;; Traps unless a value at `ptr` lies in the caller's memory, which is its number 0. A value of no bytes lies anywhere;
  ;; `memory.copy` would not have that.
  (func $check (param $ptr i32) (param $mem i32)
    (if (i32.eqz (i32.const {size}))
      (then (return)))
    (if (local.get $mem)
      (then (unreachable)))
    (if (i64.gt_u
          (i64.add (i64.extend_i32_u (local.get $ptr)) (i64.const {size}))
          (i64.shl (i64.extend_i32_u (memory.size $memory)) (i64.const {page_bits})))
      (then (unreachable))))

  (func $value (param $handle i32) (result i32)
    (i32.add
      (i32.const {values})
      (i32.mul (i32.and (local.get $handle) (i32.const {slot_mask})) (i32.const {value}))))

{include emit_bridge_ends.wat})
