;; A stream that the host can see stays on the host; for no other reason, so in a component it is open.
;; meldc: --passes=detect-pairs
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (@meld.streams $a (builtins stream.new stream.write) (type (stream u8)))
  (import "meld:canon" "stream.write" (func $write (@meld.owner $a)
    (@meld.canon stream.write (instance $a) (type (stream u8)) (options async)) (param i32 i32 i32) (result i32)))
  (import "$root" "drain" (func $drain (@meld.owner $a)
    (@meld.host (instance $a) (label "drain") (type (param "data" (stream u8)))) (param i32)))
  (func (@meld.owner $a) (export "run")
    (call $drain (i32.const 1)) (drop (call $write (i32.const 2) (i32.const 0) (i32.const 0)))))
;; output:
;;   (module
;;     (@meld.facts linked merged stream-pairs)
;;     (@meld.instance $a)
;;     (@meld.streams $a (builtins stream.new stream.write) (type (stream u8)))
;;     (@meld.domain $d0 (instances $a) (element u8) (why "the host can see it: import `drain`") (open))
;;     (type (func (param i32 i32 i32) (result i32)))
;;     (type (func (param i32)))
;;     (type (func))
;;     (import "meld:canon" "stream.write" (func $write (@meld.owner $a) (@meld.canon stream.write (instance $a) (type (stream u8)) (options async)) (type 0) (param i32 i32 i32) (result i32)))
;;     (import "$root" "drain" (func $drain (@meld.owner $a) (@meld.host (instance $a) (label "drain") (type (param "data" (stream u8)))) (type 1) (param i32)))
;;     (export "run" (func 2))
;;     (func (@meld.owner $a) (type 2)
;;       i32.const 1
;;       call $drain
;;       i32.const 2
;;       i32.const 0
;;       i32.const 0
;;       call $write
;;       drop
;;     )
;;   )
