;; Ends that the host has, and exported functions that wait for it (CanonicalABI.md, "Stream State", "Future State",
;; "Waitable State", canon lift with a callback). Only in a module that becomes a component.
;;
;; A channel of which the host has one end (bit 512 of its state) stands for the handle of the other one, which the
;; component around the module has: +52. What is done with the end inside is done with that handle. $host.map says, for
;; each handle of the host that something waits for, which waitable that is. All of them are in one set of the host's,
;; until they go; one that the host may take at any time (bit 2048, `arguments.wat`), until it has its event.
;;
;; Elements that hold handles are copied twice, by way of a block of the state memory, since the host's handles are others:
;;   +36 the block   +40 where they go in the memory of the instance, or a copy of what it has written   +44 its place
;;   +48 how many
;;   +56 blocks of `arena.wat` that belong to them   +60 the number of what copies them, 0 if nothing is under way
;; While the host may read them, handles that an instance gives away are *parked*: their type number has its top bit set.
;;
;; An exported function is lifted with a callback. When nothing of the module can go on, it answers WAIT. Of several that
;; wait at once, one is the *driver*: it waits for the set. Each other one waits for a set of its own, in which nothing
;; ever happens but that it is woken, by a future of the host's that has no value. Its task:
;;   +20 its set, 0 if it has none   +24 the next one that waits
;;   flags: 32 it has a result that the host does not know yet, 64 its callback will be called anyway, 128 the host has to
;;   know that it was cancelled

  (global $host.set (mut i32) (i32.const 0))
  (global $host.waiting (mut i32) (i32.const 0))  ;; operations of the host's that have not ended
  (global $host.map (mut i32) (i32.const 0))
  (global $host.room (mut i32) (i32.const 0))     ;; handles that fit into it
  (global $root (mut i32) (i32.const 0))          ;; the task of the exported function in whose call code runs
  (global $driver (mut i32) (i32.const 0))
  (global $roots (mut i32) (i32.const 0))         ;; the others that wait
  (global $live (mut i32) (i32.const 0))          ;; tasks that have not exited
  (global $several i32 (i32.const {several}))     ;; whether another call of the host's may be what code waits for
  (global $native (mut i32) (i32.const 0))        ;; whether code waits for the host on the stack
  (global $hold (mut i32) (i32.const 0))          ;; whether what has yielded has to wait until the host has had its turn

  ;; --- waitables of the host

  ;; The address of the word that is kept for a handle.
  (func $host_word (param $handle i32) (result i32)
    (local $map i32) (local $room i32)
    (if (i32.ge_u (local.get $handle) (global.get $host.room))
      (then
        (local.set $room (i32.shl (i32.add (local.get $handle) (i32.const 16)) (i32.const 1)))
        (local.set $map (call $block_new (i32.shl (local.get $room) (i32.const 2))))
        (memory.fill $state (local.get $map) (i32.const 0) (i32.shl (local.get $room) (i32.const 2)))
        (if (global.get $host.room)
          (then
            (memory.copy $state $state (local.get $map) (global.get $host.map)
              (i32.shl (global.get $host.room) (i32.const 2)))
            (call $block_free (global.get $host.map) (i32.shl (global.get $host.room) (i32.const 2)))))
        (global.set $host.map (local.get $map))
        (global.set $host.room (local.get $room))))
    (i32.add (global.get $host.map) (i32.shl (local.get $handle) (i32.const 2))))

  ;; A handle of the host's goes, or what is under way with it. If it has an event, the callback of another call may be due
  ;; for that, and has to find one (`host_events`). Also an end that is idle has one when the other end is dropped.
  (func $host_look
    (if (call $host_shared) (then (drop (call $host_events)))))

  (func $host_set (result i32)
    (if (i32.eqz (global.get $host.set)) (then (global.set $host.set (call $host.waitable-set.new))))
    (global.get $host.set))

  ;; An operation of the host's has not ended: its event will be one of a waitable.
  (func $host_pending (param $handle i32) (param $waitable i32)
    (local $word i32)
    (global.set $host.waiting (i32.add (global.get $host.waiting) (i32.const 1)))
    (local.set $word (call $host_word (local.get $handle)))
    (if (i32.eqz (i32.load $state (local.get $word)))
      (then (call $host.waitable.join (local.get $handle) (call $host_set))))
    (i32.store $state (local.get $word) (local.get $waitable)))

  ;; A handle goes to the host, or away.
  (func $host_forget (param $handle i32)
    (local $word i32)
    (local.set $word (call $host_word (local.get $handle)))
    (if (i32.load $state (local.get $word))
      (then
        (call $host.waitable.join (local.get $handle) (i32.const 0))
        (i32.store $state (local.get $word) (i32.const 0)))))

  ;; An event of the host.
  (func $host_event (param $code i32) (param $handle i32) (param $payload i32)
    (local $waitable i32) (local $channel i32)
    (if (i32.eqz (local.get $code)) (then (return)))
    (local.set $waitable (i32.load $state (call $host_word (local.get $handle))))
    (if (i32.eqz (local.get $waitable))
      (then (call $host.future.drop-readable (local.get $handle)) (return)))  ;; it has woken an exported function, or will
    (if (i32.eq (local.get $code) (i32.const 1))
      (then
        (call $host_subtask (i32.sub (local.get $waitable) (i32.const 16)) (local.get $handle) (local.get $payload))
        (return)))
    (local.set $channel
      (i32.sub (local.get $waitable) (i32.shl (i32.and (local.get $code) (i32.const 1)) (i32.const 4))))
    (if (i32.and
          (i32.load $state offset=32 (local.get $channel))
          (i32.shl (i32.const 1) (i32.shl (i32.and (local.get $code) (i32.const 1)) (i32.const 2))))
      (then (global.set $host.waiting (i32.sub (global.get $host.waiting) (i32.const 1)))))
    (if (i32.and (i32.load $state offset=32 (local.get $channel)) (i32.const 2048))
      (then (call $host_forget (local.get $handle))))
    (call $host_moved (local.get $waitable) (local.get $channel) (local.get $payload))
    (call $waitable_set_event (local.get $waitable) (i32.add (local.get $payload) (call $told_before (local.get $channel)))))

  ;; What the end of an operation means for its channel: elements that are copied twice arrive, and the value of a
  ;; future has been handed over.
  (func $host_moved (param $waitable i32) (param $channel i32) (param $payload i32)
    (if (i32.load $state offset=60 (local.get $channel))
      (then (call $host_settle (local.get $channel) (local.get $payload))))
    (if (i32.and
          (i32.ge_u (i32.shr_u (i32.load $state (local.get $waitable)) (i32.const 28)) (i32.const 4))
          (i32.eqz (local.get $payload)))
      (then
        (i32.store $state offset=32 (local.get $channel)
          (i32.or (i32.load $state offset=32 (local.get $channel)) (i32.const 256))))))

  ;; Whether another call waits for the set, by its callback.
  (func $host_shared (result i32)
    (i32.and
      (i32.ne (global.get $driver) (i32.const 0))
      (i32.ne (global.get $driver) (global.get $root))))

  ;; Waits for the host, with all that is on the stack. Nobody else may wait for the same set then: an event would go to
  ;; a callback that cannot run meanwhile.
  (func $host_wait
    (local $set i32) (local $native i32)
    (if (call $host_shared) (then (if (call $host_poll) (then (return)))))
    (local.set $native (global.get $native))
    (global.set $native (i32.const 1))
    (local.set $set (call $host_set))
    (if (call $host_shared) (then (call $host_rejoin (call $host.waitable-set.new))))
    (call $host.waitable-set.wait (call $host_set) (i32.const {area}))
    (global.set $native (local.get $native))
    (if (i32.ne (global.get $host.set) (local.get $set))
      (then
        (global.get $host.set)
        (call $host_rejoin (local.get $set))
        call $host.waitable-set.drop))
    (i32.load $state (i32.const {area}))
    (i32.load $state offset=4 (i32.const {area}))
    call $host_event)

  ;; All waitables of the host join another set.
  (func $host_rejoin (param $set i32)
    (local $handle i32)
    (global.set $host.set (local.get $set))
    (block $done
      (loop $more
        (br_if $done (i32.ge_u (local.get $handle) (global.get $host.room)))
        (if (i32.load $state (i32.add (global.get $host.map) (i32.shl (local.get $handle) (i32.const 2))))
          (then (call $host.waitable.join (local.get $handle) (local.get $set))))
        (local.set $handle (i32.add (local.get $handle) (i32.const 1)))
        (br $more))))

  ;; Takes the events that are there: whether any of them tells something. If another call waits for the set, its callback is due for
  ;; the first of them, and engines insist that it finds one: another event is put in their place.
  (func $host_poll (result i32)
    (if (i32.eqz (global.get $host.waiting)) (then (return (i32.const 0))))
    (call $host_events))

  (func $host_events (result i32)
    (local $code i32) (local $found i32) (local $tells i32)
    (loop $more
      (local.set $code (call $host.waitable-set.poll (call $host_set) (i32.const {area})))
      (if (local.get $code)
        (then
          (local.set $found (i32.const 1))
          (local.set $tells
            (i32.or
              (local.get $tells)
              (i32.load $state (call $host_word (i32.load $state (i32.const {area}))))))
          (call $host_event
            (local.get $code)
            (i32.load $state (i32.const {area}))
            (i32.load $state offset=4 (i32.const {area})))
          (br $more))))
    (if (i32.and (local.get $found) (i32.and (i32.eqz (global.get $native)) (call $host_shared)))
      (then (call $wake_set (call $host_set))))
    (i32.ne (local.get $tells) (i32.const 0)))

  ;; The host has its turn, with all that is on the stack.
  (func $host_turn
    (drop (call $host.thread.yield))
    (drop (call $host_poll)))

  ;; Whether the host may have something to do that code waits for when it yields.
  (func $host_due (result i32)
    (i32.or (i32.ne (global.get $host.waiting) (i32.const 0)) (global.get $several)))

  ;; The same where frames wait on the stack and what has yielded must not pass the host: one step of it, if there is any.
  (func $host_turn_held (result i32)
    (if (i32.or (i32.eqz (global.get $hold)) (i32.eqz (i32.load $state (i32.const {later}))))
      (then (return (i32.const 0))))
    (call $host_turn)
    (global.set $hold (i32.const 0))
    (drop (call $step))
    (global.set $hold (i32.const 1))
    (i32.const 1))

  ;; --- calls of the host
  ;;
  ;; A task whose callee is the host (`host_tasks.py`): flags 512, and 1024 if what it returns lies in blocks;
  ;; +36 where its result goes   +40 the host's handle of the subtask   +64 handles in its arguments (`arguments.wat`)
  ;; +80 blocks of `arena.wat` that belong to it.

  ;; The host has been called: what the caller is told.
  (func $host_called (param $task i32) (param $status i32) (result i32)
    (local $handle i32)
    (local.set $handle (i32.shr_u (local.get $status) (i32.const 4)))
    (local.set $status (i32.and (local.get $status) (i32.const 15)))
    (if (i32.eqz (local.get $handle))
      (then
        (call $arguments_called (local.get $task) (local.get $status))
        (call $host_resolved (local.get $task) (local.get $status))
        (call $let_go (local.get $task))
        (return (local.get $status))))
    (call $arguments_called (local.get $task) (local.get $status))
    (i32.store $state offset=8 (local.get $task) (local.get $status))
    (i32.store $state offset=40 (local.get $task) (local.get $handle))
    (call $host_pending (local.get $handle) (i32.add (local.get $task) (i32.const 16)))
    (local.set $handle
      (call $handle_add (i32.load $state offset=44 (local.get $task)) (i32.const 2) (local.get $task) (i32.const 0)))
    (i32.store $state offset=16 (local.get $task) (i32.or (local.get $handle) (i32.const 0x10000000)))
    (i32.or (local.get $status) (i32.shl (local.get $handle) (i32.const 4))))

  ;; The same of a call that is lowered synchronously: a leaf, which returns when the host has. Its waitable has no handle.
  (func $host_awaited (export "host_awaited") (param $task i32) (param $status i32)
    (local $handle i32)
    (if (call $leaving)
      (then (call $landed))
      (else
        (local.set $handle (i32.shr_u (local.get $status) (i32.const 4)))
        (local.set $status (i32.and (local.get $status) (i32.const 15)))
        (call $arguments_called (local.get $task) (local.get $status))
        (if (i32.eqz (local.get $handle))
          (then (call $host_resolved (local.get $task) (local.get $status)) (return)))
        (call $check_blocking (global.get $frame))
        (i32.store $state offset=8 (local.get $task) (local.get $status))
        (i32.store $state offset=40 (local.get $task) (local.get $handle))
        (call $host_pending (local.get $handle) (i32.add (local.get $task) (i32.const 16)))
        (drop (call $frame_push (i32.add (local.get $task) (i32.const 28))))
        (call $run_until (i32.add (local.get $task) (i32.const 28)))
        (if (call $leaving) (then (return)))))
    (call $frame_pop (global.get $frame)))

  ;; The host tells of a subtask.
  (func $host_subtask (param $task i32) (param $handle i32) (param $state i32)
    (if (local.get $state) (then (call $arguments_told (local.get $task) (local.get $state))))
    (if (i32.lt_u (local.get $state) (i32.const 2))
      (then
        (i32.store $state offset=8 (local.get $task) (local.get $state))
        (if (i32.load $state offset=16 (local.get $task))
          (then
            (call $waitable_set_event
              (i32.add (local.get $task) (i32.const 16))
              (i32.add (local.get $state) (i32.const 1)))))
        (return)))
    (call $host_forget (local.get $handle))
    (call $host_subtask_ends (local.get $task) (local.get $state)))

  (func $host_subtask_cancel (param $task i32)
    (local $handle i32) (local $state i32)
    (local.set $handle (i32.load $state offset=40 (local.get $task)))
    (call $host_forget (local.get $handle))
    (local.set $state (call $host.subtask.cancel (local.get $handle)))
    (call $arguments_told (local.get $task) (local.get $state))
    (call $host_subtask_ends (local.get $task) (local.get $state)))

  (func $host_subtask_ends (param $task i32) (param $state i32)
    (call $host.subtask.drop (i32.load $state offset=40 (local.get $task)))
    (global.set $host.waiting (i32.sub (global.get $host.waiting) (i32.const 1)))
    (call $host_resolved (local.get $task) (local.get $state)))

  ;; The host has returned (2), or was cancelled.
  (func $host_resolved (param $task i32) (param $state i32)
    (if (i32.eq (local.get $state) (i32.const 2)) (then (call $host_return (local.get $task))))
    (call $arena_free (i32.load $state offset=80 (local.get $task)))
    (if (i32.and (i32.load $state offset=32 (local.get $task)) (i32.const 1024))
      (then (call $host_results_end)))
    (call $resolve (local.get $task) (local.get $state))
    (drop (call $over (local.get $task))))

  ;; --- ends of the host

  ;; What the host answers to a read or a write: the packed result, or -1 (BLOCKED).
  (func $host_copied (param $channel i32) (param $waitable i32) (param $result i32) (result i32)
    (local $shift i32)
    (local.set $shift (i32.shr_u (i32.sub (local.get $waitable) (local.get $channel)) (i32.const 2)))
    (i32.store $state offset=32 (local.get $channel)
      (i32.or (i32.load $state offset=32 (local.get $channel)) (i32.shl (i32.const 1) (local.get $shift))))
    (if (i32.eq (local.get $result) (i32.const -1))
      (then
        (call $host_pending (i32.load $state offset=52 (local.get $channel)) (local.get $waitable))
        (return (i32.const -1))))
    (call $host_moved (local.get $waitable) (local.get $channel) (local.get $result))
    (i32.store $state offset=12 (local.get $waitable) (i32.add (local.get $result) (i32.const 1)))
    (call $waitable_delivered (local.get $waitable)))

  ;; The host ends an operation at once: engines have the asynchronous form only behind a flag.
  (func $host_cancel (param $channel i32) (param $waitable i32) (param $type i32) (result i32)
    (call $host_copied (local.get $channel) (local.get $waitable) (call $host_withdraw (local.get $channel) (local.get $type))))

  ;; What is under way at the host is no more: how it ended. `type` is that of the end that reads or writes.
  (func $host_withdraw (param $channel i32) (param $type i32) (result i32)
    (local $handle i32)
    (local.set $handle (i32.load $state offset=52 (local.get $channel)))
    (call $host_forget (local.get $handle))
    (global.set $host.waiting (i32.sub (global.get $host.waiting) (i32.const 1)))
    (call $host_cancel_of (local.get $type) (local.get $handle)))

  (func $host_drop (param $channel i32) (param $type i32)
    (local $handle i32)
    (local.set $handle (i32.load $state offset=52 (local.get $channel)))
    (call $host_look)
    (call $host_forget (local.get $handle))
    (call $host_drop_of (local.get $type) (local.get $handle)){unlink}
    (call $block_free (local.get $channel) (i32.const 64)))

  ;; The host gives a readable end away: its waitable. `type` is that of the readable end.
  (func $end_take (param $type i32) (param $handle i32) (result i32)
    (local $channel i32)
    (local.set $channel (call $block_new (i32.const 64)))
    (i32.store $state (local.get $channel)
      (select (i32.const 0x40000000) (i32.const 0x20000000) (i32.ge_u (local.get $type) (i32.const {first_future}))))
    (i32.store $state offset=32 (local.get $channel) (i32.const 512))
    (i32.store $state offset=52 (local.get $channel) (local.get $handle))
    (local.get $channel))

  ;; The host is given a readable end: its handle. If the writable end is inside, it is that of a stream of the host's
  ;; from now on; a buffer that it has parked is handed over.
  (func $end_give (param $type i32) (param $waitable i32) (result i32)
    (local $bits i32) (local $handle i32) (local $ends i64)
    (local.set $bits (i32.load $state offset=32 (local.get $waitable)))
    (if (i32.and (local.get $bits) (i32.const 512))
      (then
        (local.set $handle (i32.load $state offset=52 (local.get $waitable)))
        (call $host_look)
        (call $host_forget (local.get $handle))
        (call $block_free (local.get $waitable) (i32.const 64))
        (return (local.get $handle))))
    (local.set $ends (call $host_new_of (local.get $type)))
    (local.set $handle (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
    (if (i32.and (local.get $bits) (i32.const 0x80))
      (then
        (call $host_drop_of (i32.or (local.get $type) (i32.const 1)) (local.get $handle))
        (call $block_free (local.get $waitable) (i32.const 64))
        (return (i32.wrap_i64 (local.get $ends)))))
    (i32.store $state offset=52 (local.get $waitable) (local.get $handle)){not_linked}
    (i32.store $state offset=32 (local.get $waitable)
      (i32.or (i32.and (local.get $bits) (i32.const -0x41)) (i32.const 512)))
    (if (i32.and (local.get $bits) (i32.const 0x40))
      (then
        (if (i32.load $state offset=28 (local.get $waitable))
          (then
            (i32.store $state offset=32 (local.get $waitable)
              (i32.or
                (i32.load $state offset=32 (local.get $waitable))
                (i32.or (i32.shl (local.get $type) (i32.const 12)) (i32.const 1024))))))
        (call $host_write_parked (local.get $type) (local.get $waitable))))
    (i32.wrap_i64 (local.get $ends)))

  ;; What the host answers to a write that was parked when the host got the other end.
  (func $host_written (param $channel i32) (param $result i32)
    (if (i32.eq (local.get $result) (i32.const -1))
      (then
        (call $host_pending (i32.load $state offset=52 (local.get $channel)) (i32.add (local.get $channel) (i32.const 16)))
        (return)))
    (call $host_moved (i32.add (local.get $channel) (i32.const 16)) (local.get $channel) (local.get $result))
    (call $waitable_set_event
      (i32.add (local.get $channel) (i32.const 16))
      (i32.add (local.get $result) (call $told_before (local.get $channel)))))

  ;; --- handles of elements that the host reads

  (func $own_park (param $record i32) (param $type i32) (param $handle i32) (result i32)
    (local $entry i32)
    (local.set $entry (call $handle_entry (local.get $record) (local.get $type) (local.get $handle)))
    (if (i32.ne (i32.load $state offset=8 (local.get $entry)) (i32.const 1))
      (then (drop (call $lift_own (local.get $record) (local.get $type) (local.get $handle))) (unreachable)))
    (i32.store $state (local.get $entry) (i32.or (local.get $type) (i32.const 0x80000000)))
    (i32.load $state offset=4 (local.get $entry)))

  (func $own_release (param $record i32) (param $type i32) (param $handle i32) (result i32)
    (call $handle_remove (local.get $record) (i32.or (local.get $type) (i32.const 0x80000000)) (local.get $handle)))

  (func $own_restore (param $record i32) (param $type i32) (param $handle i32) (result i32)
    (local $entry i32)
    (local.set $entry
      (call $handle_entry (local.get $record) (i32.or (local.get $type) (i32.const 0x80000000)) (local.get $handle)))
    (i32.store $state (local.get $entry) (local.get $type))
    (i32.load $state offset=4 (local.get $entry)))

  ;; Of a resource of the program's own the host has a handle meanwhile, of its table: +12 of the entry, which is for
  ;; entries that are free.

  (func $own_lend (param $record i32) (param $type i32) (param $handle i32) (param $host i32) (result i32)
    (i32.store $state offset=12
      (call $handle_entry (local.get $record) (i32.or (local.get $type) (i32.const 0x80000000)) (local.get $handle))
      (local.get $host))
    (local.get $host))

  (func $own_regain (param $record i32) (param $type i32) (param $handle i32) (result i32)
    (drop (call $own_restore (local.get $record) (local.get $type) (local.get $handle)))
    (i32.load $state offset=12 (call $handle_entry (local.get $record) (local.get $type) (local.get $handle))))

  ;; --- exported functions

  ;; Begins the task of a call by the host: what its callback would answer.
  (func $root_begin (export "root_begin") (param $task i32) (result i32)
    (call $host.context.set (local.get $task))
    (call $root_run (local.get $task) (i32.const 1)))

  ;; The callback.
  (func $root_event (export "root_event") (param $code i32) (param $handle i32) (param $payload i32) (result i32)
    (local $task i32) (local $flags i32)
    (local.set $task (call $host.context.get))
    (local.set $flags (i32.load $state offset=32 (local.get $task)))
    (i32.store $state offset=32 (local.get $task) (i32.and (local.get $flags) (i32.const -65)))
    (if (i32.eq (local.get $code) (i32.const 6))
      (then (return (call $root_run (local.get $task) (i32.const 2)))))
    (call $host_event (local.get $code) (local.get $handle) (local.get $payload))
    (if (i32.or (i32.eqz (global.get $driver)) (i32.eq (global.get $driver) (local.get $task)))
      (then (drop (call $host_poll))))
    (call $root_run (local.get $task) (select (i32.const 0) (i32.const 3) (local.get $code))))

  ;; Runs what can go on in the call of a task; `first` is 1 if it is to begin, 2 if it is to be cancelled, 3 if the host
  ;; has had its turn.
  (func $root_run (param $task i32) (param $first i32) (result i32)
    (local $before i32) (local $driven i32) (local $frame i32) (local $answer i32)
    (local.set $before (global.get $root))
    (local.set $driven (global.get $driven))
    (global.set $root (local.get $task))
    (global.set $driven (i32.const 0))
    (local.set $frame (call $frame_push (i32.const {never})))
    (call $root_leave_list (local.get $task))
    (if (i32.eq (local.get $first) (i32.const 1)) (then (call $begin (local.get $task))))
    (if (i32.eq (local.get $first) (i32.const 2)) (then (call $root_cancel (local.get $task))))
    (local.set $answer (call $root_go (local.get $task) (i32.eq (local.get $first) (i32.const 3))))
    (call $frame_pop (local.get $frame))
    (global.set $driven (local.get $driven))
    (global.set $root (local.get $before)){pressure}
    (local.get $answer))

  ;; What has yielded comes behind the host: one step of it for each `turn` of the host's.
  (func $root_go (param $task i32) (param $turn i32) (result i32)
    (local $flags i32)
    (loop $more
      (local.set $flags (i32.load $state offset=32 (local.get $task)))
      (if (i32.and (local.get $flags) (i32.const 160))
        (then
          (i32.store $state offset=32 (local.get $task) (i32.and (local.get $flags) (i32.const -161)))
          (if (i32.and (local.get $flags) (i32.const 32))
            (then (call $result_kept (local.get $task)))
            (else (call $host.task.cancel)))))
      ;; The host has its result before what else is ready goes on, since that may trap.
      (if (i32.and
            (i32.and (i32.shr_u (i32.load $state offset=32 (local.get $task)) (i32.const 1)) (i32.eqz (local.get $turn)))
            (call $work_left))
        (then
          (i32.store $state offset=32 (local.get $task)
            (i32.or (i32.load $state offset=32 (local.get $task)) (i32.const 64)))
          (return (i32.const 1))))
      (global.set $hold (call $host_due))
      (if (call $step) (then (global.set $hold (i32.const 0)) (br $more)))
      (if (i32.and (global.get $hold) (i32.ne (i32.load $state (i32.const {later})) (i32.const 0)))
        (then
          (global.set $hold (i32.const 0))
          (if (local.get $turn)
            (then
              (local.set $turn (i32.const 0))
              (drop (call $step))
              (br $more)))
          (i32.store $state offset=32 (local.get $task)
            (i32.or (i32.load $state offset=32 (local.get $task)) (i32.const 64)))
          (return (i32.const 1)))))  ;; YIELD: the host has its turn
    (local.set $flags (i32.load $state offset=32 (local.get $task)))
    (if (i32.and (local.get $flags) (i32.const 2))
      (then
        (if (i32.eqz (call $root_stays (local.get $task)))
          (then (call $root_over (local.get $task)) (return (i32.const 0))))))
    (if (i32.eqz (global.get $driver)) (then (global.set $driver (local.get $task))))
    (if (i32.eq (global.get $driver) (local.get $task))
      (then
        (return (i32.or (i32.const 2) (i32.shl (call $host_set) (i32.const 4))))))
    (i32.store $state offset=24 (local.get $task) (global.get $roots))
    (global.set $roots (local.get $task))
    (if (i32.eqz (i32.load $state offset=20 (local.get $task)))
      (then (i32.store $state offset=20 (local.get $task) (call $host.waitable-set.new))))
    (i32.or (i32.const 2) (i32.shl (i32.load $state offset=20 (local.get $task)) (i32.const 4))))

  ;; Whether a call has to go on when its task has exited: others are left, and nobody else would wait for the host.
  (func $root_stays (param $task i32) (result i32)
    (if (i32.and (i32.ne (global.get $driver) (i32.const 0)) (i32.ne (global.get $driver) (local.get $task)))
      (then (return (i32.const 0))))
    (if (global.get $roots) (then (return (i32.const 0))))
    (i32.and (i32.ne (global.get $live) (i32.const 0)) (i32.ne (global.get $host.waiting) (i32.const 0))))

  (func $root_over (param $task i32)
    (if (i32.load $state offset=20 (local.get $task))
      (then (call $host.waitable-set.drop (i32.load $state offset=20 (local.get $task)))))
    (i32.store $state offset=20 (local.get $task) (i32.const 0))
    (call $let_go (local.get $task))
    (if (i32.eq (global.get $driver) (local.get $task))
      (then
        (global.set $driver (i32.const 0))
        (if (global.get $roots) (then (call $root_wake (global.get $roots)))))))

  ;; A call runs again: it is not among those that wait.
  (func $root_leave_list (param $task i32)
    (local $at i32) (local $next i32)
    (local.set $next (global.get $roots))
    (loop $more
      (if (i32.eqz (local.get $next)) (then (return)))
      (if (i32.ne (local.get $next) (local.get $task))
        (then
          (local.set $at (local.get $next))
          (local.set $next (i32.load $state offset=24 (local.get $next)))
          (br $more))))
    (local.set $next (i32.load $state offset=24 (local.get $task)))
    (if (local.get $at)
      (then (i32.store $state offset=24 (local.get $at) (local.get $next)))
      (else (global.set $roots (local.get $next)))))

  ;; Has the callback of a task that waits called.
  (func $root_wake (param $task i32)
    (local $flags i32)
    (local.set $flags (i32.load $state offset=32 (local.get $task)))
    (if (i32.or (i32.and (local.get $flags) (i32.const 64)) (i32.eq (local.get $task) (global.get $root)))
      (then (return)))
    (if (i32.and
          (i32.ne (global.get $driver) (local.get $task))
          (i32.eqz (i32.load $state offset=20 (local.get $task))))
      (then (return)))  ;; it does not wait for the host
    (i32.store $state offset=32 (local.get $task) (i32.or (local.get $flags) (i32.const 64)))
    (call $wake_set
      (if (result i32) (i32.eq (global.get $driver) (local.get $task))
        (then (call $host_set))
        (else (i32.load $state offset=20 (local.get $task))))))

  ;; Something happens in a set of the host's.
  (func $wake_set (param $set i32)
    (local $readable i32) (local $writable i32) (local $ends i64)
    (local.set $ends (call $host.future.new))
    (local.set $readable (i32.wrap_i64 (local.get $ends)))
    (local.set $writable (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
    (drop (call $host.future.read (local.get $readable) (i32.const 0)))
    (call $host.waitable.join (local.get $readable) (local.get $set))
    (drop (call $host.future.write (local.get $writable) (i32.const 0)))
    (call $host.future.drop-writable (local.get $writable)))

  ;; A function that is no task is over: if tasks can go on by now, whoever waits for the host sees to it.
  (func $root_nudge (export "root_nudge"){pressure}
    (if (i32.eqz (call $work_left)) (then{own_waits}(return)))
    (if (global.get $native) (then (call $wake_set (call $host_set)) (return)))
    (if (global.get $driver) (then (call $root_wake (global.get $driver)) (return)))
    (if (global.get $roots) (then (call $root_wake (global.get $roots)) (return))){own_works})

  (func $work_left (result i32)
    (local $record i32)
    (if (i32.load $state (i32.const {ready})) (then (return (i32.const 1))))
    (if (i32.load $state (i32.const {later})) (then (return (i32.const 1))))
    (local.set $record (i32.load $state (i32.const {waiting})))
    (loop $more
      (if (i32.eqz (local.get $record)) (then (return (global.get $native))))
      (if (i32.load $state (i32.load $state offset=8 (i32.load $state offset=12 (local.get $record))))
        (then (return (i32.const 1))))
      (local.set $record (i32.load $state (local.get $record)))
      (br $more))
    (unreachable))

  ;; Whether the host can be told the result of a task now; if not, it is woken to tell it.
  (func $root_now (param $task i32) (param $flag i32) (result i32)
    (if (i32.eq (global.get $root) (local.get $task)) (then (return (i32.const 1))))
    (i32.store $state offset=32 (local.get $task)
      (i32.or (i32.load $state offset=32 (local.get $task)) (local.get $flag)))
    (call $root_wake (local.get $task))
    (i32.const 0))

  ;; The host cancels a call.
  (func $root_cancel (param $task i32)
    (if (i32.eqz (i32.load $state offset=8 (local.get $task)))
      (then
        (call $cancel_start (local.get $task))
        (call $host.task.cancel)
        (return)))
    (if (i32.eq (i32.load $state offset=8 (local.get $task)) (i32.const 1))
      (then (call $cancel (local.get $task)))))

  ;; A task has been cancelled that the host began, which asked for it.
  (func $root_cancelled (param $task i32)
    (if (i32.load $state offset=44 (local.get $task)) (then (return)))
    (if (call $root_now (local.get $task) (i32.const 128)) (then (call $host.task.cancel))))

  ;; A task has exited, if the host began it while another one ran.
  (func $root_exited (param $task i32)
    (if (i32.eqz (i32.load $state offset=44 (local.get $task))) (then (call $root_wake (local.get $task)))))
