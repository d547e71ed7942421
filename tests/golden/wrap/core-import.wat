;; A component imports components' functions. An import that only a core module can have cannot be given to it.
;; meldc: ../../../examples/stream/producer.wat --emit=component
;; error: no component describes the import "pulseengine:async"
;; hint: fuse to a core module, with --emit=wasm
