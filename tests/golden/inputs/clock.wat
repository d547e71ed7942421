(component
  (import "host:time/clock@0.2.3" (instance
    (export "now" (func (result u64)))
    (export "zone" (func (result string)))))
  (import "host:time/calendar@1.0.0" (instance (export "today" (func (result u64))))))
