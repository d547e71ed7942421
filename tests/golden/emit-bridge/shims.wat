;; A bridged pair gets a region of the state memory for its streams, and shims for its intrinsics; rewire-calls makes them be called.
;; meldc: ../../../examples/stream/producer.wat ../../../examples/stream/consumer.wat --passes=detect-pairs,emit-bridge{slots=2,ring=64}
;; check: (@meld.bridge (memory $state) (slots 2) (ring 64)
;; check: (import "pulseengine:async" "stream_write" (func $producer/stream_write
;; check: (memory $state (@meld.synthetic state)
;; check: (func $producer/p_write
;; not: .shim
;; check: call $producer/stream_write
;; check: (func $producer/stream_write.shim
;; meldc: ../../../examples/stream/producer.wat ../../../examples/stream/consumer.wat --passes=detect-pairs,emit-bridge,rewire-calls
;; check: (func $producer/p_write
;; check: call $producer/stream_write.shim
