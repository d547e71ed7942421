;; Threads that instances make themselves (CanonicalABI.md, "Threads"; canon thread.*; wasmtime's order).
;;
;; The record of a task stands for its implicit thread, too. A thread that was made has a record of its own, {most} bytes,
;; which is in queues and runs as a task does (`tasks.wat`: +0, +4, +8, +12, +64, +72, +80). Behind the values of a task:
;;   +224 index among the threads of its instance, 0 if it has none   +228 1 suspended, 2 yields,
;;   4 an implicit thread that has ended, else 0   +232 the thread that ran before, while it runs   +236 of a task: how many
;;   threads it has made that have not ended   +240 the room of its frames (`frames.wat`) while it is suspended or yields, 0
;;   before it has started   +244 its task   +248 where its function is in $starts   +252 the argument of that function
;; A record that is free: +0 the next one. It keeps its place in $starts. A thread counts for the share of its task.
;;
;; The table of an instance's threads is like that of its handles; its record begins at +32 of the instance's.
;;
;; What suspends itself or yields leaves the stack at once: threads go on in any order. One that is suspended is in no
;; queue. Two threads of an instance never run at once, since only built-ins switch from one to another.

  (type $thread.start (func (param i32)))
  (table $starts 0 funcref)
  (global $thread (mut i32) (i32.const 0))        ;; the thread that runs; 0 outside of all tasks
  (global $next (mut i32) (i32.const 0))          ;; what the thread that leaves switches to: a room or a record, or 0
  (global $threads.free (mut i32) (i32.const 0))  ;; records that are free: the first one, or 0

  ;; A thread gets an index.
  (func $thread_number (param $thread i32)
    (i32.store $state offset=224 (local.get $thread)
      (call $handle_add (call $threads_of (local.get $thread)) (i32.const 1) (local.get $thread) (i32.const 0))))

  ;; A thread has no index any more.
  (func $thread_forget (param $thread i32)
    (local $index i32)
    (local.set $index (i32.load $state offset=224 (local.get $thread)))
    (if (local.get $index)
      (then
        (i32.store $state offset=224 (local.get $thread) (i32.const 0))
        (drop (call $handle_remove (call $threads_of (local.get $thread)) (i32.const 1) (local.get $index))))))

  ;; The record of the table of the threads of a thread's instance.
  (func $threads_of (param $thread i32) (result i32)
    (i32.add (i32.load $state offset=12 (local.get $thread)) (i32.const 32)))

  ;; thread.index. Where no thread runs, in a `realloc` that the host calls, it is what the thread of a call would get.
  (func $thread_index (param $instance i32) (result i32)
    (local $index i32)
    (if (global.get $thread) (then (return (i32.load $state offset=224 (global.get $thread)))))
    (local.set $index (i32.load $state offset=40 (local.get $instance)))
    (if (local.get $index) (then (return (local.get $index))))
    (local.set $index (i32.load $state offset=36 (local.get $instance)))
    (select (local.get $index) (i32.const 1) (local.get $index)))

  ;; thread.new-indirect, with the function that the table has: the index.
  (func $thread_new (param $instance i32) (param $function funcref) (param $argument i32) (result i32)
    (local $thread i32) (local $slot i32) (local $share i32) (local $count i32)
    (if (ref.is_null (local.get $function)) (then (call {trap START_UNINITIALIZED}) (unreachable)))
    ;; with tested
    (if (i32.eqz (ref.test (ref $thread.start) (local.get $function))) (then (call {trap START_TYPE}) (unreachable)))
    ;; end tested
    (local.set $share (call $share (i32.load $state offset=32 (global.get $task))))
    (local.set $count (i32.load $state offset={shares} (local.get $share)))
    (if (i32.ge_u (local.get $count) (i32.const {most_tasks})) (then (call {trap TASKS}) (unreachable)))
    (i32.store $state offset={shares} (local.get $share) (i32.add (local.get $count) (i32.const 1)))
    (local.set $thread (global.get $threads.free))
    (if (local.get $thread)
      (then
        (global.set $threads.free (i32.load $state (local.get $thread)))
        (local.set $slot (i32.load $state offset=248 (local.get $thread))))
      (else
        (local.set $slot (table.grow $starts (ref.null func) (i32.const 1)))
        (if (i32.eq (local.get $slot) (i32.const -1)) (then (call {trap TASKS}) (unreachable)))
        (local.set $thread (call $block_new (i32.const {most})))))
    (memory.fill $state (local.get $thread) (i32.const 0) (i32.const {most}))
    (i32.store $state offset=4 (local.get $thread) (i32.const {thread_call}))
    (i32.store $state offset=12 (local.get $thread) (local.get $instance))
    (i32.store $state offset=228 (local.get $thread) (i32.const 1))
    (i32.store $state offset=244 (local.get $thread) (global.get $task))
    (i32.store $state offset=248 (local.get $thread) (local.get $slot))
    (i32.store $state offset=252 (local.get $thread) (local.get $argument))
    (table.set $starts (local.get $slot) (local.get $function))
    (i32.store $state offset=236 (global.get $task)
      (i32.add (i32.load $state offset=236 (global.get $task)) (i32.const 1)))
    (call $thread_number (local.get $thread))
    (i32.load $state offset=224 (local.get $thread)))

  ;; The code of a thread that was made.
  (func $thread_start (param $thread i32)
    (if (i32.eqz (call $leaving)) (then (call $enter (local.get $thread))))
    {run}
    (if (call $leaving) (then (return)))
    (call $leave (local.get $thread))
    (call $thread_end (local.get $thread)))

  (func $thread_end (param $thread i32)
    (local $task i32) (local $count i32) (local $share i32)
    (call $thread_forget (local.get $thread))
    (table.set $starts (i32.load $state offset=248 (local.get $thread)) (ref.null func))
    (local.set $task (i32.load $state offset=244 (local.get $thread)))
    (local.set $share (call $share (i32.load $state offset=32 (local.get $task))))
    (i32.store $state offset={shares} (local.get $share)
      (i32.sub (i32.load $state offset={shares} (local.get $share)) (i32.const 1)))
    (i32.store $state (local.get $thread) (global.get $threads.free))
    (global.set $threads.free (local.get $thread))
    (local.set $count (i32.sub (i32.load $state offset=236 (local.get $task)) (i32.const 1)))
    (i32.store $state offset=236 (local.get $task) (local.get $count))
    (if (i32.eqz (local.get $count))
      (then
        (if (i32.eq (i32.load $state offset=228 (local.get $task)) (i32.const 4))
          (then (call $exit (local.get $task)))))))

  ;; --- switches

  ;; The running thread leaves, suspended (1) or yielding (2). When it is back, the built-in returns 0.
  (func $thread_leave (param $how i32) (result i32)
    (if (call $leaving)
      (then
        (call $landed)
        (i32.store $state offset=228 (global.get $thread) (i32.const 0))
        (call $yielded (global.get $frame))
        (return (i32.const 0))))
    (if (i32.eqz (i32.and (call $may_leave) (i32.ne (global.get $thread) (i32.const 0))))
      (then (call {trap OUT_OF_ORDER}) (unreachable)))
    (i32.store $state offset=228 (global.get $thread) (local.get $how))
    (drop (call $frame_open))
    (global.set $frames.state (i32.const 1))
    (i32.const 0))

  ;; The thread of an index.
  (func $thread_get (param $instance i32) (param $index i32) (result i32)
    (call $handle_get (i32.add (local.get $instance) (i32.const 32)) (i32.const 1) (local.get $index)))

  ;; A suspended thread will run: its room, or its record if it has not started.
  (func $thread_wake (param $instance i32) (param $index i32) (result i32)
    (local $thread i32) (local $room i32)
    (local.set $thread (call $thread_get (local.get $instance) (local.get $index)))
    (if (i32.ne (i32.load $state offset=228 (local.get $thread)) (i32.const 1))
      (then (call {trap NOT_SUSPENDED}) (unreachable)))
    (i32.store $state offset=228 (local.get $thread) (i32.const 0))
    (local.set $room (i32.load $state offset=240 (local.get $thread)))
    (i32.store $state offset=240 (local.get $thread) (i32.const 0))
    (select (local.get $room) (local.get $thread) (local.get $room)))

  ;; A thread that yields runs next; 0 if another one does not yield, and nothing happens.
  (func $thread_promote (param $instance i32) (param $index i32) (result i32)
    (local $thread i32)
    (local.set $thread (call $thread_get (local.get $instance) (local.get $index)))
    (if (i32.eq (local.get $thread) (global.get $thread)) (then (call {trap NOT_SUSPENDED}) (unreachable)))
    (if (i32.ne (i32.load $state offset=228 (local.get $thread)) (i32.const 2)) (then (return (i32.const 0))))
    (i32.store $state offset=228 (local.get $thread) (i32.const 0))
    (global.set $next (i32.load $state offset=240 (local.get $thread)))
    (call $take_out (i32.const {later}) (global.get $next))
    (i32.const 1))

  ;; What a thread has switched to runs before anything else does, and so on.
  (func $switches
    (local $thread i32)
    (loop $more
      (local.set $thread (global.get $next))
      (if (i32.eqz (local.get $thread)) (then (return)))
      (global.set $next (i32.const 0))
      (if (i32.load $state offset=4 (local.get $thread))
        (then (call $drive (local.get $thread) (i32.load $state offset=8 (local.get $thread))))
        (else (call $back (local.get $thread))))
      (br $more)))

  ;; thread.yield. In a call of a function of synchronous type it does nothing unless another thread can run.
  (func $thread_yield (param $instance i32) (result i32)
    (if (i32.eqz (call $leaving))
      (then
        (if (i32.eqz (global.get $thread)) (then (return (i32.const 0))))
        (if (i32.eqz (call $may_block))
          (then
            (call $thread_ready (local.get $instance))
            drop
            (if (i32.eqz) (then (return (i32.const 0))))))
        (if (i32.eqz (call $may_leave)) (then (return (call $yield))))))
    (call $thread_leave (i32.const 2)))

  ;; --- calls of functions of synchronous type

  ;; Until such a call is over, threads of its instance run only.
  (func $call_plain (param $task i32)
    (local $queue i32) (local $thread i32)
    (call $drive (local.get $task) (i32.const 0))
    (call $switches)
    (loop $more
      (if (i32.load $state offset=28 (local.get $task)) (then (return)))
      (call $thread_ready (i32.load $state offset=12 (local.get $task)))
      local.set $queue
      local.set $thread
      (if (i32.eqz (local.get $thread)) (then (call {trap BLOCK}) (unreachable)))
      (call $take_out (local.get $queue) (local.get $thread))
      (global.set $next (local.get $thread))
      (call $switches)
      (br $more)))

  ;; The first thread of an instance that can run, a record or a room, and the queue in which it is; 0 if none can.
  (func $thread_ready (param $instance i32) (result i32 i32)
    (local $thread i32)
    (local.set $thread (call $first_of (i32.const {waiting}) (local.get $instance)))
    (if (local.get $thread) (then (return (local.get $thread) (i32.const {waiting}))))
    (local.set $thread (call $first_of (i32.const {ready}) (local.get $instance)))
    (if (local.get $thread) (then (return (local.get $thread) (i32.const {ready}))))
    (call $first_of (i32.const {later}) (local.get $instance))
    (i32.const {later}))

  (func $first_of (param $queue i32) (param $instance i32) (result i32)
    (local $at i32)
    (local.set $at (i32.load $state (local.get $queue)))
    (loop $more
      (if (i32.eqz (local.get $at)) (then (return (i32.const 0))))
      (if (call $can_run (local.get $at) (local.get $instance)) (then (return (local.get $at))))
      (local.set $at (i32.load $state (local.get $at)))
      (br $more))
    (unreachable))

  ;; Whether what is in a queue is a thread of an instance that can run in such a call: one that has not started, or whose
  ;; frame waits for nothing more. Callbacks, and what has the instance for itself, need the one stack that it has.
  (func $can_run (param $at i32) (param $instance i32) (result i32)
    (local $thread i32)
    (local.set $thread (local.get $at))
    (if (i32.eqz (i32.load $state offset=4 (local.get $at)))
      (then (local.set $thread (i32.load $state offset=8 (local.get $at)))))
    (if (i32.ne (i32.load $state offset=12 (local.get $thread)) (local.get $instance)) (then (return (i32.const 0))))
    (if (i32.eqz (i32.load $state offset=4 (local.get $at)))
      (then
        (return
          (i32.and
            (i32.ne (i32.load $state offset=20 (local.get $instance)) (local.get $thread))
            (i32.ne (i32.load $state (i32.load $state offset=8 (i32.load $state offset=12 (local.get $at)))) (i32.const 0))))))
    (i32.ne (i32.load $state offset=244 (local.get $thread)) (local.get $thread)))
