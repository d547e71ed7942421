;; Stream partners are linked by a core module of the empty type: no items are given, only the note says who is linked.
;; meldc: ../../../examples/stream/producer.wat ../../../examples/stream/consumer.wat --stop-after=link
;; check: (instance $producer (instantiate $producer
;; check: (instance $consumer {{.*}}(@meld.partner $producer
;; meldc: ../../../examples/stream/producer.wat ../../../examples/stream/consumer.wat --stop-after=merge
;; check: (@meld.link (importer $consumer) (exporter $producer))
