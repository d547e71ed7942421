;; An import that no input exports stays an import of the composition; an export that no input uses is exported by it.
;; meldc: {} ../inputs/math.wat --stop-after=link
;; check: (component $left-to-host
;; check: (component $math
;; check: {{^  }}(import "log" (func
;; check: (instance $left-to-host (instantiate $left-to-host
;; next: (with "log" (func
;; check: {{^  }}(export {{.*}}"double"
;; check: {{^  }}(export {{.*}}"length"
(component
  (import "log" (func (param "x" u32))))
