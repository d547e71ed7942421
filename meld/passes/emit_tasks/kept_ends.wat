;; What `arguments.wat` needs of `open_elements.wat`: ends of calls that never started get their channels back.

  ;; The end of a call that never started (`arguments.wat`), unless something has been done with it since.
  (func $kept_rejoin (param $task i32) (param $kept i32)
    (local $entry i32) (local $end i32)
    (local.set $entry (call $kept_entry (i32.load $state offset=44 (local.get $task)) (local.get $kept)))
    (if (i32.ne (i32.load $state (local.get $entry)) (i32.load $state offset=4 (local.get $kept))) (then (return)))
    (local.set $end (i32.load $state offset=4 (local.get $entry)))
    (if (i32.or
          (i32.ne (i32.load $state offset=52 (local.get $end)) (i32.load $state offset=12 (local.get $kept)))
          (i32.or
            (i32.ne (i32.and (i32.load $state offset=32 (local.get $end)) (i32.const 0x203)) (i32.const 0x200))
            (i32.load $state offset=4 (local.get $end))))
      (then (return)))
    (call $host_forget (i32.load $state offset=52 (local.get $end)))
    (i32.store $state offset=4 (local.get $entry) (i32.load $state offset=16 (local.get $kept)))
    (call $end_rejoin
      (i32.load $state offset=4 (local.get $kept))
      (local.get $end)
      (i32.load $state offset=16 (local.get $kept))))
