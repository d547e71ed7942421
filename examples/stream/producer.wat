;; A component that writes a stream.
;;
;; Its core module imports the streams of `pulseengine:async`, and nothing in the component instantiates it: the compiler
;; does, once. That the component is a producer, and of which element, stands in its canonical definition of
;; `stream.write`; that it is linked to the consumer, in the core module that it exports as "link".
(component $producer
  (core module $main
    (import "pulseengine:async" "stream_new" (func $stream_new (result i64)))
    (import "pulseengine:async" "stream_write"
      (func $stream_write (param $handle i32) (param $ptr i32) (param $len i32) (param $mem i32) (result i32)))
    (import "pulseengine:async" "stream_drop_writable" (func $stream_drop_writable (param $handle i32)))
    (memory 1)

    ;; A stream: the readable end in the low 32 bits, the writable end above.
    (func (export "p_new") (result i64)
      (call $stream_new))

    ;; Fills the buffer at 16 with 1, 2, 3, … (modulo 256) and writes `count` bytes of it; the number accepted.
    (func (export "p_write") (param $handle i32) (param $count i32) (result i32)
      (local $i i32)
      (block $filled
        (loop $fill
          (br_if $filled (i32.ge_u (local.get $i) (local.get $count)))
          (i32.store8 offset=16 (local.get $i) (i32.add (local.get $i) (i32.const 1)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $fill)))
      (call $stream_write (local.get $handle) (i32.const 16) (local.get $count) (i32.const 0)))

    (func (export "p_drop") (param $handle i32)
      (call $stream_drop_writable (local.get $handle))))

  (type $bytes (stream))
  (core func (canon stream.write $bytes))

  (export "link" (core module $main)))
