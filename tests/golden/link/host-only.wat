;; `--host-only` keeps an import for the host, although an input exports it.
;; meldc: {} ../inputs/math.wat --stop-after=link
;; remark: `math` feeds `double` of `host-only` in place of the host; --host-only=NAME keeps it for the host
;; not: {{^  }}(import "double"
;; check: (instance $host-only (instantiate $host-only
;; meldc: {} ../inputs/math.wat --stop-after=link --host-only=dou*
;; check: {{^  }}(import "double" (func
;; next: (instance $host-only (instantiate $host-only
;; meldc: {} ../inputs/math.wat --host-only=double --link=host-only:double=math
;; error: --link: the import `double` of `host-only` is for the host only, says --host-only
(component
  (import "double" (func (param "x" s32) (result s32))))
