;; A segment that code writes (`table.init`) may come too late for a call; one at an imported offset is not known.
;; meldc: --passes=direct-calls
;; check: (func $early
;; check: call_indirect
;; check: (func $somewhere
;; check: call_indirect
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (import "host" "base" (global $base (@meld.owner $a) i32))
  (table $t 1 funcref)
  (table $u 1 funcref)
  (elem $late func $f)
  (elem (table $u) (global.get $base) func $f)
  (func $f (@meld.owner $a) (result i32) (i32.const 7))
  (func $fill (@meld.owner $a) (table.init $t $late (i32.const 0) (i32.const 0) (i32.const 1)))
  (start $fill)
  (func $early (@meld.owner $a) (export "early") (result i32) (call_indirect $t (result i32) (i32.const 0)))
  (func $somewhere (@meld.owner $a) (export "somewhere") (result i32) (call_indirect $u (result i32) (i32.const 0))))
