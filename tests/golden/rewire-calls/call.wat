;; Code of a bridged instance calls its shims; only the shims still call what it called before.
;; meldc: ../../../examples/stream/producer.wat ../../../examples/stream/consumer.wat --passes=detect-pairs,emit-bridge
;; check: (func $producer/p_new (@
;; next: call $producer/stream_new
;; meldc: ../../../examples/stream/producer.wat ../../../examples/stream/consumer.wat --passes=detect-pairs,emit-bridge,rewire-calls
;; check: (func $producer/p_new (@
;; next: call $producer/stream_new.shim
;; check: (func $producer/stream_write.shim
;; check: call $producer/stream_write
