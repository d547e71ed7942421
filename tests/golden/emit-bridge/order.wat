;; The bridge copies between memories, so it comes before lower-multi-memory makes regions of them.
;; meldc: ../../../examples/stream/producer.wat ../../../examples/stream/consumer.wat --passes=lower-multi-memory,detect-pairs,emit-bridge
;; error: the memories that streams would be copied between are regions of one already
;; hint: run lower-multi-memory after rewire-calls
