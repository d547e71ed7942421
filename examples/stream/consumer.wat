;; A component that reads a stream; the other half of producer.wat.
;;
;; It is linked to the producer by a core module that it imports under the empty module type, and takes nothing from it:
;; the import only says who belongs together.
(component $consumer
  (core type $nothing (module))
  (import "link" (core module $link (type $nothing)))

  (core module $main
    (import "pulseengine:async" "stream_read"
      (func $stream_read (param $handle i32) (param $ptr i32) (param $len i32) (param $mem i32) (result i32)))
    (import "pulseengine:async" "stream_drop_readable" (func $stream_drop_readable (param $handle i32)))
    (memory 1)

    ;; Reads up to `count` bytes into the buffer at 32; what `stream_read` answers.
    (func (export "c_read") (param $handle i32) (param $count i32) (result i32)
      (call $stream_read (local.get $handle) (i32.const 32) (local.get $count) (i32.const 0)))

    ;; Byte `i` of the buffer.
    (func (export "c_get") (param $i i32) (result i32)
      (i32.load8_u offset=32 (local.get $i)))

    (func (export "c_drop") (param $handle i32)
      (call $stream_drop_readable (local.get $handle))))

  (type $bytes (stream))
  (core func (canon stream.read $bytes)))
