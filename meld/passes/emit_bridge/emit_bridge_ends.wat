;; The ends of local streams or futures: made, cancelled, dropped. Included by the templates of both.
;; {kind}: `stream` or `future`. {tag}: the bits of its handles that say that they are local, and of which kind.

  ;; The first slot that is neither live nor out of generations; the host's {kind} if there is none.
  (func ${kind}_new (export "{kind}_new") (result i64)
    (local $slot i32) (local $header i32) (local $state i32) (local $key i32)
    (loop $scan
      (local.set $header (i32.shl (local.get $slot) (i32.const 4)))
      (local.set $state (i32.load $bridge offset={state} (local.get $header)))
      (if (i32.eqz (i32.load $bridge offset={key} (local.get $header)))
        (then
          (if (i32.lt_u (local.get $state) (i32.const {state_limit}))
            (then
              (local.set $key
                (i32.or
                  (i32.const {tag})
                  (i32.or
                    (i32.shl (i32.shr_u (local.get $state) (i32.const 2)) (i32.const {slot_bits}))
                    (local.get $slot))))
              (i64.store $bridge offset={words} (local.get $header) (i64.const 0))
              (i32.store $bridge offset={key} (local.get $header) (local.get $key))
              (return
                (i64.or
                  (i64.extend_i32_u (local.get $key))
                  (i64.shl
                    (i64.extend_i32_u (i32.or (local.get $key) (i32.const 0x40000000)))
                    (i64.const 32))))))))
      (local.set $slot (i32.add (local.get $slot) (i32.const 1)))
      (br_if $scan (i32.lt_u (local.get $slot) (i32.const {slots}))))
    (call $host.{kind}_new))

  ;; Nothing is ever pending on a local {kind}.
  (func ${kind}_cancel_read (export "{kind}_cancel_read") (param $handle i32) (result i32)
    (if (i32.ge_s (local.get $handle) (i32.const 0))
      (then (return (call $host.{kind}_cancel_read (local.get $handle)))))
    (select
      (i32.const 0)
      (i32.const -2)
      (i32.eq
        (local.get $handle)
        (i32.load $bridge offset={key}
          (i32.shl (i32.and (local.get $handle) (i32.const {slot_mask})) (i32.const 4))))))

  (func ${kind}_cancel_write (export "{kind}_cancel_write") (param $handle i32) (result i32)
    (if (i32.ge_s (local.get $handle) (i32.const 0))
      (then (return (call $host.{kind}_cancel_write (local.get $handle)))))
    (select
      (i32.const 0)
      (i32.const -2)
      (i32.eq
        (i32.xor (local.get $handle) (i32.const 0x40000000))
        (i32.load $bridge offset={key}
          (i32.shl (i32.and (local.get $handle) (i32.const {slot_mask})) (i32.const 4))))))

  (func ${kind}_drop_readable (export "{kind}_drop_readable") (param $handle i32)
    (if (i32.ge_s (local.get $handle) (i32.const 0))
      (then (call $host.{kind}_drop_readable (local.get $handle)) (return)))
    (call $drop (local.get $handle) (local.get $handle) (i32.const 1)))

  (func ${kind}_drop_writable (export "{kind}_drop_writable") (param $handle i32)
    (if (i32.ge_s (local.get $handle) (i32.const 0))
      (then (call $host.{kind}_drop_writable (local.get $handle)) (return)))
    (call $drop (local.get $handle) (i32.xor (local.get $handle) (i32.const 0x40000000)) (i32.const 2)))

  ;; Marks one end (1 reader, 2 writer) of the slot as dropped. With both gone the slot is free: not live, and its
  ;; generation moved on.
  (func $drop (param $handle i32) (param $key i32) (param $end i32)
    (local $header i32) (local $state i32)
    (local.set $header (i32.shl (i32.and (local.get $handle) (i32.const {slot_mask})) (i32.const 4)))
    (if (i32.ne (local.get $key) (i32.load $bridge offset={key} (local.get $header)))
      (then (unreachable)))
    (local.set $state (i32.load $bridge offset={state} (local.get $header)))
    (if (i32.and (local.get $state) (local.get $end))
      (then (unreachable)))
    (local.set $state (i32.or (local.get $state) (local.get $end)))
    (if (i32.eq (i32.and (local.get $state) (i32.const 3)) (i32.const 3))
      (then
        ;; …gg11 + 1 carries into the generation and clears both bits
        (local.set $state (i32.add (local.get $state) (i32.const 1)))
        (i32.store $bridge offset={key} (local.get $header) (i32.const 0))))
    (i32.store $bridge offset={state} (local.get $header) (local.get $state)))
