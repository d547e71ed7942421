;; The bridge has so many slots, and a ring of so many bytes for each; what cannot be laid out is refused.
;; meldc: ../../../examples/stream/producer.wat ../../../examples/stream/consumer.wat --passes=detect-pairs,emit-bridge{slots=16,ring=1024}
;; check: (@meld.bridge {{.*}}(slots 16) (ring 1024)
;; meldc: ../../../examples/stream/producer.wat ../../../examples/stream/consumer.wat --passes=detect-pairs,emit-bridge{slots=0}
;; error: `emit-bridge` has room for 1 to 4096 slots, not 0
;; meldc: ../../../examples/stream/producer.wat ../../../examples/stream/consumer.wat --passes=detect-pairs,emit-bridge{ring=100}
;; error: `ring` must be a power of two from 4 on, not 100
