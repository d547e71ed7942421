;; Error contexts (CanonicalABI.md, canon error-context.*, lift_error_context, lower_error_context).
;;
;; An error context, {error_bytes} bytes: +0 how many handles it has; +4 address and +8 length of its message, UTF-8, in this
;; memory; +12 the record of the instance that made it, which at +72 counts the bytes of such messages. A message that is
;; longer than {most_units} code units, or would be too much for its instance, is left out, as a host may do. Where the host
;; may have it, too: +16 the host's handle of it, or 0 (`host_errors.wat`).

  ;; error-context.new begins: an error context, and whether the message is kept.
  (func $error_new (param $record i32) (param $units i32) (result i32 i32)
    (local $error i32)
    (local.set $error (call $block_new (i32.const {error_bytes})))
    (i32.store $state offset=12 (local.get $error) (local.get $record))
    (local.get $error)
    (i32.and
      (i32.le_u (local.get $units) (i32.const {most_units}))
      (i32.le_u (i32.load $state offset=72 (local.get $record)) (i32.const {most_bytes}))))

  ;; It ends: the handle.
  (func $error_made (param $error i32) (result i32)
    (call $error_count (local.get $error) (i32.add (i32.load $state offset=8 (local.get $error)) (i32.const 32)))
    (call $error_lower (i32.load $state offset=12 (local.get $error)) (local.get $error)))

  (func $error_count (param $error i32) (param $bytes i32)
    (local $record i32)
    (local.set $record (i32.load $state offset=12 (local.get $error)))
    (i32.store $state offset=72 (local.get $record)
      (i32.add (i32.load $state offset=72 (local.get $record)) (local.get $bytes))))

  ;; The error context of a handle; it goes to another instance as a value, too.
  (func $error_get (param $record i32) (param $handle i32) (result i32)
    (local $entry i32)
    (local.set $entry (call $entry_of (local.get $record) (local.get $handle)))
    (if (i32.ne (i32.load $state (local.get $entry)) (i32.const 3)) (then (call {trap NOT_ERROR_CONTEXT}) (unreachable)))
    (i32.load $state offset=4 (local.get $entry)))

  ;; An instance is given an error context: its handle.
  (func $error_lower (param $record i32) (param $error i32) (result i32)
    (i32.store $state (local.get $error) (i32.add (i32.load $state (local.get $error)) (i32.const 1)))
    (call $handle_add (local.get $record) (i32.const 3) (local.get $error) (i32.const 0)))

  (func $error_drop (param $record i32) (param $handle i32)
    (local $error i32) (local $left i32)
    (local.set $error (call $error_get (local.get $record) (local.get $handle)))
    (drop (call $handle_remove (local.get $record) (i32.const 3) (local.get $handle)))
    (local.set $left (i32.sub (i32.load $state (local.get $error)) (i32.const 1)))
    (i32.store $state (local.get $error) (local.get $left))
    (if (local.get $left) (then (return)))
    (call $error_count (local.get $error)
      (i32.sub (i32.const 0) (i32.add (i32.load $state offset=8 (local.get $error)) (i32.const 32))))
    (if (i32.load $state offset=4 (local.get $error))
      (then (call $message_free (i32.load $state offset=4 (local.get $error)))))
{host_error_drop}    (call $block_free (local.get $error) (i32.const {error_bytes})))
