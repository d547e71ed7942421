;; Frames off the stack. What blocks without a callback stays on the stack as long as only frames above it have to go on
;; first. Otherwise it leaves: `resumable-frames` makes the functions between a driver below and a *leaf* resumable, and
;; sets $movable; the protocol stands in `meld.rewriting.resumable`. Without that pass a frame that would have to leave traps.
;; A leaf is a built-in that blocks, or what it calls for that. It sets $frames.state to 1 and returns; what it needs when
;; it is called again is in its record (`tasks.wat`), which is the innermost then. A driver, and what it calls on the way
;; to the code of a task, keeps its own state: it is called again with $frames.state 2, and goes on to the call at once.
;;
;; Frames lie in a room, a block of the heap that begins with 32 bytes about what left: +0 next in its queue  +4 0, where
;;   a task has the number of its call  +8 the task  +12 the frame (`tasks.wat`)  +16, +20 top and limit of the room
;;   +24 not 0 if an event began it  +28 what ran: the task, or a synchronous call in it

  (global $frames.state (export "frames.state") (mut i32) (i32.const 0))  ;; 0 running, 1 leaving, 2 coming back
  (global $frames.base (mut i32) (i32.const 0))
  (global $frames.top (export "frames.top") (mut i32) (i32.const 0))
  (global $frames.limit (export "frames.limit") (mut i32) (i32.const 0))
  (global $movable (export "frames.movable") i32 (i32.const 0))  ;; -1 if frames can leave
  (global $driven (export "frames.driven") (mut i32) (i32.const 0))  ;; whether a driver is below, and no call of the host in between

  (global $rooms (mut i32) (i32.const 0))  ;; rooms of {room} bytes that nobody needs: the first one, or 0

  ;; Makes room for a frame: a room, or twice the room there is, in a new block.
  (func $frames.grow (export "frames.grow") (param $size i32)
    (local $bytes i32) (local $used i32) (local $room i32) (local $more i32)
    (local.set $bytes (i32.sub (global.get $frames.limit) (global.get $frames.base)))
    (local.set $used (i32.const 32))
    (local.set $more (i32.const {room}))
    (if (local.get $bytes)
      (then (local.set $used (i32.sub (global.get $frames.top) (global.get $frames.base)))))
    (if (i32.or (local.get $bytes) (i32.gt_u (local.get $size) (i32.const {room_left})))
      (then
        (local.set $more
          (i32.add (i32.shl (local.get $bytes) (i32.const 1)) (i32.add (local.get $size) (i32.const {room}))))))
    (local.set $room (call $block_new (local.get $more)))
    (if (local.get $bytes)
      (then
        (memory.copy $state $state (local.get $room) (global.get $frames.base) (local.get $used))
        (call $room_free (global.get $frames.base) (local.get $bytes))))
    (global.set $frames.base (local.get $room))
    (global.set $frames.top (i32.add (local.get $room) (local.get $used)))
    (global.set $frames.limit (i32.add (local.get $room) (local.get $more))))

  (func $room_free (param $room i32) (param $bytes i32)
    (if (i32.eq (local.get $bytes) (i32.const {room}))
      (then
        (i32.store $state (local.get $room) (global.get $rooms))
        (global.set $rooms (local.get $room)))
      (else (call $block_free (local.get $room) (local.get $bytes)))))

  ;; The room for what leaves next: one that nobody needs, if there is one, else `$frames.grow` makes it.
  (func $room_next
    (local $room i32)
    (local.set $room (global.get $rooms))
    (global.set $frames.base (local.get $room))
    (global.set $frames.top (i32.const 0))
    (global.set $frames.limit (i32.const 0))
    (if (local.get $room)
      (then
        (global.set $rooms (i32.load $state (local.get $room)))
        (global.set $frames.top (i32.add (local.get $room) (i32.const 32)))
        (global.set $frames.limit (i32.add (local.get $room) (i32.const {room}))))))

  ;; Whether frames leave, or come back. Where none can, engines see that the answer is 0, and make no code of it.
  (func $leaving (result i32)
    (i32.and (global.get $movable) (global.get $frames.state)))

  ;; Whether the innermost frame can leave.
  (func $may_leave (result i32)
    (i32.and (global.get $movable) (global.get $driven)))

  ;; The frames of the running task are back, and go on. Their room is the one for what leaves next.
  (func $landed
    (global.set $frames.state (i32.const 0)))

  ;; The driver: runs the code of a task from its start, or from an event, until it blocks or is over.
  (func $drive (export "frames.drive") (param $task i32) (param $event i32)
    (local $driven i32)
    (if (global.get $movable)
      (then
        (local.set $driven (global.get $driven))
        (global.set $driven (i32.const 1))))
    (if (local.get $event)
      (then (call $deliver (local.get $task)))
      (else (call $start (local.get $task))))
    (if (call $leaving) (then (call $off (local.get $task) (local.get $event))))
    (if (global.get $movable) (then (global.set $driven (local.get $driven)))))

  ;; The frames of a task have left: its record waits in a queue. One that yields is behind what has yielded before.
  (func $off (export "frames.off") (param $task i32) (param $event i32)
    (local $record i32) (local $frame i32)
    (local.set $record (global.get $frames.base))
    (local.set $frame (global.get $frame))
    (i32.store $state offset=4 (local.get $record) (i32.const 0))
    (i32.store $state offset=8 (local.get $record) (local.get $task))
    (i32.store $state offset=12 (local.get $record) (local.get $frame))
    (i32.store $state offset=16 (local.get $record) (global.get $frames.top))
    (i32.store $state offset=20 (local.get $record) (global.get $frames.limit))
    (i32.store $state offset=24 (local.get $record) (local.get $event))
    (i32.store $state offset=28 (local.get $record) (global.get $task))
    (global.set $frame (i32.load $state offset=12 (local.get $frame)))
    (call $room_next)
    (global.set $frames.state (i32.const 0))
    (call $leave (local.get $task))
    ;; with threads
    (if (i32.load $state offset=228 (local.get $task))
      (then
        (i32.store $state offset=240 (local.get $task) (local.get $record))
        (if (i32.eq (i32.load $state offset=228 (local.get $task)) (i32.const 1)) (then (return)))))
    ;; end threads
    (call $append
      (select (i32.const {later}) (i32.const {waiting})
        (i32.eq (i32.load $state offset=8 (local.get $frame)) (i32.add (local.get $frame) (i32.const 8))))
      (local.get $record)))

  ;; The frames come back, and go on. Nothing is kept while they run.
  (func $back (param $record i32)
    (local $task i32) (local $frame i32) (local $base i32)
    (local.set $base (global.get $frames.base))
    (if (local.get $base)
      (then
        (if (i32.ne (i32.sub (global.get $frames.limit) (local.get $base)) (i32.const {room}))
          (then (call $again_back (local.get $record)) (return)))
        (i32.store $state (local.get $base) (global.get $rooms))
        (global.set $rooms (local.get $base))))
    (local.set $task (i32.load $state offset=8 (local.get $record)))
    (local.set $frame (i32.load $state offset=12 (local.get $record)))
    (i32.store $state offset=12 (local.get $frame) (global.get $frame))
    (global.set $frame (local.get $frame))
    (call $enter (local.get $task))
    (global.set $task (i32.load $state offset=28 (local.get $record)))
    (global.set $frames.base (local.get $record))
    (global.set $frames.top (i32.load $state offset=16 (local.get $record)))
    (global.set $frames.limit (i32.load $state offset=20 (local.get $record)))
    (global.set $frames.state (i32.const 2))
    (call $drive (local.get $task) (i32.load $state offset=24 (local.get $record))))

  ;; The same where the room that would be kept is larger than others.
  (func $again_back (param $record i32)
    (call $block_free (global.get $frames.base) (i32.sub (global.get $frames.limit) (global.get $frames.base)))
    (global.set $frames.base (i32.const 0))
    (call $back (local.get $record)))

  ;; Brings the first frames back that can go on; 0 if there are none.
  (func $resume (result i32)
    (local $record i32) (local $before i32) (local $next i32)
    (local.set $record (i32.load $state (i32.const {waiting})))
    (block $found
      (loop $more
        (if (i32.eqz (local.get $record)) (then (return (i32.const 0))))
        (br_if $found (i32.load $state (i32.load $state offset=8 (i32.load $state offset=12 (local.get $record)))))
        (local.set $before (local.get $record))
        (local.set $record (i32.load $state (local.get $record)))
        (br $more)))
    (local.set $next (i32.load $state (local.get $record)))
    (i32.store $state (select (local.get $before) (i32.const {waiting}) (local.get $before)) (local.get $next))
    (if (i32.eqz (local.get $next)) (then (i32.store $state (i32.const {waiting_last}) (local.get $before))))
    (call $back (local.get $record))
    (i32.const 1))
