;; Handles in the arguments of a call of the host's that is to go on (CanonicalABI.md, canon lower, `on_start`).
;;
;; The arguments of a call are lifted when its callee starts. Until then, and for good if it is cancelled before, they are
;; the caller's. The host's handles that stand for them are ready all the same when the host is called, since it takes them
;; as soon as it starts the callee. So a handle that is *kept* keeps its entry, whose type number is 0 while the host is
;; called; what becomes of it depends on what the host answers:
;;   it has started: the entry is free, or lent.
;;   it has not: the entry has its type again; that of an end is one of the host's stream from now on. When the host tells
;;   that it has started, the handle is lifted, with all checks.
;; A handle that is lent keeps its type also while the host is called, and is lent meanwhile.
;;
;; A kept handle, 32 bytes: +0 the next one   +4 its type number, with its top bit set if it is lent   +8 itself
;; +12 that of the host, for an end; for a resource the object of the entry   +16 the channel that an end is of again if
;; its call never starts, whose writable end is inside, 0 if there is none; that has the kept handle at +8. A task has its
;; list at +64.

  (global $kept (mut i32) (i32.const 0))       ;; of the call that is being prepared: the first one, the last one
  (global $kept_last (mut i32) (i32.const 0))

  (func $keep (param $record i32) (param $type i32) (param $handle i32)
    (local $made i32)
    (local.set $made (call $block_new (i32.const 32)))
    (i32.store $state (local.get $made) (i32.const 0))
    (i32.store $state offset=4 (local.get $made) (local.get $type))
    (i32.store $state offset=8 (local.get $made) (local.get $handle))
    (if (global.get $kept)
      (then (i32.store $state (global.get $kept_last) (local.get $made)))
      (else (global.set $kept (local.get $made))))
    (global.set $kept_last (local.get $made))
    (i32.store $state (call $kept_entry (local.get $record) (local.get $made)) (i32.const 0)))

  (func $kept_entry (param $record i32) (param $kept i32) (result i32)
    (i32.add
      (i32.load $state (local.get $record))
      (i32.shl (i32.load $state offset=8 (local.get $kept)) (i32.const 4))))

  (func $own_keep (param $record i32) (param $type i32) (param $handle i32) (result i32)
    (local $entry i32)
    (local.set $entry (call $handle_entry (local.get $record) (local.get $type) (local.get $handle)))
    (if (i32.ne (i32.load $state offset=8 (local.get $entry)) (i32.const 1))
      (then (drop (call $lift_own (local.get $record) (local.get $type) (local.get $handle))) (unreachable)))
    (call $keep (local.get $record) (local.get $type) (local.get $handle))
    (i32.load $state offset=4 (local.get $entry)))

  (func $end_keep (param $record i32) (param $type i32) (param $handle i32) (result i32)
    (local $waitable i32)
    (local.set $waitable (call $end_liftable (local.get $record) (local.get $type) (local.get $handle)))
    (call $keep (local.get $record) (local.get $type) (local.get $handle)){link}
    (local.get $waitable))

  ;; The host's handle for the last one that was kept.
  (func $kept_as (param $host i32) (result i32)
    (if (i32.load $state offset=16 (global.get $kept_last))
      (then
        (i32.store $state offset=8 (i32.load $state offset=16 (global.get $kept_last)) (global.get $kept_last))))
    (i32.store $state offset=12 (global.get $kept_last) (local.get $host))
    (local.get $host))

  ;; The host is being called.
  (func $arguments_kept (param $task i32)
    (i32.store $state offset=64 (local.get $task) (global.get $kept))
    (global.set $kept (i32.const 0)))

  ;; It has answered: the state of the subtask.
  (func $arguments_called (param $task i32) (param $status i32)
    (local $kept i32) (local $type i32) (local $record i32) (local $end i32)
    (local.set $record (i32.load $state offset=44 (local.get $task)))
    (local.set $kept (i32.load $state offset=64 (local.get $task))){unlend}
    (loop $more
      (if (i32.eqz (local.get $kept)) (then (return)))
      (local.set $type (i32.load $state offset=4 (local.get $kept))){lent}
      (i32.store $state (call $kept_entry (local.get $record) (local.get $kept)) (local.get $type))
      (if (local.get $status)
        (then
          (drop (call $handle_remove (local.get $record) (local.get $type) (i32.load $state offset=8 (local.get $kept))))
          (local.set $kept (call $kept_free (local.get $task) (local.get $kept))))
        (else
          (if (i32.ge_u (local.get $type) (i32.const {first_end}))
            (then
              (local.set $end (call $end_take (local.get $type) (i32.load $state offset=12 (local.get $kept))))
              (i32.store $state offset=32 (local.get $end) (i32.const 2560))
              (i32.store $state (local.get $end)
                (i32.or
                  (i32.load $state (local.get $end))
                  (i32.load $state offset=8 (local.get $kept))))
              (i32.store $state offset=4 (call $kept_entry (local.get $record) (local.get $kept)) (local.get $end))))
          (local.set $kept (i32.load $state (local.get $kept)))))
      (br $more)))

  ;; It has started (1), or is over (2 to 4); 3 is never started.
  (func $arguments_told (param $task i32) (param $status i32)
    (local $kept i32)
    (loop $more
      (local.set $kept (i32.load $state offset=64 (local.get $task)))
      (if (i32.eqz (local.get $kept)) (then (return)))
      (if (i32.eq (local.get $status) (i32.const 3))
        (then{rejoin})
        (else{lend}
          (call $kept_lift
            (i32.load $state offset=44 (local.get $task))
            (i32.load $state offset=4 (local.get $kept))
            (i32.load $state offset=8 (local.get $kept)))))
      (drop (call $kept_free (local.get $task) (local.get $kept)))
      (br $more)))

  (func $kept_lift (param $record i32) (param $type i32) (param $handle i32)
    (local $end i32)
    (if (i32.lt_u (local.get $type) (i32.const {first_end}))
      (then (drop (call $lift_own (local.get $record) (local.get $type) (local.get $handle))) (return)))
    (local.set $end (call $end_lift (local.get $record) (local.get $type) (local.get $handle)))
    (i32.store $state (call $host_word (i32.load $state offset=52 (local.get $end))) (i32.const 0))
    (call $block_free (local.get $end) (i32.const 64)))

  ;; Takes the first one of a list out of it: the next one.
  (func $kept_free (param $task i32) (param $kept i32) (result i32)
    (i32.store $state offset=64 (local.get $task) (i32.load $state (local.get $kept)))
    (if (i32.load $state offset=16 (local.get $kept))
      (then (i32.store $state offset=8 (i32.load $state offset=16 (local.get $kept)) (i32.const 0))))
    (call $block_free (local.get $kept) (i32.const 32))
    (i32.load $state offset=64 (local.get $task)))
