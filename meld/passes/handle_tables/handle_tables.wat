;; The handle table of one component instance (CanonicalABI.md, "Table State" and "Resource State").
;;
;; Entry i, 16 bytes at 16·i of the table's memory: +0 number of the resource type, 0 if the entry is free; +4 the
;; representation; +8 2·lends + 1 if the handle owns; +12 next free entry, or the scope of a borrow handle. Entry 0 is
;; never used.
;;
;; All instances share a stack, since calls are nested; 4 bytes each. A call in which handles are borrowed pushes the
;; number of borrow handles that its callee still holds; the address behind it is the scope of the call. Lent handles are
;; logged above it: the address of the entry in the caller's table.
(module
  (import "meld" "lends" (memory $lends 1))
  (import "meld" "lends_top" (global $lends_top (mut i32)))
  (import "meld" "scope" (global $scope (mut i32)))  ;; of the call that is being prepared
  (import "meld" "trap TABLE" (func $table_full))
  (import "meld" "trap HANDLE" (func $unknown_handle (param i32)))
  (import "meld" "trap HANDLE_TYPE" (func $wrong_type (param i32)))
  (import "meld" "trap LENT" (func $lent))
  (import "meld" "trap NOT_OWN" (func $not_own))
  (import "meld" "trap BORROWS" (func $borrows_remain))
  (memory $table 1)
  (global $length (mut i32) (i32.const 1))   ;; entries ever used, and entry 0
  (global $free (mut i32) (i32.const 0))     ;; last entry that was freed; 0 if there is none

  ;; A new entry; `owns` is 1 or 0. Answers its index.
  (func $add (param $type i32) (param $rep i32) (param $owns i32) (result i32)
    (local $index i32) (local $entry i32)
    (local.set $index (global.get $free))
    (if (local.get $index)
      (then (global.set $free (i32.load $table offset=12 (i32.shl (local.get $index) (i32.const 4)))))
      (else
        (local.set $index (global.get $length))
        (if (i32.ge_u (local.get $index) (i32.const 0x10000000)) (then (call $table_full) (unreachable)))
        (if (i32.ge_u (local.get $index) (i32.shl (memory.size $table) (i32.const 12)))
          (then (if (i32.eq (memory.grow $table (i32.const 1)) (i32.const -1)) (then (call $table_full) (unreachable)))))
        (global.set $length (i32.add (local.get $index) (i32.const 1)))))
    (local.set $entry (i32.shl (local.get $index) (i32.const 4)))
    (i32.store $table (local.get $entry) (local.get $type))
    (i32.store $table offset=4 (local.get $entry) (local.get $rep))
    (i32.store $table offset=8 (local.get $entry) (local.get $owns))
    (local.get $index))

  ;; The address of the entry of a handle; traps unless it is a handle of that resource type.
  (func $entry (param $type i32) (param $handle i32) (result i32)
    (local $entry i32)
    (if (i32.ge_u (local.get $handle) (global.get $length)) (then (call $unknown_handle (local.get $handle)) (unreachable)))
    (local.set $entry (i32.shl (local.get $handle) (i32.const 4)))
    (if (i32.ne (i32.load $table (local.get $entry)) (local.get $type))
      (then
        (if (i32.load $table (local.get $entry)) (then (call $wrong_type (local.get $handle))))
        (call $unknown_handle (local.get $handle))
        (unreachable)))
    (local.get $entry))

  (func $release (param $entry i32)
    (i32.store $table (local.get $entry) (i32.const 0))
    (i32.store $table offset=12 (local.get $entry) (global.get $free))
    (global.set $free (i32.shr_u (local.get $entry) (i32.const 4))))

  ;; resource.new
  (func $new (export "new") (param $type i32) (param $rep i32) (result i32)
    (call $add (local.get $type) (local.get $rep) (i32.const 1)))

  ;; resource.rep
  (func $rep (export "rep") (param $type i32) (param $handle i32) (result i32)
    (i32.load $table offset=4 (call $entry (local.get $type) (local.get $handle))))

  ;; resource.drop without its destructor: the representation, and whether the handle owned it.
  (func $drop (export "drop") (param $type i32) (param $handle i32) (result i32 i32)
    (local $entry i32) (local $flags i32)
    (local.set $entry (call $entry (local.get $type) (local.get $handle)))
    (local.set $flags (i32.load $table offset=8 (local.get $entry)))
    (if (i32.gt_u (local.get $flags) (i32.const 1)) (then (call $lent) (unreachable)))
    (if (i32.eqz (local.get $flags))
      (then (call $count (i32.load $table offset=12 (local.get $entry)) (i32.const -1))))
    (call $release (local.get $entry))
    (i32.load $table offset=4 (local.get $entry))
    (local.get $flags))

  ;; An own handle leaves the instance: its representation.
  (func $lift_own (export "lift_own") (param $type i32) (param $handle i32) (result i32)
    (local $entry i32)
    (local.set $entry (call $entry (local.get $type) (local.get $handle)))
    (if (i32.ne (i32.load $table offset=8 (local.get $entry)) (i32.const 1))
      (then
        (if (i32.and (i32.load $table offset=8 (local.get $entry)) (i32.const 1)) (then (call $lent)))
        (call $not_own)
        (unreachable)))
    (call $release (local.get $entry))
    (i32.load $table offset=4 (local.get $entry)))

  ;; A handle is lent for the time of a call: its representation.
  (func $lift_borrow (export "lift_borrow") (param $type i32) (param $handle i32) (result i32)
    (local $entry i32)
    (local.set $entry (call $entry (local.get $type) (local.get $handle)))
    (i32.store $table offset=8 (local.get $entry) (i32.add (i32.load $table offset=8 (local.get $entry)) (i32.const 2)))
    (call $push (local.get $entry))
    (i32.load $table offset=4 (local.get $entry)))

  (func $push (param $word i32)
    (if (i32.ge_u (global.get $lends_top) (i32.shl (memory.size $lends) (i32.const 16)))
      (then (if (i32.eq (memory.grow $lends (i32.const 1)) (i32.const -1)) (then (call $table_full) (unreachable)))))
    (i32.store $lends (global.get $lends_top) (local.get $word))
    (global.set $lends_top (i32.add (global.get $lends_top) (i32.const 4))))

  ;; A call is prepared whose callee is to get borrow handles: its scope, which is also the mark for its loans.
  (func $begin_scope (export "begin_scope") (result i32)
    (call $push (i32.const 0))
    (global.set $scope (global.get $lends_top))
    (global.get $scope))

  ;; Changes the number of borrow handles in a scope.
  (func $count (param $scope i32) (param $by i32)
    (local.set $scope (i32.sub (local.get $scope) (i32.const 4)))
    (i32.store $lends (local.get $scope) (i32.add (i32.load $lends (local.get $scope)) (local.get $by))))

  ;; Ends the loans since the stack was at `mark`.
  (func $end_loans (export "end_loans") (param $mark i32)
    (local $entry i32)
    (block $done
      (loop $more
        (br_if $done (i32.le_u (global.get $lends_top) (local.get $mark)))
        (global.set $lends_top (i32.sub (global.get $lends_top) (i32.const 4)))
        (local.set $entry (i32.load $lends (global.get $lends_top)))
        (i32.store $table offset=8 (local.get $entry) (i32.sub (i32.load $table offset=8 (local.get $entry)) (i32.const 2)))
        (br $more))))

  ;; The instance is given an own handle.
  (func $lower_own (export "lower_own") (param $type i32) (param $rep i32) (result i32)
    (call $add (local.get $type) (local.get $rep) (i32.const 1)))

  ;; The instance is given a borrow handle, which it has to drop before its call ends.
  (func $lower_borrow (export "lower_borrow") (param $type i32) (param $rep i32) (result i32)
    (local $handle i32)
    (call $count (global.get $scope) (i32.const 1))
    (local.set $handle (call $add (local.get $type) (local.get $rep) (i32.const 0)))
    (i32.store $table offset=12 (i32.shl (local.get $handle) (i32.const 4)) (global.get $scope))
    (local.get $handle))

  ;; The callee returns: it holds no borrow handle of the call any more.
  (func $end_borrows (export "end_borrows") (param $scope i32)
    (if (i32.load $lends (i32.sub (local.get $scope) (i32.const 4))) (then (call $borrows_remain) (unreachable))))

  ;; The call is over, its loans have ended.
  (func $end_scope (export "end_scope") (param $scope i32)
    (global.set $lends_top (i32.sub (local.get $scope) (i32.const 4))))
)
