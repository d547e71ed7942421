;; Imports that the host serves become one where their versions are semver-compatible: of the newest, with the exports of
;; both. Versions 1.0.0 and 2.0.0 are two interfaces.
;; meldc: {} ../inputs/clock.wat --stop-after=link
;; remark: the imports `host:time/clock@0.2.0` and `host:time/clock@0.2.3` become one, `host:time/clock@0.2.3`
;; check: {{^  }}(import "host:time/clock@0.2.3" (instance
;; not: {{^  }}(import "host:time/clock@0.2.0"
;; check: {{^  }}(import "host:time/calendar@2.0.0" (instance
;; check: (with "host:time/clock@0.2.0" (instance 0)
;; check: {{^  }}(import "host:time/calendar@1.0.0" (instance
;; check: (with "host:time/clock@0.2.3" (instance 0)
(component
  (import "host:time/clock@0.2.0" (instance
    (export "now" (func (result u64)))
    (export "resolution" (func (result u64)))))
  (import "host:time/calendar@2.0.0" (instance (export "today" (func (result u64))))))
