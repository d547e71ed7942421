;; Versions that should be compatible and have contradicting types stay two imports.
;; meldc: {} ../inputs/clock.wat --stop-after=link
;; check: (import "host:time/clock@0.2.0" (instance
;; check: (import "host:time/clock@0.2.3" (instance
(component
  (import "host:time/clock@0.2.0" (instance (export "now" (func (result string))))))
