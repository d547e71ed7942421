;; The memory that most functions use is memory 0, and so is the table; the others keep their order.
;; meldc: --passes=finish
;; check: (table $heavy_table
;; next: (table $light_table
;; next: (memory $heavy 2)
;; next: (memory $light 1)
(module
  (@meld.facts linked merged)
  (@meld.instance $a)
  (memory $light 1)
  (memory $heavy 2)
  (table $light_table 1 funcref)
  (table $heavy_table 2 funcref)
  (func (@meld.owner $a) (export "light") (result i32) (i32.load $light (i32.const 0)))
  (func (@meld.owner $a) (export "heavy") (result i32)
    (table.set $heavy_table (i32.const 0) (ref.null func))
    (i32.load $heavy (i32.const 0)))
  (func (@meld.owner $a) (export "heavier") (result i32)
    (table.set $heavy_table (i32.const 1) (ref.null func))
    (i32.load $heavy (i32.const 4)))
  (func (@meld.owner $a) (export "get") (result funcref) (table.get $light_table (i32.const 0))))
