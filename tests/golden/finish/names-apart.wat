;; Imports of one name that are lowered with different memories are different functions: the second gets a name of its own.
;; meldc: --passes=finish
;; remark: "$root" "log" is lowered in several ways
;; check: (import "$root" "log" (func $a/log
;; next: (import "$root" "{{.+}}" (func $b/log
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (import "$root" "log" (func $a/log (@meld.owner $a)
    (@meld.host (instance $a) (label "log") (type (param "s" string)) (lower (memory $a/memory))) (param i32 i32)))
  (import "$root" "log" (func $b/log (@meld.owner $b)
    (@meld.host (instance $b) (label "log") (type (param "s" string)) (lower (memory $b/memory))) (param i32 i32)))
  (memory $a/memory 1)
  (memory $b/memory 1)
  (func (@meld.owner $a) (export "a") (call $a/log (i32.const 0) (i32.const 0)))
  (func (@meld.owner $b) (export "b") (call $b/log (i32.const 0) (i32.const 0))))
