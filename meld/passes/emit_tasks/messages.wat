;; Memory for the messages of error contexts: a block of the heap each, with its size in front of it.
(module
  (import "meld" "state" (memory $state 1))
  (import "meld" "block_new" (func $block_new (param i32) (result i32)))
  (import "meld" "block_free" (func $block_free (param i32 i32)))

  ;; The canonical `realloc`, for strings.
  (func $message_realloc (export "message_realloc")
    (param $old i32) (param $old_bytes i32) (param $align i32) (param $bytes i32) (result i32)
    (local $block i32)
    (local.set $block (call $block_new (i32.add (local.get $bytes) (i32.const 16))))
    (i32.store $state (local.get $block) (i32.add (local.get $bytes) (i32.const 16)))
    (local.set $block (i32.add (local.get $block) (i32.const 16)))
    (if (local.get $old)
      (then
        (memory.copy $state $state (local.get $block) (local.get $old)
          (select (local.get $old_bytes) (local.get $bytes) (i32.lt_u (local.get $old_bytes) (local.get $bytes))))
        (call $message_free (local.get $old))))
    (local.get $block))

  (func $message_free (export "message_free") (param $message i32)
    (local.set $message (i32.sub (local.get $message) (i32.const 16)))
    (call $block_free (local.get $message) (i32.load $state (local.get $message))))
)
