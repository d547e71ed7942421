;; Backpressure of the component around the module. An instance inside that is busy, or has backpressure, has calls wait
;; before they start. The component, which is one instance for its host, has backpressure while that is so of all
;; instances whose asynchronous functions the host may call. It cannot be seen before code gives control back to the host.

  (global $host.held (mut i32) (i32.const 0))  ;; whether the component has backpressure

  (func $host_pressure
    (call $host_hold {held}))

  (func $host_hold (param $held i32)
    (if (i32.eq (local.get $held) (global.get $host.held)) (then (return)))
    (global.set $host.held (local.get $held))
    (if (local.get $held)
      (then (call $host.backpressure.inc))
      (else (call $host.backpressure.dec))))
