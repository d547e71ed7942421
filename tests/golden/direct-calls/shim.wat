;; What wit-component writes: a shim whose functions call through a table, and a segment that fills it. The calls become
;; direct, the functions are skipped, and `finish` drops the table.
;; meldc: --passes=direct-calls,finish{lines=false,provenance=false,signatures=false}
;; not: (table
;; not: (elem
;; not: call_indirect
;; check: (export "run"
;; check: i32.const 8
;; next: call $log
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (import "host" "log" (func $log (@meld.owner $a) (param i32)))
  (table $imports 1 1 funcref)
  (elem (table $imports) (i32.const 0) func $log)
  (func $shim (@meld.owner $a) (param i32)
    (call_indirect $imports (param i32) (local.get 0) (i32.const 0)))
  (func $run (@meld.owner $a) (export "run") (call $shim (i32.const 8))))
