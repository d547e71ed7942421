;; What the host is given by an instance's `realloc` while a result with handles is lowered: ranges that must not overlap.
;; If they did, what has been translated in one place could be taken for a handle in another.
;;
;; A range, 32 bytes: +0 the next one, which lies below; +8 its start, +16 its end (i64). A watch that is interrupted,
;; 16 bytes: +0 whose it is, +4 its ranges.
(module
  (import "meld" "state" (memory $state 1))
  (import "meld" "block_new" (func $block_new (param i32) (result i32)))
  (import "meld" "block_free" (func $block_free (param i32 i32)))
  (import "meld" "trap OVERLAP" (func $overlap))
  (global $who (mut i32) (i32.const 0))     ;; whose `realloc` is watched; 0: nobody's
  (global $ranges (mut i32) (i32.const 0))  ;; the highest first

  ;; Begins to watch: what is interrupted.
  (func $watch_begin (export "watch_begin") (param $whose i32) (result i32)
    (local $before i32)
    (local.set $before (call $block_new (i32.const 16)))
    (i32.store $state (local.get $before) (global.get $who))
    (i32.store $state offset=4 (local.get $before) (global.get $ranges))
    (global.set $who (local.get $whose))
    (global.set $ranges (i32.const 0))
    (local.get $before))

  (func $watch_end (export "watch_end") (param $before i32)
    (local $range i32)
    (block $done
      (loop $more
        (local.set $range (global.get $ranges))
        (br_if $done (i32.eqz (local.get $range)))
        (global.set $ranges (i32.load $state (local.get $range)))
        (call $block_free (local.get $range) (i32.const 32))
        (br $more)))
    (global.set $who (i32.load $state (local.get $before)))
    (global.set $ranges (i32.load $state offset=4 (local.get $before)))
    (call $block_free (local.get $before) (i32.const 16)))

  ;; The host is given a range. Traps if it overlaps another one.
  (func $watch (export "watch") (param $whose i32) (param $start i64) (param $bytes i64)
    (local $end i64) (local $above i32) (local $below i32) (local $range i32)
    (if (i32.ne (local.get $whose) (global.get $who)) (then (return)))
    (if (i64.eqz (local.get $bytes)) (then (return)))
    (local.set $end (i64.add (local.get $start) (local.get $bytes)))
    (local.set $below (global.get $ranges))
    (block $found
      (loop $next
        (br_if $found (i32.eqz (local.get $below)))
        (br_if $found (i64.le_u (i64.load $state offset=16 (local.get $below)) (local.get $start)))
        (if (i64.lt_u (i64.load $state offset=8 (local.get $below)) (local.get $end)) (then (call $overlap) (unreachable)))
        (local.set $above (local.get $below))
        (local.set $below (i32.load $state (local.get $below)))
        (br $next)))
    (local.set $range (call $block_new (i32.const 32)))
    (i32.store $state (local.get $range) (local.get $below))
    (i64.store $state offset=8 (local.get $range) (local.get $start))
    (i64.store $state offset=16 (local.get $range) (local.get $end))
    (if (local.get $above)
      (then (i32.store $state (local.get $above) (local.get $range)))
      (else (global.set $ranges (local.get $range)))))
)
