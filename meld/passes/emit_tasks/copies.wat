;; {kind}.{verb} of one domain (CanonicalABI.md, "Stream State", "Future State"; canon {stream,future}.{read,write}).
;; `channels.wat` describes the channel. The first end that comes parks its buffer, the second one copies. Plain bytes are
;; copied last, since both ranges have been checked: then hardly any value has to be kept while an engine's own copy runs.

  ;; The packed result, or -1 (BLOCKED): the buffer is parked; one that is synchronous waits then. Where places are few,
  ;; each has functions of its own.
  (func {name} {given}(param $handle i32) (param $ptr i32) (param $n i32) (result i32)
    (local $channel i32) (local $bits i32) (local $set i32) (local $left i32) (local $moved i32) (local $parked i32) (local $event i32){words}
    (block $known
      (if (i32.lt_u (local.get $handle) (i32.load $state offset=4 {record}))
        (then
          (local.set $channel
            (i32.add (i32.load $state {record}) (i32.shl (local.get $handle) (i32.const 4))))
          (br_if $known (i32.eq (i32.load $state (local.get $channel)) (i32.const {type})))))
      (call $end_refused {record} (i32.const {type}) (local.get $handle))
      (unreachable))
    (local.set $channel {channel})
    (local.set $bits (i32.load $state offset=32 (local.get $channel)))
    (if (i32.and (local.get $bits) (i32.const {rare}))
      (then
        (if (i32.and (local.get $bits) (i32.const {not_idle}))
          (then
            (if (i32.and (local.get $bits) (i32.const {busy})) (then (call {trap COPYING}) (unreachable)))
            (call {done_trap})
            (unreachable)))
        (if (i32.and (local.get $bits) (i32.const {other_dropped}))
          (then
            (i32.store $state offset=32 (local.get $channel)
              (i32.or (local.get $bits) (i32.const {bits_when_dropped})))
            ;; if it has not heard of that yet, it does now
            (if (i32.load $state offset={event} (local.get $channel))
              (then (drop (call $waitable_deliver {mine}))))
            (return (i32.const 1)))){host_copy}))
    (block $park
      (br_if $park (i32.eqz (i32.and (local.get $bits) (i32.const {other_parked}))))
      {check_instance}
      (local.set $left (i32.load $state offset=40 (local.get $channel)))
      (local.set $moved
        (select (local.get $left) (local.get $n) (i32.gt_u (local.get $n) (local.get $left))))
      {meet_zero}
      (local.set $parked (i32.load $state offset=36 (local.get $channel)))
      {copy_first}
      (local.set $event (i32.load $state offset={other_event} (local.get $channel)))
      (if (local.get $event)
        (then
          (i32.store $state offset={other_event} (local.get $channel)
            (i32.add (local.get $event) {progress})))
        (else
          (i32.store $state offset={other_event} (local.get $channel) (i32.add {progress} (i32.const 1)))
          (local.set $set (i32.load $state offset={other_set} (local.get $channel)))
          (if (i32.gt_u (local.get $set) (i32.const 1))
            (then
              (call $set_append (local.get $set) {other})))))
      (local.set $left (i32.sub (local.get $left) (local.get $moved)))
      (if (local.get $left)
        (then
          (i32.store $state offset=36 (local.get $channel)
            (i32.add (local.get $parked) {bytes_moved}))
          (i32.store $state offset=40 (local.get $channel) (local.get $left)))
        (else
          (i32.store $state offset=32 (local.get $channel)
            {bits_moved})))
      {copy_last}
      (return {progress}))
    (i32.store $state offset=32 (local.get $channel) (i32.or (local.get $bits) (i32.const {busy_and_parked})))
    (i32.store $state offset=36 (local.get $channel) (local.get $ptr))
    (i32.store $state offset=40 (local.get $channel) (local.get $n))
    (i32.store $state offset=44 (local.get $channel) {place})
    (i32.store $state offset=48 (local.get $channel) {record})
    {blocked}){again}
