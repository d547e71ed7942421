;; A stream that stays inside: what the producer writes, the consumer reads.
;; meldc: ../../../examples/stream/producer.wat ../../../examples/stream/consumer.wat --stop-after=detect-pairs
;; check: (@meld.domain $d0 (instances $producer $consumer) (cluster 1) (carried bridge))
;; check: (@meld.pair (domain $d0) (producer $producer) (consumer $consumer))
;; check: (func $producer/stream_write
