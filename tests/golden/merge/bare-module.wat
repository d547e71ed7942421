;; A core module that imports `pulseengine:async` and that nothing instantiates is instantiated once; its component says
;; by its built-ins which streams it has.
;; meldc: ../../../examples/stream/producer.wat --stop-after=merge
;; check: (@meld.streams $producer (builtins stream.write) (type (stream)))
;; check: (import "pulseengine:async" "stream_new" {{.*}}(@meld.intrinsic stream_new (instance $producer)
;; check: (export "p_write" (func $producer/p_write))
