;; Room in the state memory for what the host writes at a time of its own: results of calls that go on, and elements of
;; streams. Blocks are given back when nobody waits for such values any more.
;;
;; A block: +0 the next one; +4 its bytes.
(module
  (import "meld" "state" (memory $state 1))
  (import "meld" "block_new" (func $block_new (param i32) (result i32)))
  (import "meld" "arena_free" (func $arena_free (param i32)))
  (import "meld" "trap MEMORY" (func $out_of_memory))
  (global $blocks (mut i32) (i32.const 0))
  (global $users (mut i32) (i32.const 0))

  ;; The canonical `realloc`.
  (func $host_realloc (export "host_realloc")
    (param $old i32) (param $old_bytes i32) (param $align i32) (param $bytes i32) (result i32)
    (local $block i32)
    (if (i32.gt_u (local.get $bytes) (i32.const 0x7ffffff0)) (then (call $out_of_memory) (unreachable)))
    (local.set $block (call $block_new (i32.add (local.get $bytes) (i32.const 16))))
    (i32.store $state (local.get $block) (global.get $blocks))
    (i32.store $state offset=4 (local.get $block) (i32.add (local.get $bytes) (i32.const 16)))
    (global.set $blocks (local.get $block))
    (local.set $block (i32.add (local.get $block) (i32.const 16)))
    (if (local.get $old_bytes)
      (then
        (memory.copy $state $state
          (local.get $block)
          (local.get $old)
          (select (local.get $old_bytes) (local.get $bytes) (i32.lt_u (local.get $old_bytes) (local.get $bytes))))))
    (local.get $block))

  ;; Somebody waits for values of the host's.
  (func $host_begin (export "host_begin")
    (global.set $users (i32.add (global.get $users) (i32.const 1))))

  ;; They have been copied.
  (func $host_end (export "host_end")
    (global.set $users (i32.sub (global.get $users) (i32.const 1)))
    (if (i32.eqz (global.get $users))
      (then
        (call $arena_free (global.get $blocks))
        (global.set $blocks (i32.const 0)))))
)
