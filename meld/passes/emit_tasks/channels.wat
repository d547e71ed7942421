;; Streams and futures inside the module (CanonicalABI.md, "Stream State", "Future State"; canon {stream,future}.*),
;; apart from their reads and writes (`copies.wat`).
;;
;; A stream or future is a channel, 64 bytes: +0 the waitable of its readable end, +16 that of its writable end
;; (`waitables.wat`); +32 its state: for the readable end 1 busy, 2 done (it knows that the other end was dropped),
;; 4 parked (its buffer waits for the other end), 8 dropped; the same, four bits higher, for the writable end; 256 the
;; value of a future was handed over. At most one end is parked: +36 the address in its buffer, +40 how many
;; elements are left, +44 the number of its place (`rendezvous.py`), +48 the record of its instance.
;;
;; A handle of an end has as its object the waitable. The number of its type says stream or future, element and end:
;; from {first_stream} on streams, from {first_future} on futures; the writable end is odd.

  ;; stream.new, future.new. `type` is that of the readable end.
  (func $channel_new (param $record i32) (param $type i32) (result i64)
    (local $channel i32) (local $readable i32) (local $writable i32) (local $code i32)
    (local.set $channel (call $block_new (i32.const 64)))
    (local.set $readable
      (call $handle_add (local.get $record) (local.get $type) (local.get $channel) (i32.const 0)))
    (local.set $writable
      (call $handle_add (local.get $record) (i32.or (local.get $type) (i32.const 1))
        (i32.add (local.get $channel) (i32.const 16)) (i32.const 0)))
    (local.set $code
      (select (i32.const 0x40000000) (i32.const 0x20000000) (i32.ge_u (local.get $type) (i32.const {first_future}))))
    (i32.store $state (local.get $channel) (i32.or (local.get $readable) (local.get $code)))
    (i32.store $state offset=16 (local.get $channel)
      (i32.or (local.get $writable) (i32.or (local.get $code) (i32.const 0x10000000))))
    (i64.or
      (i64.extend_i32_u (local.get $readable))
      (i64.shl (i64.extend_i32_u (local.get $writable)) (i64.const 32))))

  ;; The waitable of an end; 0 if the handle is one of the other end. Traps for any other handle.
  (func $end_of (param $record i32) (param $type i32) (param $handle i32) (result i32)
    (local $entry i32) (local $found i32)
    (block $unknown
      (br_if $unknown (i32.ge_u (local.get $handle) (i32.load $state offset=4 (local.get $record))))
      (local.set $entry
        (i32.add (i32.load $state (local.get $record)) (i32.shl (local.get $handle) (i32.const 4))))
      (local.set $found (i32.load $state (local.get $entry)))
      (if (i32.eq (local.get $found) (local.get $type))
        (then (return (i32.load $state offset=4 (local.get $entry)))))
      (br_if $unknown (i32.eqz (local.get $found)))
      (if (i32.eq (i32.xor (local.get $found) (i32.const 1)) (local.get $type)) (then (return (i32.const 0))))
      (call $end_wrong_type (local.get $type) (local.get $found))
      (unreachable))
    (call {trap HANDLE} (local.get $handle))
    (unreachable))

  ;; Traps: a handle has the type `found`.
  (func $end_wrong_type (param $type i32) (param $found i32)
    (if (i32.ge_u (local.get $type) (i32.const {first_future}))
      (then
        (if (i32.lt_u (local.get $found) (i32.const {first_future})) (then (call {trap NOT_FUTURE}) (unreachable)))
        (call {trap OTHER_FUTURE})
        (unreachable)))
    (if (i32.lt_u (local.get $found) (i32.const {first_stream})) (then (call {trap NOT_STREAM}) (unreachable)))
    (if (i32.ge_u (local.get $found) (i32.const {first_future})) (then (call {trap NOT_STREAM}) (unreachable)))
    (call {trap OTHER_STREAM})
    (unreachable))

  ;; Traps: a handle is not one of the end that a read or write is about.
  (func $end_refused (param $record i32) (param $type i32) (param $handle i32)
    (drop (call $end_of (local.get $record) (local.get $type) (local.get $handle)))
    (call {trap COPYING}))

  ;; *.cancel-read, *.cancel-write: the packed result. Nothing here ever has to wait.
  (func $channel_cancel (param $record i32) (param $type i32) (param $handle i32) (param $sync i32)
    (result i32)
    (local $waitable i32) (local $channel i32) (local $shift i32) (local $bits i32) (local $payload i32)
    (local.set $waitable (call $end_of (local.get $record) (local.get $type) (local.get $handle)))
    (local.set $shift (i32.shl (i32.and (local.get $type) (i32.const 1)) (i32.const 2)))
    (if (i32.eqz (local.get $waitable))
      (then
        (if (local.get $shift) (then (call {trap CANCEL_READ_END}) (unreachable)))
        (call {trap CANCEL_WRITE_END})
        (unreachable)))
    (local.set $channel (i32.sub (local.get $waitable) (i32.shl (local.get $shift) (i32.const 2))))
    (local.set $bits (i32.load $state offset=32 (local.get $channel)))
    (if (i32.eqz (i32.and (local.get $bits) (i32.shl (i32.const 1) (local.get $shift))))
      (then
        (if (local.get $shift) (then (call {trap NO_WRITE}) (unreachable)))
        (call {trap NO_READ})
        (unreachable)))
    (call $waitable_check_sync (local.get $waitable))
    (if (local.get $sync)
      (then (if (i32.load $state offset=4 (local.get $waitable)) (then (call {trap SYNC_AND_ASYNC}) (unreachable)))))
{host_look}    (if (i32.eqz (i32.load $state offset=12 (local.get $waitable)))
      (then{host_cancel}
        (i32.store $state offset=32 (local.get $channel)
          (i32.and (local.get $bits) (i32.xor (i32.shl (i32.const 5) (local.get $shift)) (i32.const -1))))
        (return (i32.const 2))))
    (local.set $payload (call $waitable_deliver (local.get $waitable)))
    (if (i32.and (local.get $payload) (i32.const 1)) (then (return (local.get $payload))))            ;; dropped
    (if (i32.ge_u (local.get $type) (i32.const {first_future})) (then (return (local.get $payload))))   ;; completed
    (i32.or (local.get $payload) (i32.const 2)))

  ;; *.drop-readable, *.drop-writable
  (func $channel_drop (param $record i32) (param $type i32) (param $handle i32)
    (local $waitable i32) (local $channel i32) (local $shift i32) (local $bits i32) (local $future i32)
    (local $other i32) (local $event i32)
    (local.set $future (i32.ge_u (local.get $type) (i32.const {first_future})))
    (local.set $shift (i32.shl (i32.and (local.get $type) (i32.const 1)) (i32.const 2)))
    (local.set $waitable (call $end_of (local.get $record) (local.get $type) (local.get $handle)))
    (if (i32.eqz (local.get $waitable)) (then (call $end_not_that (local.get $future) (local.get $shift)) (unreachable)))
    (local.set $channel (i32.sub (local.get $waitable) (i32.shl (local.get $shift) (i32.const 2))))
    (local.set $bits (i32.load $state offset=32 (local.get $channel)))
    (if (i32.and (local.get $bits) (i32.shl (i32.const 1) (local.get $shift)))
      (then (call $end_busy (local.get $future) (local.get $shift)) (unreachable)))
    (if (i32.and (local.get $future) (i32.ne (local.get $shift) (i32.const 0)))
      (then
        (if (i32.eqz (i32.and (local.get $bits) (i32.const 0x120))) (then (call {trap FUTURE_NOT_WRITTEN}) (unreachable)))))
    (drop (call $handle_remove (local.get $record) (local.get $type) (local.get $handle)))
    (call $waitable_leave (local.get $waitable)){host_drop}
    (local.set $bits (i32.or (local.get $bits) (i32.shl (i32.const 8) (local.get $shift))))
    (if (i32.eq (i32.and (local.get $bits) (i32.const 0x88)) (i32.const 0x88))
      (then
        (call $block_free (local.get $channel) (i32.const 64))
        (return)))
    ;; the other end is told, even if it is idle; a buffer that it has parked is no longer used
    (i32.store $state offset=32 (local.get $channel) (i32.and (local.get $bits) (i32.const -0x45)))
    (local.set $other (i32.add (local.get $channel) (i32.sub (i32.const 16) (i32.shl (local.get $shift) (i32.const 2)))))
    (local.set $event (i32.load $state offset=12 (local.get $other)))
    (if (i32.eqz (local.get $event))
      (then (call $waitable_set_event (local.get $other) (i32.const 2)) (return)))
    (if (i32.eqz (local.get $future))
      (then
        (call $waitable_set_event (local.get $other)
          (i32.add (i32.or (i32.sub (local.get $event) (i32.const 1)) (i32.const 1)) (i32.const 1))))))

  (func $end_not_that (param $future i32) (param $writable i32)
    (if (local.get $future)
      (then
        (if (local.get $writable) (then (call {trap NOT_WRITABLE_FUTURE}) (unreachable)))
        (call {trap NOT_READABLE_FUTURE})
        (unreachable)))
    (if (local.get $writable) (then (call {trap NOT_WRITABLE_STREAM}) (unreachable)))
    (call {trap NOT_READABLE_STREAM}))

  (func $end_busy (param $future i32) (param $writable i32)
    (if (local.get $future)
      (then
        (if (local.get $writable) (then (call {trap BUSY_WRITABLE_FUTURE}) (unreachable)))
        (call {trap BUSY_READABLE_FUTURE})
        (unreachable)))
    (if (local.get $writable) (then (call {trap BUSY_WRITABLE_STREAM}) (unreachable)))
    (call {trap BUSY_READABLE_STREAM}))

  ;; A readable end leaves an instance as a value: its waitable.
  (func $end_lift (param $record i32) (param $type i32) (param $handle i32) (result i32)
    (drop (call $end_liftable (local.get $record) (local.get $type) (local.get $handle)))
    (call $handle_remove (local.get $record) (local.get $type) (local.get $handle)))

  ;; The same, but for the handle, which remains.
  (func $end_liftable (param $record i32) (param $type i32) (param $handle i32) (result i32)
    (local $waitable i32) (local $bits i32) (local $future i32)
    (local.set $future (i32.ge_u (local.get $type) (i32.const {first_future})))
    (local.set $waitable (call $end_of (local.get $record) (local.get $type) (local.get $handle)))
    (if (i32.eqz (local.get $waitable)) (then (call $end_not_that (local.get $future) (i32.const 0)) (unreachable)))
    (local.set $bits (i32.load $state offset=32 (local.get $waitable)))
    (if (i32.and (local.get $bits) (i32.const 1))
      (then (call $end_busy (local.get $future) (i32.const 0)) (unreachable)))
    (if (i32.and (local.get $bits) (i32.const 2))
      (then
        (if (local.get $future) (then (call {trap LIFT_READ_FUTURE}) (unreachable)))
        (call {trap LIFT_DONE_STREAM})
        (unreachable)))
    (if (i32.load $state offset=4 (local.get $waitable))
      (then
        (if (local.get $future) (then (call {trap LIFT_JOINED_FUTURE}) (unreachable)))
        (call {trap LIFT_JOINED_STREAM})
        (unreachable)))
    (if (i32.and (local.get $bits) (i32.const 256)) (then (call {trap LIFT_READ_FUTURE}) (unreachable)))
    (local.get $waitable))

  ;; An instance is given a readable end: its handle.
  (func $end_lower (param $record i32) (param $type i32) (param $waitable i32) (result i32)
    (local $handle i32)
    (local.set $handle
      (call $handle_add (local.get $record) (local.get $type) (local.get $waitable) (i32.const 0)))
    (i32.store $state (local.get $waitable)
      (i32.or (local.get $handle) (i32.and (i32.load $state (local.get $waitable)) (i32.const 0xf0000000))))
    (local.get $handle))
