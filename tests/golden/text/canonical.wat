;; Folded code is printed flat, types that are written out are defined, names are kept.
;; meldc: --passes=
(module
  (func $add (export "add") (param $a i32) (param $b i32) (result i32)
    (i32.add (local.get $a) (local.get $b))))
;; output:
;;   (module
;;     (type (func (param i32 i32) (result i32)))
;;     (export "add" (func $add))
;;     (func $add (type 0) (param $a i32) (param $b i32) (result i32)
;;       local.get $a
;;       local.get $b
;;       i32.add
;;     )
;;   )
