;; Error contexts that the host has, too (CanonicalABI.md, canon error-context.*). Only in a module that becomes a component.
;;
;; The host knows an error context by a handle of its own table, which is made when it is given the error context for the
;; first time, and dropped with it. What the host gives is an error context of nobody's, at +12 the record {nobody}.

  (func $error_give (param $error i32) (result i32)
    (if (i32.eqz (i32.load $state offset=16 (local.get $error)))
      (then
        (i32.store $state offset=16 (local.get $error)
          (call $host.error-context.new
            (i32.load $state offset=4 (local.get $error))
            (i32.load $state offset=8 (local.get $error))))))
    (i32.load $state offset=16 (local.get $error)))

  (func $error_take (param $handle i32) (result i32)
    (local $error i32)
    (local.set $error (call $block_new (i32.const {error_bytes})))
    (i32.store $state offset=12 (local.get $error) (i32.const {nobody}))
    (i32.store $state offset=16 (local.get $error) (local.get $handle))
    (call $host.error-context.debug-message (local.get $handle) (i32.add (local.get $error) (i32.const 4)))
    (call $error_count (local.get $error) (i32.add (i32.load $state offset=8 (local.get $error)) (i32.const 32)))
    (local.get $error))
