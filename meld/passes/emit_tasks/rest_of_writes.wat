;; Buffers of which something has been read inside, and the rest by the host (CanonicalABI.md, "Stream State").
;;
;; What is left of a buffer can be read until its writer is told. So when the host gets the readable end before that, the
;; rest is written to it, and taken back when the writer is told: bit 1024 of the state of the channel, and from bit 4096
;; on the number of the type of the readable end.

  ;; The event that the end of the host's write is added to: 1 if there is none.
  (func $told_before (param $channel i32) (result i32)
    (local $bits i32)
    (local.set $bits (i32.load $state offset=32 (local.get $channel)))
    (if (i32.eqz (i32.and (local.get $bits) (i32.const 1024))) (then (return (i32.const 1))))
    (i32.store $state offset=32 (local.get $channel) (i32.and (local.get $bits) (i32.const 1023)))
    (i32.load $state offset=28 (local.get $channel)))

  ;; The writer is told now.
  (func $host_rest (param $waitable i32)
    (local $channel i32) (local $bits i32) (local $result i32)
    (call $host_look)
    (local.set $channel (i32.sub (local.get $waitable) (i32.const 16)))
    (local.set $bits (i32.load $state offset=32 (local.get $channel)))
    (if (i32.eqz (i32.and (local.get $bits) (i32.const 1024))) (then (return)))
    (local.set $result
      (call $host_withdraw (local.get $channel) (i32.or (i32.shr_u (local.get $bits) (i32.const 12)) (i32.const 1))))
    (call $host_moved (local.get $waitable) (local.get $channel) (local.get $result))
    (i32.store $state offset=12 (local.get $waitable)
      (i32.add (i32.and (local.get $result) (i32.const -3)) (call $told_before (local.get $channel)))))
