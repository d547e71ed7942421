;; Room in the state memory for what the host reads and writes in place of an instance: the values of one call, in blocks
;; of a list. What the host asks for, by `realloc`, goes to the list at $arena, until somebody takes it.
;;
;; A block: +0 the next one; +4 its bytes; +8 a list that goes with it; +16 the bytes that were asked for.
(module
  (import "meld" "state" (memory $state 1))
  (import "meld" "block_new" (func $block_new (param i32) (result i32)))
  (import "meld" "block_free" (func $block_free (param i32 i32)))
  (import "meld" "trap MEMORY" (func $out_of_memory))
  (global $arena (mut i32) (i32.const 0))

  ;; The canonical `realloc`. Blocks are given back by the list, so a larger one leaves the smaller one where it is.
  (func $arena_realloc (export "arena_realloc")
    (param $old i32) (param $old_bytes i32) (param $align i32) (param $bytes i32) (result i32)
    (local $block i32)
    (if (i32.gt_u (local.get $bytes) (i32.const 0x7ffffff0)) (then (call $out_of_memory) (unreachable)))
    (local.set $block (call $block_new (i32.add (local.get $bytes) (i32.const 16))))
    (i32.store $state (local.get $block) (global.get $arena))
    (i32.store $state offset=4 (local.get $block) (i32.add (local.get $bytes) (i32.const 16)))
    (global.set $arena (local.get $block))
    (local.set $block (i32.add (local.get $block) (i32.const 16)))
    (if (local.get $old_bytes)
      (then
        (memory.copy $state $state
          (local.get $block)
          (local.get $old)
          (select (local.get $old_bytes) (local.get $bytes) (i32.lt_u (local.get $old_bytes) (local.get $bytes))))))
    (local.get $block))

  ;; Begins a new list: the one before, to be put back.
  (func $arena_take (export "arena_take") (result i32)
    (local $list i32)
    (local.set $list (global.get $arena))
    (global.set $arena (i32.const 0))
    (local.get $list))

  (func $arena_put (export "arena_put") (param $list i32)
    (global.set $arena (local.get $list)))

  ;; Gives the blocks of a list back.
  (func $arena_free (export "arena_free") (param $list i32)
    (local $next i32)
    (block $done
      (loop $more
        (br_if $done (i32.eqz (local.get $list)))
        (local.set $next (i32.load $state (local.get $list)))
        (call $block_free (local.get $list) (i32.load $state offset=4 (local.get $list)))
        (local.set $list (local.get $next))
        (br $more))))

  ;; A result in the arena is handed to the host, and with it the list that holds all of it; then as `arena_put`.
  (func $arena_hand (export "arena_hand") (param $result i32) (param $list i32)
    (i32.store $state (i32.sub (local.get $result) (i32.const 8)) (global.get $arena))
    (global.set $arena (local.get $list)))

  ;; The canonical `post-return`: the host has read a result.
  (func $arena_post_return (export "arena_post_return") (param $result i32)
    (call $arena_free (i32.load $state (i32.sub (local.get $result) (i32.const 8)))))
)
