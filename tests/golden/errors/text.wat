;; Each error of a text at its line.
;; meldc: check
(module
  (@meld.facts merged)
  (@meld.instance $a)
  (func $f (result i32)
    i32.cons 1) ;; error: unknown instruction `i32.cons`
  (func $g
    call $h) ;; error: unknown function `$h`
  (export "f" (func $e)) ;; error: unknown function `$e`
  (export "g" (func $g))
  (export "g" (func $g)) ;; error: is exported already
  (@meld.pair (domain $d) (producer $a) (consumer $a))) ;; error: unknown note `d`
