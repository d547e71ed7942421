;; Waitables and waitable sets (CanonicalABI.md, "Waitable State"; canon waitable-set.*, canon waitable.join).
;;
;; A waitable, 16 bytes: +0 the handle, and in its top four bits the code of its events;
;; +4 the set that it is in, 0 if it is in none; +8 the next ready one of that set; +12 its pending event: 0 if there is
;; none, else 1 + the payload. In place of a set stands 1 while a synchronous call waits for it. A set, 16 bytes: +0 first
;; and +4 last waitable that has an event; +8 how many are in the set; +12 not 0 while a task waits for it.
;;
;; The object of a handle is the waitable; of a subtask's, the task, with the waitable at +16.
;;
;; Codes: 1 subtask, 2 stream read, 3 stream write, 4 future read, 5 future write: the end of a channel that is written
;; is odd, and so is the type number of its handle.

  ;; --- events

  ;; A waitable gets an event, in place of the one that it may have.
  (func $waitable_set_event (param $waitable i32) (param $event i32)
    (local $before i32) (local $set i32)
    (local.set $before (i32.load $state offset=12 (local.get $waitable)))
    (i32.store $state offset=12 (local.get $waitable) (local.get $event))
    (if (local.get $before) (then (return)))
    (local.set $set (i32.load $state offset=4 (local.get $waitable)))
    (if (i32.gt_u (local.get $set) (i32.const 1))
      (then (call $set_append (local.get $set) (local.get $waitable)))))

  ;; A waitable with an event becomes the last ready one of its set.
  (func $set_append (param $set i32) (param $waitable i32)
    (i32.store $state offset=8 (local.get $waitable) (i32.const 0))
    (if (i32.load $state (local.get $set))
      (then (i32.store $state offset=8 (i32.load $state offset=4 (local.get $set)) (local.get $waitable)))
      (else (i32.store $state (local.get $set) (local.get $waitable))))
    (i32.store $state offset=4 (local.get $set) (local.get $waitable))
    (if (i32.load $state offset=12 (local.get $set)) (then (call $set_wake (local.get $set)))))

  ;; A waitable with an event is taken out of the ready ones of its set.
  (func $set_remove (param $set i32) (param $waitable i32)
    (local $before i32) (local $next i32)
    (local.set $next (i32.load $state (local.get $set)))
    (block $found
      (loop $more
        (br_if $found (i32.eq (local.get $next) (local.get $waitable)))
        (local.set $before (local.get $next))
        (local.set $next (i32.load $state offset=8 (local.get $next)))
        (br $more)))
    (local.set $next (i32.load $state offset=8 (local.get $waitable)))
    (if (local.get $before)
      (then (i32.store $state offset=8 (local.get $before) (local.get $next)))
      (else (i32.store $state (local.get $set) (local.get $next))))
    (if (i32.eqz (local.get $next))
      (then (i32.store $state offset=4 (local.get $set) (local.get $before)))))

  ;; The event of a waitable that has one is delivered: its payload. An end of a channel is idle again then, its
  ;; buffer no longer in use; if the event says that the other end was dropped, it is done.
  (func $waitable_deliver (param $waitable i32) (result i32)
    (local $set i32)
    (local.set $set (i32.load $state offset=4 (local.get $waitable)))
    (if (local.get $set) (then (call $set_remove (local.get $set) (local.get $waitable))))
    (call $waitable_delivered (local.get $waitable)))

  (func $waitable_delivered (param $waitable i32) (result i32)
    (local $word i32) (local $payload i32)
    (local.set $word (i32.load $state (local.get $waitable))){host_rest}
    (local.set $payload (i32.sub (i32.load $state offset=12 (local.get $waitable)) (i32.const 1)))
    (i32.store $state offset=12 (local.get $waitable) (i32.const 0))
    (if (i32.eqz (i32.and (local.get $word) (i32.const 0x10000000)))
      (then  ;; a readable end
        (i32.store $state offset=32 (local.get $waitable)
          (i32.or
            (i32.and (i32.load $state offset=32 (local.get $waitable)) (i32.const -6))
            (i32.shl (i32.and (local.get $payload) (i32.const 1)) (i32.const 1)))))
      (else
        (if (i32.and (local.get $word) (i32.const 0x60000000))
          (then  ;; a writable end, which is at +16 of its channel
            (i32.store $state offset=16 (local.get $waitable)
              (i32.or
                (i32.and (i32.load $state offset=16 (local.get $waitable)) (i32.const -81))
                (i32.shl (i32.and (local.get $payload) (i32.const 1)) (i32.const 5))))))))
    (local.get $payload))

  ;; The first event of a set: its code, the handle of its waitable, and the payload; three zeros if there is none.
  (func $set_take (param $set i32) (result i32 i32 i32)
    (local $waitable i32)
    (local.set $waitable (i32.load $state (local.get $set)))
    (if (i32.eqz (local.get $waitable)) (then (return (i32.const 0) (i32.const 0) (i32.const 0))))
    (call $set_taken (local.get $set) (local.get $waitable)))

  ;; The same of the first waitable with an event.
  (func $set_taken (param $set i32) (param $waitable i32) (result i32 i32 i32)
    (local $word i32)
    (local.set $word (i32.load $state (local.get $waitable)))
    (i32.shr_u (local.get $word) (i32.const 28))
    (i32.and (local.get $word) (i32.const 0xfffffff))
    (call $waitable_delivered (local.get $waitable))
    (i32.store $state (local.get $set) (i32.load $state offset=8 (local.get $waitable))))

  ;; --- sets

  (func $set_new (param $record i32) (result i32)
    (call $handle_add (local.get $record) (i32.const 1) (call $block_new (i32.const 16)) (i32.const 0)))

  ;; The set of a handle.
  (func $set_get (param $record i32) (param $handle i32) (result i32)
    (local $entry i32)
    (if (i32.lt_u (local.get $handle) (i32.load $state offset=4 (local.get $record)))
      (then
        (local.set $entry
          (i32.add (i32.load $state (local.get $record)) (i32.shl (local.get $handle) (i32.const 4))))
        (if (i32.eq (i32.load $state (local.get $entry)) (i32.const 1))
          (then (return (i32.load $state offset=4 (local.get $entry)))))))
    (drop (call $entry_of (local.get $record) (local.get $handle)))
    (call {trap NOT_SET})
    (unreachable))

  (func $set_drop (param $record i32) (param $handle i32)
    (local $set i32)
    (local.set $set (call $entry_of (local.get $record) (local.get $handle)))
    (if (i32.ne (i32.load $state (local.get $set)) (i32.const 1)) (then (call {trap NOT_SET_TO_DROP}) (unreachable)))
    (local.set $set (i32.load $state offset=4 (local.get $set)))
    (if (i32.load $state offset=12 (local.get $set)) (then (call {trap SET_HAS_WAITERS}) (unreachable)))
    (if (i32.load $state offset=8 (local.get $set)) (then (call {trap SET_HAS_MEMBERS}) (unreachable)))
    (drop (call $handle_remove (local.get $record) (i32.const 1) (local.get $handle)))
    (call $block_free (local.get $set) (i32.const 16)))

  ;; The waitable of a handle.
  (func $waitable_of (param $record i32) (param $handle i32) (result i32)
    (local $entry i32) (local $type i32)
    (local.set $entry (call $entry_of (local.get $record) (local.get $handle)))
    (local.set $type (i32.load $state (local.get $entry)))
    (local.set $entry (i32.load $state offset=4 (local.get $entry)))
    (if (i32.eq (local.get $type) (i32.const 2)) (then (return (i32.add (local.get $entry) (i32.const 16)))))
    ;; negative numbers are those of parked handles (`open_ends.wat`)
    (if (i32.lt_s (local.get $type) (i32.const {first_stream})) (then (call {trap NOT_WAITABLE}) (unreachable)))
    (local.get $entry))

  ;; waitable.join
  (func $waitable_join (param $record i32) (param $handle i32) (param $set_handle i32)
    (local $waitable i32) (local $set i32)
    (local.set $waitable (call $waitable_of (local.get $record) (local.get $handle)))
    (if (local.get $set_handle)
      (then (local.set $set (call $set_get (local.get $record) (local.get $set_handle)))))
    (call $waitable_check_sync (local.get $waitable))
    (call $waitable_join_set (local.get $waitable) (local.get $set)))

  ;; Traps if a synchronous call waits for the waitable.
  (func $waitable_check_sync (param $waitable i32)
    (if (i32.eq (i32.load $state offset=4 (local.get $waitable)) (i32.const 1))
      (then (call {trap SYNC_AND_ASYNC}) (unreachable))))

  ;; A waitable leaves its set, if it is in one.
  (func $waitable_leave (param $waitable i32)
    (call $waitable_join_set (local.get $waitable) (i32.const 0)))

  ;; A waitable leaves its set and joins another, or none (0).
  (func $waitable_join_set (param $waitable i32) (param $set i32)
    (local $before i32) (local $event i32)
    (local.set $event (i32.load $state offset=12 (local.get $waitable)))
    (local.set $before (i32.load $state offset=4 (local.get $waitable)))
    (if (local.get $before)
      (then
        (i32.store $state offset=8 (local.get $before)
          (i32.sub (i32.load $state offset=8 (local.get $before)) (i32.const 1)))
        (if (local.get $event) (then (call $set_remove (local.get $before) (local.get $waitable))))))
    (i32.store $state offset=4 (local.get $waitable) (local.get $set))
    (if (local.get $set)
      (then
        (i32.store $state offset=8 (local.get $set)
          (i32.add (i32.load $state offset=8 (local.get $set)) (i32.const 1)))
        (if (local.get $event) (then (call $set_append (local.get $set) (local.get $waitable)))))))
