;; An intrinsic of the host that moves bytes, for regions of a single memory: `ptr` and `mem` come in terms of the
;; program's memories and leave in terms of the single one. Spliced once per intrinsic.
;;
;; The host clamps a count to what it has or takes, and only then asks whether the bytes lie in the memory. It does not
;; know of regions, so a buffer that ends beyond its region never reaches it as it is. Instead it is asked about memory
;; −1, which no module has: it answers if nothing is to be moved, and traps if something is, as it would have.
(module
  (import "meld" "memory" (memory $memory 0))
{imports}
  (import "host" "call" (func $host {signature}))

  (func $call {signature}
    (local $base i32) (local $size i32) (local $room i64) (local $moved i32)
    (block $found
{cases}
      (return (call $host {passed_nowhere})))
    (local.set $room
      (i64.sub
        (i64.shl (i64.extend_i32_u (local.get $size)) (i64.const 16))
        (i64.extend_i32_u (local.get $ptr))))
    (if (i64.ge_s (local.get $room) {reach})
      (then
        (local.set $ptr (i32.add (local.get $base) (local.get $ptr)))
        (return (call $host {passed}))))
{beyond}))
