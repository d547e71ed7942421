;; Frames of tasks on stacks of their own (the proposal of stack switching), in place of frames that are saved in memory.
;;
;; The driver runs the code of a task as a continuation. A leaf that has to leave suspends, and the driver does what it
;; does when frames have left (`frames.wat`): state 1 says so. To come back, it resumes the continuation with state 2, and
;; the leaf is called again. A suspension with state 0 says that the code is over, and that its stack can be used again.
;; The results of $leave are what runs on that stack next.

  (type $work (func (param i32 i32)))
  (type $stack (cont $work))
  (tag $leave (result i32 i32))

  ;; Stacks with frames that have left. The room of such frames has the number of its stack as its first word, and keeps
  ;; it as long as there is the room.
  (table $stacks 16 (ref null $stack))
  (global $stacks.used (mut i32) (i32.const 1))
  ;; with pool

  ;; Stacks that nobody needs, at most {pool}.
  (table $pool {pool} {pool} (ref null $stack))
  (global $pool.used (mut i32) (i32.const 0))
  ;; end pool

  (elem declare func $run)

  ;; What a stack runs: the code of a task.
  (func $run (type $work) (param $task i32) (param $event i32)
    ;; with pool
    (loop $next
    ;; end pool
      (call $drive (local.get $task) (local.get $event))
      ;; with pool
      (if (i32.lt_u (global.get $pool.used) (i32.const {pool}))
        (then
          (suspend $leave)
          (local.set $event)
          (local.set $task)
          (br $next))))
      ;; end pool
    )

  (func $stack_new (result (ref $stack))
    ;; with pool
    (if (global.get $pool.used)
      (then
        (global.set $pool.used (i32.sub (global.get $pool.used) (i32.const 1)))
        (return (ref.as_non_null (table.get $pool (global.get $pool.used))))))
    ;; end pool
    (cont.new $stack (ref.func $run)))

  ;; with others
  ;; Whether the tasks of a call may block. The others run on the stack that there is.
  (func $blocks (param $call i32) (result i32)
    (block $no
      (block $yes (br_table {blocking} $yes (local.get $call)))
      (return (i32.const 1)))
    (i32.const 0))
  ;; end others

  ;; The driver.
  (func $switch (export "switch") (param $task i32) (param $event i32)
    (local $driven i32) (local $stack (ref null $stack))
    ;; with others
    (if (i32.eqz (call $blocks (i32.load $memory offset=4 (local.get $task))))
      (then
        (call $drive (local.get $task) (local.get $event))
        (return)))
    ;; end others
    (local.set $driven (global.get $driven))
    (global.set $driven (i32.const 1))
    (block $over
      (block $left (result (ref $stack))
        (resume $stack (on $leave $left) (local.get $task) (local.get $event)
          (if (result (ref $stack)) (global.get $state)
            (then (ref.as_non_null (table.get $stacks (i32.load $memory (global.get $top)))))
            (else (call $stack_new))))
        (br $over))
      (local.set $stack)
      (if (global.get $state)
        (then
          (table.set $stacks (call $stack_number) (local.get $stack))
          (call $off (local.get $task) (local.get $event)))
        ;; with pool
        (else
          (table.set $pool (global.get $pool.used) (local.get $stack))
          (global.set $pool.used (i32.add (global.get $pool.used) (i32.const 1))))
        ;; end pool
        ))
    (global.set $driven (local.get $driven)))

  ;; The number of a stack whose frames leave, in their room.
  (func $stack_number (result i32)
    (local $number i32)
    (if (i32.lt_u (i32.sub (global.get $limit) (global.get $top)) (i32.const 8)) (then (call $grow (i32.const 8))))
    (local.set $number (i32.load $memory (global.get $top)))
    (if (local.get $number) (then (return (local.get $number))))
    (local.set $number (global.get $stacks.used))
    (if (i32.eq (local.get $number) (table.size $stacks))
      (then
        (if (i32.eq (table.grow $stacks (ref.null $stack) (local.get $number)) (i32.const -1))
          (then (call $stacks.exhausted)))))
    (global.set $stacks.used (i32.add (local.get $number) (i32.const 1)))
    (i32.store $memory (global.get $top) (local.get $number))
    (local.get $number))

  ;; There is no room for the stack of a task that is suspended.
  (func $stacks.exhausted unreachable)
