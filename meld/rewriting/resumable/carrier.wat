(module
  ;; Frames of one task lie one behind the other, the innermost first. $top is behind the last one, $limit behind the
  ;; room there is. All are zero-based addresses in $frames; the first 8 bytes are left free, so that none is at 0.
  (memory $frames (export "memory") 1 65535)
  (global $frames.state (export "state") (mut i32) (i32.const 0))
  (global $frames.top (export "top") (mut i32) (i32.const 8))
  (global $frames.limit (export "limit") (mut i32) (i32.const 65536))

  ;; Makes room for one more frame at $top.
  (func $frames.grow (export "grow") (param $size i32)
    (if (i32.eq (memory.grow $frames (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1))) (i32.const -1))
      (then (call $frames.exhausted)))
    (global.set $frames.limit
      (i32.add (global.get $frames.limit)
        (i32.shl (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1)) (i32.const 16)))))

  ;; There is no memory for the frames of a task that is suspended.
  (func $frames.exhausted unreachable))
