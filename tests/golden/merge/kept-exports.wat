;; Exports can be left out, by patterns of their names with or without a version; what only they need goes in `finish`. Types stay.
;; meldc: --keep-exports=run
;; check: (export "run"
;; not: (export "t:t/extra
;; not: i32.const 22
;; meldc: --drop-exports=t:t/*
;; check: (export "run"
;; not: (export "t:t/extra
;; meldc: --drop-exports=t:t/extra --emit=component
;; check: (export "run"
;; not: (export "t:t/extra
;; meldc: --keep-exports=* --drop-exports=run
;; not: (export "run"
;; check: (export "t:t/extra@1.2.0#other"
;; meldc: --keep-exports=rum
;; error: --keep-exports=rum: the program has no such export
;; hint: run
;; meldc: --drop-exports=*
;; error: --drop-exports leaves no export
(component
  (core module $m
    (func (export "run") (result i32) (i32.const 11))
    (func (export "other") (result i32) (i32.const 22)))
  (core instance $i (instantiate $m))
  (func $run (result u32) (canon lift (core func $i "run")))
  (func $other (result u32) (canon lift (core func $i "other")))
  (instance $extra (export "other" (func $other)))
  (export "run" (func $run))
  (export "t:t/extra@1.2.0" (instance $extra)))
