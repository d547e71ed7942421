  ;; The address of the entry of a handle of any kind; traps if there is none.
  (func $entry_of (param $record i32) (param $handle i32) (result i32)
    (local $entry i32)
    (block $unknown
      (br_if $unknown (i32.ge_u (local.get $handle) (i32.load $state offset=4 (local.get $record))))
      (local.set $entry
        (i32.add (i32.load $state (local.get $record)) (i32.shl (local.get $handle) (i32.const 4))))
      (br_if $unknown (i32.eqz (i32.load $state (local.get $entry))))
      (return (local.get $entry)))
    (call {trap HANDLE} (local.get $handle))
    (unreachable))
