;; Tasks and their scheduler (CanonicalABI.md, "Task State", "Waitable State"; canon lift, canon lower; wasmtime's order).
;;
;; A task is a call of a function that is lifted or lowered asynchronously, {least} or {most} bytes:
;;   +0 the next one in the one queue in which it is   +4 number of the call   +8 state of the subtask
;;   +12 record of the callee's instance   +16 waitable of the subtask (`waitables.wat`; its object is the task)
;;   +32 flags: 1 it may block, 2 it has exited, 4 it has been told of a cancel, 8 its caller holds on to it, 16 it waits for a
;;       set, from 65536 on the number of its share
;;   +36 0, or 1 + an event that comes before those of the set   +40 handle of the set it waits for
;;   +44 record of the caller's instance, 0 outside   +48 scope of its borrows (`handles.wat`)   +64, +72 context slots
;;   +80 the task that ran before, while it runs   +84 bytes   +88 where the result goes in the caller's memory
;;   +96 values, 8 bytes each: parameters until it starts, then the result
;; States: 0 starting, 1 started, 2 returned, 3 cancelled before it started, 4 cancelled before it returned.
;;
;; The record of an instance: +16 backpressure, +20 not 0 while a task has it for itself, +24 and +28 pending work of tasks.
;;
;; A task that has returned and waits on is in no table, so a caller has {most_tasks} at most with each callee, its
;; share: a word behind {shares} counts those that have not exited. One that has is kept by the handle of its caller, whose
;; table is bounded.
;;
;; What blocks without a callback stays on the stack, and runs other work above itself: a frame, 16 bytes: +0 next among
;; the waiters of a set, +4 0, +8 address of the word that is not 0 when it can go on, +12 the frame below. The scheduler
;; runs above a frame only. Only the innermost frame can go on: where another one could, it leaves (`frames.wat`).

  (global $task (export "task") (mut i32) (i32.const {outside}))  ;; the task that runs; one that must not block if none does
  (global $frame (mut i32) (i32.const 0))                         ;; the innermost frame
  (global $free (mut i32) (i32.const 0))                          ;; frames that are not in use: the first one, or 0
  (global $yields (mut i32) (i32.const 0))                        ;; yields since a frame last went on

  ;; --- queues: first and last task

  (func $append (param $queue i32) (param $task i32)
    (i32.store $state (local.get $task) (i32.const 0))
    (if (i32.load $state (local.get $queue))
      (then (i32.store $state (i32.load $state offset=4 (local.get $queue)) (local.get $task)))
      (else (i32.store $state (local.get $queue) (local.get $task))))
    (i32.store $state offset=4 (local.get $queue) (local.get $task)))

  ;; Takes the first task out of a queue; 0 if there is none.
  (func $first (param $queue i32) (result i32)
    (local $task i32)
    (local.set $task (i32.load $state (local.get $queue)))
    (if (local.get $task) (then (i32.store $state (local.get $queue) (i32.load $state (local.get $task)))))
    (local.get $task))

  ;; Takes a task out of a queue if it is there.
  (func $take_out (param $queue i32) (param $task i32)
    (local $at i32) (local $before i32)
    (local.set $at (i32.load $state (local.get $queue)))
    (loop $more
      (if (i32.eqz (local.get $at)) (then (return)))
      (if (i32.ne (local.get $at) (local.get $task))
        (then
          (local.set $before (local.get $at))
          (local.set $at (i32.load $state (local.get $at)))
          (br $more))))
    (local.set $at (i32.load $state (local.get $at)))
    (i32.store $state (select (local.get $before) (local.get $queue) (local.get $before)) (local.get $at))
    (if (i32.eqz (local.get $at)) (then (i32.store $state offset=4 (local.get $queue) (local.get $before)))))

  ;; --- the life of a task

  ;; `caller` is the record of the caller's instance, 0 for the host.
  (func $task_new (export "task_new") (param $call i32) (param $bytes i32) (param $instance i32) (param $caller i32) (param $flags i32) (result i32)
    (local $task i32) (local $count i32) (local $share i32)
    (local.set $share (call $share (local.get $flags)))
    (local.set $count (i32.load $state offset={shares} (local.get $share)))
    (if (i32.ge_u (local.get $count) (i32.const {most_tasks})) (then (call {trap TASKS}) (unreachable)))
    (i32.store $state offset={shares} (local.get $share) (i32.add (local.get $count) (i32.const 1)))
    ;; with threads
    (local.set $bytes (i32.const {most}))
    ;; end threads
    (local.set $task (call $block_new (local.get $bytes)))
    ;; with threads
    (i32.store $state offset=244 (local.get $task) (local.get $task))
    ;; end threads
    (i32.store $state offset=4 (local.get $task) (local.get $call))
    (i32.store $state offset=12 (local.get $task) (local.get $instance))
    (i32.store $state offset=32 (local.get $task) (local.get $flags))
    (i32.store $state offset=44 (local.get $task) (local.get $caller))
    (i32.store $state offset=84 (local.get $task) (local.get $bytes)){task_begins}
    (local.get $task))

  ;; Where the word of a share is, behind the first one.
  (func $share (param $flags i32) (result i32)
    (i32.shl (i32.shr_u (local.get $flags) (i32.const 16)) (i32.const 2)))

  ;; The code of a task runs from here on; its context slots take the place of those before.
  (func $enter (param $task i32)
    (i32.store $state offset=80 (local.get $task) (global.get $task))
    ;; with threads
    (i32.store $state offset=232 (local.get $task) (global.get $thread))
    (global.set $thread (local.get $task))
    ;; end threads
    (global.set $task {task_of}){swap_context})

  (func $leave (param $task i32)
    ;; with threads
    (global.set $thread (i32.load $state offset=232 (local.get $task)))
    ;; end threads
    (global.set $task (i32.load $state offset=80 (local.get $task))){swap_context})

  ;; Whether the instance lets a task run: no task has it for itself, and a call that starts meets no backpressure.
  (func $enterable (param $task i32) (result i32)
    (local $instance i32)
    ;; with threads
    (if (i32.ne (i32.load $state offset=244 (local.get $task)) (local.get $task)) (then (return (i32.const 1))))
    ;; end threads
    (local.set $instance (i32.load $state offset=12 (local.get $task)))
    (i32.eqz
      (i32.or
        (i32.load $state offset=20 (local.get $instance))
        (select
          (i32.const 0)
          (i32.load $state offset=16 (local.get $instance))
          (i32.load $state offset=8 (local.get $task))))))

  ;; A call begins: its callee starts, or waits until it may.
  (func $begin (param $task i32)
    (if (call $enterable (local.get $task))
      (then (call $drive (local.get $task) (i32.const 0)){switches})
      (else (call $append (i32.add (i32.load $state offset=12 (local.get $task)) (i32.const 24)) (local.get $task)))))

  ;; The parameters have been lowered.
  (func $started (param $task i32)
    (i32.store $state offset=8 (local.get $task) (i32.const 1))
    (if (i32.load $state offset=16 (local.get $task))
      (then (call $waitable_set_event (i32.add (local.get $task) (i32.const 16)) (i32.const 2)))))

  ;; The task has its result (2), or was cancelled (4).
  (func $resolve (param $task i32) (param $state i32)
    {end_scope}
    (i32.store $state offset=8 (local.get $task) (local.get $state))
    ;; with threads
    (i32.store $state offset=32 (local.get $task) (i32.or (i32.load $state offset=32 (local.get $task)) (i32.const 1)))
    ;; end threads
    (if (i32.load $state offset=16 (local.get $task))
      (then (call $waitable_set_event (i32.add (local.get $task) (i32.const 16)) (i32.add (local.get $state) (i32.const 1))))
      (else (i32.store $state offset=28 (local.get $task) (i32.add (local.get $state) (i32.const 1))))))

  ;; An instance that a task had for itself is free again.
  (func $left (param $task i32)
    (local $instance i32)
    (local.set $instance (i32.load $state offset=12 (local.get $task)))
    (i32.store $state offset=20 (local.get $instance) (i32.const 0))
    (call $leave (local.get $task))
    (if (i32.load $state offset=24 (local.get $instance)) (then (call $release (local.get $instance)))))

  ;; Pending work of an instance gets ready, as far as it may run now.
  (func $release (param $instance i32)
    (local $task i32) (local $next i32)
    (local.set $next (i32.load $state offset=24 (local.get $instance)))
    (if (i32.eqz (local.get $next)) (then (return)))
    (i32.store $state offset=24 (local.get $instance) (i32.const 0))
    (loop $more
      (local.set $task (local.get $next))
      (local.set $next (i32.load $state (local.get $task)))
      (call $append
        (select (i32.const {ready}) (i32.add (local.get $instance) (i32.const 24)) (call $enterable (local.get $task)))
        (local.get $task))
      (br_if $more (local.get $next))))

  ;; A task has exited: its flags.
  (func $over (param $task i32) (result i32)
    (local $flags i32) (local $share i32)
    (local.set $flags (i32.or (i32.load $state offset=32 (local.get $task)) (i32.const 2)))
    (local.set $share (call $share (local.get $flags)))
    (i32.store $state offset={shares} (local.get $share)
      (i32.sub (i32.load $state offset={shares} (local.get $share)) (i32.const 1)))
    (i32.store $state offset=32 (local.get $task) (local.get $flags)){task_ends}
    (local.get $flags))

  (func $exit (param $task i32)
    (local $flags i32)
    ;; with threads
    (call $thread_forget (local.get $task))
    (i32.store $state offset=228 (local.get $task) (i32.const 4))
    (if (i32.load $state offset=236 (local.get $task)) (then (return)))
    ;; end threads
    (if (i32.lt_u (i32.load $state offset=8 (local.get $task)) (i32.const 2)) (then (call {trap NO_RESULT}) (unreachable)))
    (local.set $flags (call $over (local.get $task)))
    (if (i32.eqz (i32.and (local.get $flags) (i32.const 8))) (then (call $task_free (local.get $task)))))

  ;; The caller has no further interest.
  (func $let_go (export "let_go") (param $task i32)
    (local $flags i32)
    (local.set $flags (i32.and (i32.load $state offset=32 (local.get $task)) (i32.const -9)))
    (i32.store $state offset=32 (local.get $task) (local.get $flags))
    (if (i32.and (local.get $flags) (i32.const 2)) (then (call $task_free (local.get $task)))))

  (func $task_free (param $task i32)
    (call $block_free (local.get $task) (i32.load $state offset=84 (local.get $task))))

  ;; --- callbacks

  ;; What a function or its callback answered: 0 EXIT, 1 YIELD, 2 WAIT | set << 4.
  (func $answered (param $task i32) (param $answer i32)
    (local $code i32)
    (local.set $code (i32.and (local.get $answer) (i32.const 15)))
    (if (i32.eq (local.get $code) (i32.const 2))
      (then
        (i32.store $state offset=40 (local.get $task) (i32.shr_u (local.get $answer) (i32.const 4)))
        (call $wait (local.get $task))
        (return)))
    (if (i32.gt_u (local.get $code) (i32.const 1)) (then (call {trap CALLBACK_CODE}) (unreachable)))
    (if (local.get $code)
      (then
        (if (i32.eqz (i32.load $state offset=36 (local.get $task)))
          (then (i32.store $state offset=36 (local.get $task) (i32.const 1))))
        (call $append (i32.const {later}) (local.get $task)))
      (else (call $exit (local.get $task)))))

  ;; A task waits for its set. Even if there is an event already, others that are ready come first.
  (func $wait (param $task i32)
    (local $set i32)
    (local.set $set (call $set_get (i32.load $state offset=12 (local.get $task)) (i32.load $state offset=40 (local.get $task))))
    (if (i32.or (i32.load $state offset=36 (local.get $task)) (i32.load $state (local.get $set)))
      (then (call $append (i32.const {ready}) (local.get $task)) (return)))
    (i32.store $state offset=32 (local.get $task) (i32.or (i32.load $state offset=32 (local.get $task)) (i32.const 16)))
    (call $waiter_add (local.get $set) (local.get $task)))

  ;; The waiters of a set, tasks and frames, are a list from its +12 on; the last one came last.
  (func $waiter_add (param $set i32) (param $waiter i32)
    (local $at i32)
    (local.set $at (i32.add (local.get $set) (i32.const 12)))
    (block $end
      (loop $more
        (br_if $end (i32.eqz (i32.load $state (local.get $at))))
        (local.set $at (i32.load $state (local.get $at)))
        (br $more)))
    (i32.store $state (local.get $at) (local.get $waiter))
    (i32.store $state (local.get $waiter) (i32.const 0)))

  (func $waiter_remove (param $set i32) (param $waiter i32)
    (local $at i32)
    (local.set $at (i32.add (local.get $set) (i32.const 12)))
    (loop $more
      (if (i32.ne (i32.load $state (local.get $at)) (local.get $waiter))
        (then (local.set $at (i32.load $state (local.get $at))) (br $more))))
    (i32.store $state (local.get $at) (i32.load $state (local.get $waiter))))

  ;; A set has an event: its first task that waits is ready. A frame looks by itself.
  (func $set_wake (param $set i32)
    (local $at i32) (local $task i32)
    (local.set $at (i32.add (local.get $set) (i32.const 12)))
    (loop $more
      (local.set $task (i32.load $state (local.get $at)))
      (if (i32.eqz (local.get $task)) (then (return)))
      (if (i32.eqz (i32.load $state offset=4 (local.get $task)))
        (then (local.set $at (local.get $task)) (br $more))))
    (i32.store $state (local.get $at) (i32.load $state (local.get $task)))
    (call $wakes (local.get $task))
    (call $append (i32.const {ready}) (local.get $task)))

  (func $wakes (param $task i32)
    (i32.store $state offset=32 (local.get $task) (i32.and (i32.load $state offset=32 (local.get $task)) (i32.const -17))))

  ;; Calls the callback of a task with its next event.
  (func $deliver (param $task i32)
    (local $code i32) (local $handle i32) (local $payload i32) (local $set i32) (local $waitable i32) (local $instance i32)
    (if (i32.eqz (call $leaving))
      (then
        (local.set $instance (i32.load $state offset=12 (local.get $task)))
        (local.set $code (i32.load $state offset=36 (local.get $task)))
        (if (local.get $code)
          (then
            (local.set $code (i32.sub (local.get $code) (i32.const 1)))
            (i32.store $state offset=36 (local.get $task) (i32.const 0))
            (if (local.get $code)  ;; 6: it may call `task.cancel` from now on
              (then
                (i32.store $state offset=32 (local.get $task)
                  (i32.or (i32.load $state offset=32 (local.get $task)) (i32.const 4))))))
          (else
            (local.set $set (call $set_get (local.get $instance) (i32.load $state offset=40 (local.get $task))))
            (local.set $waitable (i32.load $state (local.get $set)))
            (if (i32.eqz (local.get $waitable)) (then (call $wait (local.get $task)) (return)))  ;; another one took it
            (call $set_taken (local.get $set) (local.get $waitable))
            local.set $payload
            local.set $handle
            local.set $code))
        (call $enter (local.get $task))
        (i32.store $state offset=20 (local.get $instance) {alone})))
    (call $callback (local.get $task) (local.get $code) (local.get $handle) (local.get $payload))
    local.set $code
    (if (call $leaving) (then (return)))
    (call $left (local.get $task))
    (call $answered (local.get $task) (local.get $code)))

  ;; --- the scheduler

  ;; Runs what is ready first, or else what has yielded first; 0 if there is nothing.
  (func $step (result i32)
    (local $task i32)
    (if (i32.and (global.get $movable) (i32.load $state (i32.const {waiting})))
      (then (if (call $resume) (then{switches} (return (i32.const 1))))))
    (local.set $task (i32.load $state (i32.const {ready})))
    (if (local.get $task)
      (then (i32.store $state (i32.const {ready}) (i32.load $state (local.get $task))))
      (else{hold}
        (local.set $task (call $first (i32.const {later})))
        (if (i32.eqz (local.get $task)) (then (return (i32.const 0))))
        (if (i32.eqz (i32.load $state offset=4 (local.get $task)))
          (then (call $back (local.get $task)){switches} (return (i32.const 1))))
        (if (i32.eqz (i32.load $state (i32.load $state offset=8 (global.get $frame)))) (then (call $count_yield)))))
    ;; with threads
    (if (i32.eqz (i32.load $state offset=4 (local.get $task)))
      (then (call $back (local.get $task)) (call $switches) (return (i32.const 1))))
    ;; end threads
    (if (call $enterable (local.get $task))
      (then (call $drive (local.get $task) (i32.load $state offset=8 (local.get $task))){switches})
      (else (call $append (i32.add (i32.load $state offset=12 (local.get $task)) (i32.const 24)) (local.get $task))))
    (i32.const 1))

  ;; A frame that can always go on.
  (func $frame_open (result i32)
    (local $frame i32)
    (local.set $frame (call $frame_push (i32.const 0)))
    (i32.store $state offset=8 (local.get $frame) (i32.add (local.get $frame) (i32.const 8)))
    (local.get $frame))

  ;; `word` is the address of a word that is not 0 when the frame can go on.
  (func $frame_push (param $word i32) (result i32)
    (local $frame i32)
    (local.set $frame (global.get $free))
    (if (local.get $frame)
      (then (global.set $free (i32.load $state offset=12 (local.get $frame))))
      (else (local.set $frame (call $block_new (i32.const 16)))))
    (i32.store $state offset=8 (local.get $frame) (local.get $word))
    (i32.store $state offset=12 (local.get $frame) (global.get $frame))
    (global.set $frame (local.get $frame))
    (local.get $frame))

  (func $frame_pop (param $frame i32)
    (global.set $yields (i32.const 0))
    (call $yielded (local.get $frame)))

  ;; Whether a frame could go on, if those above it were not in its way.
  (func $outer_ready (result i32)
    (call $ready_from (global.get $frame)))

  (func $below_ready (param $frame i32) (result i32)
    (call $ready_from (i32.load $state offset=12 (local.get $frame))))

  (func $ready_from (param $frame i32) (result i32)
    (loop $more
      (if (i32.eqz (local.get $frame)) (then (return (i32.const 0))))
      (if (i32.load $state (i32.load $state offset=8 (local.get $frame))) (then (return (i32.const 1))))
      (local.set $frame (i32.load $state offset=12 (local.get $frame)))
      (br $more))
    (unreachable))

  ;; Runs other work until a word is not 0, which it is at first, or else sets $frames.state: the frame has to leave.
  (func $run_until (param $word i32)
    (local $frame i32)
    (block $leave
      (loop $more{host_first}
        ;; with threads
        (br_if $leave (call $may_leave))
        ;; end threads
        (block $stay
          (br_if $stay (i32.eqz (call $may_leave)))
          (local.set $frame (i32.load $state offset=12 (global.get $frame)))
          (loop $below
            (br_if $stay (i32.eqz (local.get $frame)))
            (br_if $leave (i32.load $state (i32.load $state offset=8 (local.get $frame))))
            (local.set $frame (i32.load $state offset=12 (local.get $frame)))
            (br $below)))
        (if (call $step)
          (then
            (br_if $more (i32.eqz (i32.load $state (local.get $word))))
            (return))){host_wait})
      (if (call $outer_ready) (then (call {trap OUT_OF_ORDER}) (unreachable)))
      (call {trap DEADLOCK})
      (unreachable))
    (global.set $frames.state (i32.const 1)))

  ;; Where whatever runs only yields, and a frame below could go on, nothing will ever happen: it has to, and can if the
  ;; frames above it can leave.
  (func $count_yield
    (if (call $may_leave) (then (return)))
    (global.set $yields (i32.add (global.get $yields) (i32.const 1)))
    (if (i32.gt_u (global.get $yields) (i32.const {most_yields}))
      (then (if (call $outer_ready) (then (call {trap OUT_OF_ORDER}) (unreachable))))))

  (func $may_block (result i32)
    (i32.and (i32.load $state offset=32 (global.get $task)) (i32.const 1)))

  ;; The running task will block: traps if it must not. `frame` is the one below.
  (func $check_blocking (param $frame i32)
    ;; with threads
    (if (i32.load $state offset=244 (global.get $task)) (then (return)))  ;; other threads may run (`threads.wat`)
    ;; end threads
    (if (i32.eqz (call $may_block)) (then (call {trap BLOCK}) (unreachable)))
    (if (local.get $frame)
      (then
        (if (i32.eq (i32.load $state offset=8 (local.get $frame)) (i32.add (global.get $task) (i32.const 28)))
          (then (call $check_callers (local.get $frame)))))))

  ;; Who called the running task synchronously waits for its result, and so on: traps if one of them must not.
  (func $check_callers (param $frame i32)
    (local $task i32)
    (local.set $task (global.get $task))
    (loop $more
      (if (i32.eqz (local.get $frame)) (then (return)))
      (if (i32.ne (i32.load $state offset=8 (local.get $frame)) (i32.add (local.get $task) (i32.const 28))) (then (return)))
      (if (i32.load $state offset=28 (local.get $task)) (then (return)))  ;; it has its result
      (if (i32.eqz (i32.load $state offset=44 (local.get $task))) (then (return)))
      (local.set $task (i32.load $state offset=80 (local.get $task)))
      (if (i32.eqz (i32.and (i32.load $state offset=32 (local.get $task)) (i32.const 1)))
        (then (call {trap BLOCK}) (unreachable)))
      (local.set $frame (i32.load $state offset=12 (local.get $frame)))
      (br $more)))

  (func $block_on_set (export "block_on_set") (param $set i32)
    (local $frame i32)
    (if (call $leaving)
      (then (call $landed))
      (else
        (if (i32.load $state (local.get $set)) (then (return)))
        (call $check_blocking (global.get $frame))
        (local.set $frame (call $frame_push (local.get $set)))
        (call $waiter_add (local.get $set) (local.get $frame))
        (call $run_until (local.get $set))
        (if (call $leaving) (then (return)))))
    (local.set $frame (global.get $frame))
    (call $waiter_remove (i32.load $state offset=8 (local.get $frame)) (local.get $frame))
    (call $frame_pop (local.get $frame)))

  ;; Until there is an event, the waitable belongs to whoever waits, and must not join a set (+4 is 1).
  (func $block_on_waitable (export "block_on_waitable") (param $waitable i32)
    (if (call $leaving)
      (then (call $landed))
      (else
        (call $await (local.get $waitable))
        (if (call $leaving) (then (return)))))
    (drop (call $awaited)))

  (func $await (param $waitable i32)
    (if (i32.load $state offset=4 (local.get $waitable)) (then (call {trap SYNC_AND_ASYNC}) (unreachable)))
    (call $check_blocking (global.get $frame))
    (i32.store $state offset=4 (local.get $waitable) (i32.const 1))
    (local.set $waitable (i32.add (local.get $waitable) (i32.const 12)))
    (drop (call $frame_push (local.get $waitable)))
    (call $run_until (local.get $waitable)))

  ;; The waitable that the innermost frame has waited for.
  (func $awaited (result i32)
    (local $waitable i32)
    (local.set $waitable (i32.sub (i32.load $state offset=8 (global.get $frame)) (i32.const 12)))
    (call $frame_pop (global.get $frame))
    (i32.store $state offset=4 (local.get $waitable) (i32.const 0))
    (local.get $waitable))

  ;; A read or write that was parked is synchronous: waits for its end, and returns the packed result.
  (func $await_end (param $waitable i32) (result i32)
    (call $await (local.get $waitable))
    (if (call $leaving) (then (return (i32.const 0))))
    (call $waitable_delivered (call $awaited)))

  ;; The same when its frames are back.
  (func $end_awaited (result i32)
    (call $landed)
    (call $waitable_delivered (call $awaited)))

  ;; thread.yield: all that is ready, and what has yielded before.
  (func $yield (result i32)
    (local $task i32) (local $count i32) (local $frame i32)
    (if (call $leaving)
      (then
        (call $landed)
        (call $yielded (global.get $frame))
        (return (i32.const 0))))
    (if (i32.eqz (call $may_block)) (then (return (i32.const 0))))
    (call $check_blocking (global.get $frame))
    (call $count_yield){host_yield}
    (local.set $frame (call $frame_open))
    (block $leave
      (br_if $leave (call $must_leave (local.get $frame)))
      (local.set $task (i32.load $state (i32.const {later})))
      (block $counted
        (loop $more
          (br_if $counted (i32.eqz (local.get $task)))
          (local.set $count (i32.add (local.get $count) (i32.const 1)))
          (local.set $task (i32.load $state (local.get $task)))
          (br $more)))
      (loop $more
        (if (i32.or (i32.load $state (i32.const {ready})) (local.get $count))
          (then
            (local.set $count
              (select (local.get $count) (i32.sub (local.get $count) (i32.const 1)) (i32.load $state (i32.const {ready}))))
            (drop (call $step))
            (br_if $leave (call $must_leave (local.get $frame)))
            (br $more))))
      (call $yielded (local.get $frame))
      (return (i32.const 0)))
    (global.set $frames.state (i32.const 1))
    (i32.const 0))

  (func $yielded (param $frame i32)
    (global.set $frame (i32.load $state offset=12 (local.get $frame)))
    (i32.store $state offset=12 (local.get $frame) (global.get $free))
    (global.set $free (local.get $frame)))

  ;; Whether a frame that yields has to leave: one below it can go on, or the host.
  (func $must_leave (param $frame i32) (result i32)
    (if (i32.eqz (call $may_leave)) (then (return (i32.const 0)))){host_leave}
    (call $below_ready (local.get $frame)))

  ;; --- calls

  ;; A call that is lowered asynchronously: its state | the handle of its subtask << 4, or RETURNED.
  (func $call_async (param $task i32) (result i32)
    (local $frame i32) (local $state i32) (local $handle i32)
    (local.set $frame (call $frame_open))
    (call $begin (local.get $task))
    (call $frame_pop (local.get $frame))
    (local.set $state (i32.load $state offset=8 (local.get $task)))
    (if (i32.eq (local.get $state) (i32.const 2))
      (then (call $let_go (local.get $task)) (return (i32.const 2))))
    (local.set $handle
      (call $handle_add (i32.load $state offset=44 (local.get $task)) (i32.const 2) (local.get $task) (i32.const 0)))
    (i32.store $state offset=16 (local.get $task) (i32.or (local.get $handle) (i32.const 0x10000000)))
    (i32.or (local.get $state) (i32.shl (local.get $handle) (i32.const 4))))

  ;; A call that is lowered synchronously, or the host's: returns when the task has resolved.
  (func $call_sync (export "call_sync") (param $task i32)
    (local $driven i32)
    ;; with threads
    (if (i32.eqz (i32.or (call $leaving) (i32.and (i32.load $state offset=32 (local.get $task)) (i32.const 1))))
      (then (call $call_plain (local.get $task)) (return)))
    ;; end threads
    (if (call $leaving)
      (then (call $landed))
      (else
        (local.set $driven (global.get $driven))
        (if (i32.eqz (i32.load $state offset=44 (local.get $task))) (then (global.set $driven (i32.const 0))))
        (drop (call $frame_push (i32.add (local.get $task) (i32.const 28))))
        (call $begin (local.get $task))
        (if (i32.eqz (i32.load $state offset=28 (local.get $task)))
          (then
            (if (i32.load $state offset=44 (local.get $task))
              (then (call $check_blocking (i32.load $state offset=12 (global.get $frame)))))
            (call $run_until (i32.add (local.get $task) (i32.const 28)))
            (if (call $leaving) (then (return)))))
        (global.set $driven (local.get $driven))))
    (call $frame_pop (global.get $frame)))

  ;; --- built-ins

  ;; The running task has its result: traps unless it is due.
  (func $check_return (result i32)
    (if (i32.ge_u (i32.load $state offset=8 (global.get $task)) (i32.const 2)) (then (call {trap RETURN_TWICE}) (unreachable)))
    (i32.load $state offset=4 (global.get $task)))

  (func $task_cancel
    (if (i32.eqz (i32.and (i32.load $state offset=32 (global.get $task)) (i32.const 4)))
      (then (call {trap CANCEL_NOT_SENT}) (unreachable)))
    (drop (call $check_return))
    (call $resolve (global.get $task) (i32.const 4)){task_cancelled})

  (func $backpressure_inc (param $instance i32)
    (local $count i32)
    (local.set $count (i32.load $state offset=16 (local.get $instance)))
    (if (i32.eq (local.get $count) (i32.const 0xffff)) (then (call {trap BACKPRESSURE}) (unreachable)))
    (i32.store $state offset=16 (local.get $instance) (i32.add (local.get $count) (i32.const 1))))

  (func $backpressure_dec (param $instance i32)
    (local $count i32)
    (local.set $count (i32.load $state offset=16 (local.get $instance)))
    (if (i32.eqz (local.get $count)) (then (call {trap BACKPRESSURE}) (unreachable)))
    (local.set $count (i32.sub (local.get $count) (i32.const 1)))
    (i32.store $state offset=16 (local.get $instance) (local.get $count))
    (if (i32.eqz (local.get $count)) (then (call $release (local.get $instance)))))

  ;; The state in which the subtask was resolved, or -1 if it is not yet (BLOCKED).
  (func $subtask_cancel (param $record i32) (param $handle i32) (param $sync i32) (result i32)
    (local $task i32) (local $frame i32)
    (local.set $task (call $entry_of (local.get $record) (local.get $handle)))
    (if (i32.ne (i32.load $state (local.get $task)) (i32.const 2)) (then (call {trap NOT_SUBTASK}) (unreachable)))
    (local.set $task (i32.load $state offset=4 (local.get $task)))
    (if (local.get $sync)
      (then (if (i32.load $state offset=20 (local.get $task)) (then (call {trap SYNC_AND_ASYNC}) (unreachable))))){host_subtask_cancel}
    (if (i32.eqz (i32.load $state offset=8 (local.get $task)))
      (then (call $cancel_start (local.get $task)) (return (i32.const 3))))
    (if (i32.eq (i32.load $state offset=8 (local.get $task)) (i32.const 1))
      (then
        (local.set $frame (call $frame_open))
        (call $cancel (local.get $task))
        (call $frame_pop (local.get $frame))
        (if (i32.lt_u (i32.load $state offset=8 (local.get $task)) (i32.const 2))
          (then
            (if (i32.eqz (local.get $sync)) (then (return (i32.const -1))))
            (i32.store $state offset=28 (local.get $task) (i32.const 0))  ;; that it has started matters no more
            (call $block_on_waitable (i32.add (local.get $task) (i32.const 16)))))))
    (if (i32.lt_u (i32.load $state offset=28 (local.get $task)) (i32.const 3))
      (then (call {trap CANCEL_TERMINAL}) (unreachable)))
    (call $waitable_deliver (i32.add (local.get $task) (i32.const 16))))

  ;; A task that has not started never will.
  (func $cancel_start (param $task i32)
    (call $take_out (i32.add (i32.load $state offset=12 (local.get $task)) (i32.const 24)) (local.get $task))
    (call $take_out (i32.const {ready}) (local.get $task))
    (i32.store $state offset=8 (local.get $task) (i32.const 3))
    (drop (call $over (local.get $task))))

  ;; A task that waits or has yielded between two callbacks is told at once if its instance is free, another one when it
  ;; waits or yields next.
  (func $cancel (param $task i32)
    (local $flags i32) (local $yields i32)
    (local.set $flags (i32.load $state offset=32 (local.get $task)))
    (local.set $yields (i32.eq (i32.load $state offset=36 (local.get $task)) (i32.const 1)))
    (i32.store $state offset=36 (local.get $task) (i32.const 7))
    (if (i32.and (local.get $flags) (i32.const 16))
      (then
        (call $waiter_remove
          (call $set_get (i32.load $state offset=12 (local.get $task)) (i32.load $state offset=40 (local.get $task)))
          (local.get $task))
        (call $wakes (local.get $task))
        (if (i32.eqz (call $enterable (local.get $task)))
          (then (call $append (i32.const {ready}) (local.get $task)) (return))))
      (else
        (if (i32.eqz (local.get $yields)) (then (return)))
        (if (i32.eqz (call $enterable (local.get $task))) (then (return)))  ;; it keeps its place
        (call $take_out (i32.const {later}) (local.get $task))
        (call $take_out (i32.const {ready}) (local.get $task))))
    (call $drive (local.get $task) (i32.const 1)){switches})

  (func $subtask_drop (param $record i32) (param $handle i32)
    (local $task i32)
    (local.set $task (call $waitable_of (local.get $record) (local.get $handle)))
    (if (i32.ne (i32.load $state (call $entry_of (local.get $record) (local.get $handle))) (i32.const 2))
      (then (call {trap NOT_SUBTASK}) (unreachable)))
    (local.set $task (call $handle_remove (local.get $record) (i32.const 2) (local.get $handle)))
    (if (i32.or
          (i32.lt_u (i32.load $state offset=8 (local.get $task)) (i32.const 2))
          (i32.load $state offset=28 (local.get $task)))
      (then (call {trap SUBTASK_DROP}) (unreachable)))
    (call $waitable_leave (i32.add (local.get $task) (i32.const 16)))
    (i32.store $state offset=16 (local.get $task) (i32.const 0))
    (call $let_go (local.get $task)))
