;; Handle tables: one per component instance, for handles of all kinds (CanonicalABI.md, "Table State", "Resource State").
;;
;; Each instance has a record at a fixed address of the state memory; it is the first parameter of every function here:
;;   +0 address of the table   +4 entries ever used   +8 last index that was freed, 0 if there is none   +12 capacity
;;   +64 loans of its handles that have not ended
;; Entry i, 16 bytes at 16·i of the table: +0 type number, 0 if the entry is free; +4 object; +8 2·lends + 1 if the handle
;; owns; +12 next free index, or the scope of a borrow handle. Entry 0 is never used. A table grows by moving: no address
;; of an entry outlives the next handle_add of its instance.
;;
;; A call that lends handles has a scope, 16 bytes: +0 borrow handles that its callee still holds; +4 further loans,
;; a list of blocks (index, next); +8 index of the first loan; +12 1 if the caller is outside the module.
(module
  (import "meld" "state" (memory $state 1))
  (import "meld" "block_new" (func $block_new (param i32) (result i32)))
  (import "meld" "block_free" (func $block_free (param i32 i32)))
  (import "meld" "trap TABLE" (func $table_full))
  (import "meld" "trap HANDLE" (func $unknown_handle (param i32)))
  (import "meld" "trap HANDLE_TYPE" (func $wrong_type (param i32)))
  (import "meld" "trap {no_resource}" (func $no_resource (param i32)))
  (import "meld" "trap LENT" (func $lent))
  (import "meld" "trap NOT_OWN" (func $not_own))
  (import "meld" "trap BORROWS" (func $borrows_remain))

  ;; A new handle (resource.new, lower_own): its index. `word` is 1 if it owns its object, else 0.
  (func $handle_add (export "handle_add") (param $record i32) (param $type i32) (param $object i32) (param $word i32) (result i32)
    (local $index i32) (local $entry i32)
    (local.set $index (i32.load $state offset=8 (local.get $record)))
    (if (local.get $index)
      (then
        (local.set $entry (i32.add (i32.load $state (local.get $record)) (i32.shl (local.get $index) (i32.const 4))))
        (i32.store $state offset=8 (local.get $record) (i32.load $state offset=12 (local.get $entry))))
      (else
        (local.set $index (i32.load $state offset=4 (local.get $record)))
        (if (i32.ge_u (local.get $index) (i32.load $state offset=12 (local.get $record)))
          (then (local.set $index (call $grow (local.get $record) (local.get $index)))))
        (i32.store $state offset=4 (local.get $record) (i32.add (local.get $index) (i32.const 1)))
        (local.set $entry (i32.add (i32.load $state (local.get $record)) (i32.shl (local.get $index) (i32.const 4))))))
    (i32.store $state (local.get $entry) (local.get $type))
    (i32.store $state offset=4 (local.get $entry) (local.get $object))
    (i32.store $state offset=8 (local.get $entry) (local.get $word))
    (i32.store $state offset=12 (local.get $entry) (i32.const 0))
    (local.get $index))

  ;; Doubles a table that is full, or makes it; the next index.
  (func $grow (param $record i32) (param $length i32) (result i32)
    (local $table i32) (local $bytes i32)
    (if (i32.ge_u (local.get $length) (i32.const {limit})) (then (call $table_full) (unreachable)))
    (if (i32.eqz (local.get $length))
      (then
        (i32.store $state (local.get $record) (call $block_new (i32.const {first_bytes})))
        (i32.store $state offset=12 (local.get $record) (i32.const {first}))
        (return (i32.const 1))))
    (local.set $bytes (i32.shl (local.get $length) (i32.const 4)))
    (local.set $table (call $block_new (i32.shl (local.get $bytes) (i32.const 1))))
    (memory.copy $state $state (local.get $table) (i32.load $state (local.get $record)) (local.get $bytes))
    (call $block_free (i32.load $state (local.get $record)) (local.get $bytes))
    (i32.store $state (local.get $record) (local.get $table))
    (i32.store $state offset=12 (local.get $record) (i32.shl (local.get $length) (i32.const 1)))
    (local.get $length))

  ;; The address of the entry of a handle; traps unless it is a handle of that type.
  (func $handle_entry (export "handle_entry") (param $record i32) (param $type i32) (param $handle i32) (result i32)
    (local $entry i32)
    (if (i32.ge_u (local.get $handle) (i32.load $state offset=4 (local.get $record)))
      (then (call $unknown_handle (local.get $handle)) (unreachable)))
    (local.set $entry (i32.add (i32.load $state (local.get $record)) (i32.shl (local.get $handle) (i32.const 4))))
    (if (i32.ne (i32.load $state (local.get $entry)) (local.get $type))
      (then
        (call $other_type (local.get $type) (i32.load $state (local.get $entry)) (local.get $handle) (local.get $handle))
        (unreachable)))
    (local.get $entry))

  ;; Traps for an entry of another type, 0 if it is free; the sign is set while it is offered to the host. `shown` is the handle for messages about what is no resource.
  (func $other_type (param $type i32) (param $found i32) (param $handle i32) (param $shown i32)
    (if (i32.eqz (local.get $found)) (then (call $unknown_handle (local.get $handle))))
    (if (i32.lt_u (i32.sub (local.get $type) (i32.const {first_resource})) (i32.const {resources}))
      (then
        (if (i32.ge_u
              (i32.sub (i32.and (local.get $found) (i32.const 0x7fffffff)) (i32.const {first_resource}))
              (i32.const {resources}))
          (then (call $no_resource (local.get $shown))))))
    (call $wrong_type (local.get $handle)))

  ;; The object of a handle. The engine's `resource.rep` does not say which index is no resource.
  (func $handle_get (export "handle_get") (param $record i32) (param $type i32) (param $handle i32) (result i32)
    (local $entry i32)
    (if (i32.ge_u (local.get $handle) (i32.load $state offset=4 (local.get $record)))
      (then (call $unknown_handle (local.get $handle)) (unreachable)))
    (local.set $entry (i32.add (i32.load $state (local.get $record)) (i32.shl (local.get $handle) (i32.const 4))))
    (if (i32.ne (i32.load $state (local.get $entry)) (local.get $type))
      (then
        (call $other_type (local.get $type) (i32.load $state (local.get $entry)) (local.get $handle) (i32.const -2))
        (unreachable)))
    (i32.load $state offset=4 (local.get $entry)))

  ;; Takes a handle out of the table, whatever it owns or lends: its object.
  (func $handle_remove (export "handle_remove") (param $record i32) (param $type i32) (param $handle i32) (result i32)
    (local $entry i32)
    (local.set $entry (call $handle_entry (local.get $record) (local.get $type) (local.get $handle)))
    (call $release (local.get $record) (local.get $entry) (local.get $handle))
    (i32.load $state offset=4 (local.get $entry)))

  (func $release (param $record i32) (param $entry i32) (param $handle i32)
    (i32.store $state (local.get $entry) (i32.const 0))
    (i32.store $state offset=12 (local.get $entry) (i32.load $state offset=8 (local.get $record)))
    (i32.store $state offset=8 (local.get $record) (local.get $handle)))

  ;; resource.drop without its destructor: the object, and whether something is to be told: the handle owned it (1), or
  ;; it was borrowed from outside the module (2).
  (func $drop (export "drop") (param $record i32) (param $type i32) (param $handle i32) (result i32 i32)
    (local $entry i32) (local $word i32) (local $scope i32)
    (local.set $entry (call $handle_entry (local.get $record) (local.get $type) (local.get $handle)))
    (local.set $word (i32.load $state offset=8 (local.get $entry)))
    (if (i32.gt_u (local.get $word) (i32.const 1)) (then (call $lent) (unreachable)))
    (if (i32.eqz (local.get $word))
      (then
        (local.set $scope (i32.load $state offset=12 (local.get $entry)))
        (i32.store $state (local.get $scope) (i32.sub (i32.load $state (local.get $scope)) (i32.const 1)))
        (local.set $word (i32.shl (i32.load $state offset=12 (local.get $scope)) (i32.const 1)))))
    (call $release (local.get $record) (local.get $entry) (local.get $handle))
    (i32.load $state offset=4 (local.get $entry))
    (local.get $word))

  ;; An own handle leaves the instance: its object.
  (func $lift_own (export "lift_own") (param $record i32) (param $type i32) (param $handle i32) (result i32)
    (local $entry i32) (local $word i32)
    (local.set $entry (call $handle_entry (local.get $record) (local.get $type) (local.get $handle)))
    (local.set $word (i32.load $state offset=8 (local.get $entry)))
    (if (i32.ne (local.get $word) (i32.const 1))
      (then
        (if (i32.and (local.get $word) (i32.const 1)) (then (call $lent)))
        (call $not_own)
        (unreachable)))
    (call $release (local.get $record) (local.get $entry) (local.get $handle))
    (i32.load $state offset=4 (local.get $entry)))

  ;; A handle is lent for the time of a call: its object.
  (func $lift_borrow (export "lift_borrow") (param $record i32) (param $type i32) (param $handle i32) (param $scope i32) (result i32)
    (local $entry i32) (local $loan i32)
    (local.set $entry (call $handle_entry (local.get $record) (local.get $type) (local.get $handle)))
    (call $count_loan (local.get $record))
    (i32.store $state offset=8 (local.get $entry) (i32.add (i32.load $state offset=8 (local.get $entry)) (i32.const 2)))
    (if (i32.load $state offset=8 (local.get $scope))
      (then
        (local.set $loan (call $block_new (i32.const 16)))
        (i32.store $state (local.get $loan) (local.get $handle))
        (i32.store $state offset=4 (local.get $loan) (i32.load $state offset=4 (local.get $scope)))
        (i32.store $state offset=4 (local.get $scope) (local.get $loan)))
      (else (i32.store $state offset=8 (local.get $scope) (local.get $handle))))
    (i32.load $state offset=4 (local.get $entry)))

  ;; Loans take memory, so an instance has no more of them than handles.
  (func $count_loan (param $record i32)
    (if (i32.ge_u (i32.load $state offset=64 (local.get $record)) (i32.const {limit})) (then (call $table_full) (unreachable)))
    (i32.store $state offset=64 (local.get $record) (i32.add (i32.load $state offset=64 (local.get $record)) (i32.const 1))))

  ;; An instance is given a borrow handle, which it has to drop before its call ends: its index.
  (func $lower_borrow (export "lower_borrow") (param $record i32) (param $type i32) (param $object i32) (param $scope i32) (result i32)
    (local $handle i32)
    (i32.store $state (local.get $scope) (i32.add (i32.load $state (local.get $scope)) (i32.const 1)))
    (local.set $handle (call $handle_add (local.get $record) (local.get $type) (local.get $object) (i32.const 0)))
    (i32.store $state offset=12
      (i32.add (i32.load $state (local.get $record)) (i32.shl (local.get $handle) (i32.const 4)))
      (local.get $scope))
    (local.get $handle))

  ;; A call is prepared: its scope. `outside` is 1 if its caller is outside the module, else 0.
  (func $scope_new (export "scope_new") (param $outside i32) (result i32)
    (local $scope i32)
    (local.set $scope (call $block_new (i32.const 16)))
    (i32.store $state offset=12 (local.get $scope) (local.get $outside))
    (local.get $scope))

  ;; The callee returns: it holds no borrow handle of the call any more.
  (func $end_borrows (export "end_borrows") (param $scope i32)
    (if (i32.load $state (local.get $scope)) (then (call $borrows_remain) (unreachable))))

  ;; The call is over: what its caller has lent is its own again.
  (func $end_loans (export "end_loans") (param $record i32) (param $scope i32)
    (local $loan i32) (local $next i32)
    (if (i32.eqz (i32.load $state offset=8 (local.get $scope))) (then (return)))
    (call $end_loan (local.get $record) (i32.load $state offset=8 (local.get $scope)))
    (i32.store $state offset=8 (local.get $scope) (i32.const 0))
    (local.set $loan (i32.load $state offset=4 (local.get $scope)))
    (i32.store $state offset=4 (local.get $scope) (i32.const 0))
    (block $done
      (loop $more
        (br_if $done (i32.eqz (local.get $loan)))
        (call $end_loan (local.get $record) (i32.load $state (local.get $loan)))
        (local.set $next (i32.load $state offset=4 (local.get $loan)))
        (call $block_free (local.get $loan) (i32.const 16))
        (local.set $loan (local.get $next))
        (br $more))))

  (func $end_loan (param $record i32) (param $handle i32)
    (local $entry i32)
    (local.set $entry (i32.add (i32.load $state (local.get $record)) (i32.shl (local.get $handle) (i32.const 4))))
    (i32.store $state offset=8 (local.get $entry) (i32.sub (i32.load $state offset=8 (local.get $entry)) (i32.const 2)))
    (i32.store $state offset=64 (local.get $record) (i32.sub (i32.load $state offset=64 (local.get $record)) (i32.const 1))))

  (func $scope_free (export "scope_free") (param $scope i32)
    (call $block_free (local.get $scope) (i32.const 16)))
)
