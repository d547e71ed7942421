;; A string is an argument of a call and an element of a stream: each way has its own words for what traps, and a helper for
;; whole strings; what validates UTF-8, for which both have the same words, is there once.
;; meldc: --passes=adapter-wiring
;; check: func $adapter.validate_utf8.
;; not: func $adapter.validate_utf8.
;; run: call(8, 4) == 4
;; run: element(0) == 4
;; run: element(8) traps
;; run: call(12, 1) traps
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (import "meld:boundary" "a->b/length" (func $length (@meld.owner $a)
    (@meld.boundary (caller $a) (callee $b) (label "length") (target $b/length) (type (param "s" string) (result u32))
      (lower (memory $a/memory)) (lift (memory $b/memory) (realloc $b/realloc)))
    (param i32 i32) (result i32)))
  (import "meld:elements" "a->b" (func $elements
    (@meld.element-copy (writer $a) (reader $b) (type string)
      (lift (memory $a/memory)) (lower (memory $b/memory) (realloc $b/realloc)))
    (param i32 i32 i32)))
  (memory $a/memory 1)
  (memory $b/memory 1)
  (data (memory $a/memory) (i32.const 0) "\08\00\00\00\04\00\00\00\41\c3\a9\42\ff\00\00\00\01\00\00\00")
  (func $b/realloc (@meld.owner $b) (param i32 i32 i32 i32) (result i32) (i32.const 64))
  (func $b/length (@meld.owner $b) (param $at i32) (param $count i32) (result i32) (local.get $count))
  (func $run (@meld.owner $a) (export "call") (param $at i32) (param $count i32) (result i32)
    (call $length (local.get $at) (local.get $count)))
  (func (export "element") (param $at i32) (result i32)
    (call $elements (local.get $at) (i32.const 16) (i32.const 1))
    (i32.load $b/memory offset=4 (i32.const 16))))
