;; A WIT package in binary form is types without code: it is refused, alone and beside others.
;; meldc:
;; error: is a WIT package: types, and no code
;; hint: an input is a component that implements a world
;; meldc: {} ../inputs/math.wat
;; error: is a WIT package: types, and no code
(component
  (type
    (component
      (type (instance (type (func (param "s" string) (result u32))) (export "f" (func (type 0)))))
      (export "a:b/i@1.0.0" (instance (type 0)))))
  (export "i" (type 0))
  (type
    (component
      (type (component (type (func)) (export "run" (func (type 0)))))
      (export "a:b/w@1.0.0" (component (type 0)))))
  (export "w" (type 2)))
