;; What no input exports stays an import; a link that is asked for by name has to exist.
;; meldc: {} ../inputs/math.wat --link=link:triple=math
;; error: --link: `math` exports nothing that fits the import `triple` of `link`
(component
  (import "triple" (func (param "x" s32) (result s32))))
