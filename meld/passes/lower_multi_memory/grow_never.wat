;; memory.grow of a region whose size is what it is: the size in pages, or −1.
(module
  (func $grow (param $delta i32) (result i32)
    (select (i32.const -1) (i32.const {maximum}) (local.get $delta)))
)
