;; A function that `ref.func` names may be declared by the export of its core module alone; exports of instances are lost,
;; so a segment declares it. What no body names is not declared.
;; meldc: --stop-after=merge
;; check: (elem {{.*}}declare func $ref-func/f{{[^ ]*}} $ref-func/f{{[^ ]*}})
;; meldc:
;; run: run() == 14
(component
  (core module $table
    (type $t (func (result i32)))
    (table (export "table") 2 funcref)
    (func (export "run") (result i32)
      (i32.add (call_indirect (type $t) (i32.const 0)) (call_indirect (type $t) (i32.const 1)))))
  (core instance $table (instantiate $table))
  (core module $m
    (import "" "table" (table $t 2 funcref))
    (global $at (mut i32) (i32.const -1))
    (func $f (export "f") (result i32) (i32.const 7))
    (func $start
      (loop $again
        (global.set $at (i32.add (global.get $at) (i32.const 1)))
        (br_if $again (ref.is_null (ref.func $f)))
        (br_if $again (i32.eqz (ref.is_null (table.get $t (global.get $at))))))
      (table.set $t (global.get $at) (ref.func $f)))
    (func $not-named (export "g"))
    (start $start))
  (core instance (instantiate $m (with "" (instance (export "table" (table $table "table"))))))
  (core instance (instantiate $m (with "" (instance (export "table" (table $table "table"))))))
  (func (export "run") (result u32) (canon lift (core func $table "run"))))
