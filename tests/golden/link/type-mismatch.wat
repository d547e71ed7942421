;; A name is enough to feed an import, and the type is checked then; the error says which parameter differs.
;; meldc: {} ../inputs/math.wat
;; error: an argument does not fit what the component imports: import `double`, parameter `x`, u64 is wanted, s32 is given
(component
  (import "double" (func (param "x" u64) (result u64))))
