;; What nothing reaches goes away; what is exported, and what that uses, stays.
;; meldc: --passes=finish{lines=false,provenance=false,signatures=false}
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (type $unused (func (param i64)))
  (import "host" "f" (func $used (@meld.owner $a) (param i32)))
  (import "host" "g" (func $dead_import (@meld.owner $a)))
  (memory $dead_memory 1)
  (global $kept (mut i32) (i32.const 7))
  (func $dead (@meld.owner $a) (call $dead_import))
  (func $helper (@meld.owner $a) (call $used (global.get $kept)))
  (func $run (@meld.owner $a) (export "run") (call $helper)))
;; output:
;;   (module
;;     (@meld.facts linked merged finished)
;;     (@meld.instance $a)
;;     (type $unused (func (param i64)))
;;     (type (func (param i32)))
;;     (type (func))
;;     (import "host" "f" (func $used (@meld.owner $a) (type 1) (param i32)))
;;     (global $kept (mut i32) i32.const 7)
;;     (export "run" (func $run))
;;     (func $helper (@meld.owner $a) (type 2)
;;       global.get $kept
;;       call $used
;;     )
;;     (func $run (@meld.owner $a) (type 2)
;;       call $helper
;;     )
;;   )
