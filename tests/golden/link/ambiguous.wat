;; Where two inputs could feed an import, the user chooses one; nothing is guessed.
;; meldc: {} ../inputs/math.wat ../inputs/other-math.wat --stop-after=link
;; error: the import `double` of `ambiguous` could be fed by `math` and `other-math`
;; hint: choose with --link=ambiguous:double=math
;; meldc: {} ../inputs/math.wat ../inputs/other-math.wat --stop-after=link --link=ambiguous:double=other-math
;; check: (alias export $other-math "double"
;; check: (instance $ambiguous (instantiate $ambiguous
(component
  (import "double" (func (param "x" s32) (result s32))))
