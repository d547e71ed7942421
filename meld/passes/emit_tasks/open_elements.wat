;; Readable ends inside elements that the host may read, or never will (CanonicalABI.md, lift_stream, lift_future).
;;
;; The host needs a handle of its own in the buffer that it is given. So an end that an instance writes is *parked*: its
;; type number has its top bit set, and its channel is one of which the host has the other end. If the writable end is
;; inside, it is that of a stream of the host's from then on, and what is written meanwhile goes to the host, which may
;; come to it when nothing of the module runs any more. The two channels know each other: that of the parked end has the
;; other one at +16, which has it at +8; 0 if there is none any more. If the element has not gone over, they become one
;; again: +0, +4 and +12 of the one with the writable end say what is being written, as address, count and place, and +20
;; of that of the parked end what its state was.

  (func $end_park (export "end_park") (param $record i32) (param $type i32) (param $handle i32) (result i32)
    (local $waitable i32) (local $end i32) (local $bits i32) (local $given i32)
    (local.set $waitable (call $end_lift (local.get $record) (local.get $type) (local.get $handle)))
    (local.set $bits (i32.load $state offset=32 (local.get $waitable)))
    (if (i32.and (local.get $bits) (i32.const 512))
      (then
        (local.set $end (local.get $waitable))
        (local.set $given (i32.load $state offset=52 (local.get $end)))
        (call $host_look)
        (call $host_forget (local.get $given)))
      (else
        (local.set $given (call $end_give (local.get $type) (local.get $waitable)))
        (local.set $end (call $end_take (local.get $type) (local.get $given)))
        (i32.store $state (local.get $end) (i32.or (i32.load $state (local.get $end)) (local.get $handle)))
        (if (i32.eqz (i32.and (local.get $bits) (i32.const 0x80)))
          (then
            (i32.store $state offset=16 (local.get $end) (local.get $waitable))
            (i32.store $state offset=20 (local.get $end) (local.get $bits))
            (i32.store $state offset=8 (local.get $waitable) (local.get $end))))))
    ;; the entry that was freed last is the next one
    (drop
      (call $handle_add
        (local.get $record)
        (i32.or (local.get $type) (i32.const 0x80000000))
        (local.get $end)
        (i32.const 0)))
    (local.get $given))

  ;; The host has the end.
  (func $end_release (export "end_release") (param $record i32) (param $type i32) (param $handle i32) (result i32)
    (local $end i32)
    (local.set $end
      (call $handle_remove (local.get $record) (i32.or (local.get $type) (i32.const 0x80000000)) (local.get $handle)))
    (if (i32.load $state offset=16 (local.get $end))
      (then (i32.store $state offset=8 (i32.load $state offset=16 (local.get $end)) (i32.const 0))))
    (call $block_free (local.get $end) (i32.const 64))
    (i32.const 0))

  ;; The host never gets it.
  (func $end_restore (export "end_restore") (param $record i32) (param $type i32) (param $handle i32) (result i32)
    (local $entry i32) (local $end i32)
    (local.set $entry
      (call $handle_entry (local.get $record) (i32.or (local.get $type) (i32.const 0x80000000)) (local.get $handle)))
    (i32.store $state (local.get $entry) (local.get $type))
    (local.set $end (i32.load $state offset=4 (local.get $entry)))
    (if (i32.load $state offset=16 (local.get $end))
      (then
        (i32.store $state offset=4 (local.get $entry) (i32.load $state offset=16 (local.get $end)))
        (call $end_rejoin (local.get $type) (local.get $end) (i32.load $state offset=16 (local.get $end)))))
    (i32.const 0))

  ;; The channel of a writable end is one of the module again, whose readable end has been parked.
  (func $end_rejoin (param $type i32) (param $end i32) (param $channel i32)
    (local $handle i32) (local $bits i32) (local $result i32) (local $told i32)
    (call $host_drop_of (local.get $type) (i32.load $state offset=52 (local.get $end)))
    (local.set $handle (i32.load $state offset=52 (local.get $channel)))
    (call $host_forget (local.get $handle))
    (local.set $bits (i32.load $state offset=32 (local.get $channel)))
    (local.set $told
      (i32.and
        (i32.ne (i32.load $state offset=28 (local.get $channel)) (i32.const 0))
        (i32.eqz (i32.and (local.get $bits) (i32.const 1024)))))
    (local.set $bits (i32.and (local.get $bits) (i32.const 0x1ff)))
    (block $idle
      (if (i32.eqz (i32.and (local.get $bits) (i32.const 0x10)))
        (then
          ;; engines insist that something is written to a future, also if nobody reads it
          (call $host_write_nothing (local.get $type) (local.get $handle))
          (br $idle)))
      (br_if $idle (local.get $told))
      ;; what is being written is parked again
      (local.set $result (call $host_cancel_of (i32.or (local.get $type) (i32.const 1)) (local.get $handle)))
      (global.set $host.waiting (i32.sub (global.get $host.waiting) (i32.const 1)))
      (call $host_moved (i32.add (local.get $channel) (i32.const 16)) (local.get $channel) (local.get $result))
      (local.set $bits (i32.or (local.get $bits) (i32.const 0x40)))
      (i32.store $state offset=36 (local.get $channel) (i32.load $state (local.get $channel)))
      (i32.store $state offset=40 (local.get $channel) (i32.load $state offset=4 (local.get $channel)))
      (i32.store $state offset=44 (local.get $channel) (i32.load $state offset=12 (local.get $channel)))
      (i32.store $state offset=48 (local.get $channel)
        (call $record_at (local.get $type) (i32.load $state offset=12 (local.get $channel)))))
    (call $host_drop_of (i32.or (local.get $type) (i32.const 1)) (local.get $handle))
    (i32.store $state offset=32 (local.get $channel) (local.get $bits))
    (i32.store $state (local.get $channel) (i32.load $state (local.get $end)))
    (i32.store $state offset=4 (local.get $channel) (i32.const 0))
    (i32.store $state offset=12 (local.get $channel) (i32.const 0))
    (call $block_free (local.get $end) (i32.const 64)))

  ;; The writable end of a channel is dropped, of which the host has the other end, or may get it.
  (func $end_unlink (param $channel i32)
    (if (i32.load $state offset=8 (local.get $channel))
      (then (i32.store $state offset=16 (i32.load $state offset=8 (local.get $channel)) (i32.const 0)))))
