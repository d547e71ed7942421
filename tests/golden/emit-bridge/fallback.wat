;; A shim looks at the handle: one of the bridge is served in the module, any other goes on to what the instance called
;; before.
;; meldc: ../../../examples/stream/producer.wat ../../../examples/stream/consumer.wat --passes=detect-pairs,emit-bridge
;; check: (func $consumer/stream_read.shim (@meld.synthetic stream-bridge) (@meld.shim stream_read (replaces $consumer/stream_read
;; check: call $consumer/stream_read
;; check: memory.copy
