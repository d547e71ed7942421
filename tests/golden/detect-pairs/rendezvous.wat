;; Instances that use the canonical built-ins meet inside the module if a call between them carries the stream.
;; meldc: --passes=detect-pairs
;; check: (@meld.domain $d0 (instances $a $b) (element u8) {{.*}}(carried rendezvous) (why "`a`, `b` use the canonical built-ins, and every end is in the module"))
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.instance $b)
  (@meld.streams $a (builtins stream.new) (type (stream u8)))
  (@meld.streams $b (builtins stream.drop-readable) (type (stream u8)))
  (import "meld:canon" "stream.new" (func $new (@meld.owner $a) (@meld.canon stream.new (instance $a) (type (stream u8)))
    (result i64)))
  (import "meld:canon" "stream.drop-readable" (func $drop (@meld.owner $b)
    (@meld.canon stream.drop-readable (instance $b) (type (stream u8))) (param i32)))
  (import "meld:boundary" "a->b/take" (func $give (@meld.owner $a)
    (@meld.boundary (caller $a) (callee $b) (label "take") (target $take) (type (param "s" (stream u8)))) (param i32)))
  (func $take (@meld.owner $b) (param i32) (call $drop (local.get 0)))
  (func $run (@meld.owner $a) (export "run") (call $give (i32.wrap_i64 (call $new)))))
