;; What `memory.copy` and `memory.fill` do, with single loads and stores. A range that does not lie in the memory traps
;; before anything is written, by an access that lies in no memory.
(module
  (import "meld" "memory" (memory $memory 0))

  (func $check (param $at i32) (param $bytes i32)
    (if (i64.gt_u
          (i64.add (i64.extend_i32_u (local.get $at)) (i64.extend_i32_u (local.get $bytes)))
          (i64.shl (i64.extend_i32_u (memory.size $memory)) (i64.const 16)))
      (then
        (drop (i32.load8_u $memory offset=0xffffffff (i32.const -1)))
        (unreachable))))

  (func $copy (export "copy") (param $to i32) (param $from i32) (param $bytes i32)
    (local $end i32)
    (call $check (local.get $to) (local.get $bytes))
    (call $check (local.get $from) (local.get $bytes))
    ;; where the target begins inside the source, from the last byte down
    (if (i32.lt_u (i32.sub (local.get $to) (local.get $from)) (local.get $bytes))
      (then
        (block $single
          (loop $next
            (br_if $single (i32.lt_u (local.get $bytes) (i32.const 8)))
            (local.set $bytes (i32.sub (local.get $bytes) (i32.const 8)))
            (i64.store $memory align=1
              (i32.add (local.get $to) (local.get $bytes))
              (i64.load $memory align=1 (i32.add (local.get $from) (local.get $bytes))))
            (br $next)))
        (loop $next
          (if (local.get $bytes)
            (then
              (local.set $bytes (i32.sub (local.get $bytes) (i32.const 1)))
              (i32.store8 $memory
                (i32.add (local.get $to) (local.get $bytes))
                (i32.load8_u $memory (i32.add (local.get $from) (local.get $bytes))))
              (br $next))))
        (return)))
    (local.set $end (i32.add (local.get $from) (local.get $bytes)))
    (block $single
      (loop $next
        (br_if $single (i32.lt_u (i32.sub (local.get $end) (local.get $from)) (i32.const 8)))
        (i64.store $memory align=1 (local.get $to) (i64.load $memory align=1 (local.get $from)))
        (local.set $to (i32.add (local.get $to) (i32.const 8)))
        (local.set $from (i32.add (local.get $from) (i32.const 8)))
        (br $next)))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $from) (local.get $end)))
        (i32.store8 $memory (local.get $to) (i32.load8_u $memory (local.get $from)))
        (local.set $to (i32.add (local.get $to) (i32.const 1)))
        (local.set $from (i32.add (local.get $from) (i32.const 1)))
        (br $next))))

  (func $fill (export "fill") (param $at i32) (param $byte i32) (param $bytes i32)
    (local $end i32) (local $eight i64)
    (call $check (local.get $at) (local.get $bytes))
    (local.set $end (i32.add (local.get $at) (local.get $bytes)))
    (local.set $eight
      (i64.mul
        (i64.extend_i32_u (i32.and (local.get $byte) (i32.const 255)))
        (i64.const 0x0101010101010101)))
    (block $single
      (loop $next
        (br_if $single (i32.lt_u (i32.sub (local.get $end) (local.get $at)) (i32.const 8)))
        (i64.store $memory align=1 (local.get $at) (local.get $eight))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br $next)))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $at) (local.get $end)))
        (i32.store8 $memory (local.get $at) (local.get $byte))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next))))

  ;; Traps unless the range lies in the memory.
  (export "check" (func $check))
)
