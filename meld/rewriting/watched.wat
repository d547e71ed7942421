;; An instance's `realloc` as the host calls it.
(module
  (import "meld" "realloc" (func $inner (param {p} {p} {p} {p}) (result {p})))
  (import "meld" "watch" (func $watch (param i32 i64 i64)))

  (func $realloc (export "realloc") (param $old {p}) (param $old_bytes {p}) (param $align {p}) (param $bytes {p}) (result {p})
    (local $start {p})
    (local.set $start
      (call $inner (local.get $old) (local.get $old_bytes) (local.get $align) (local.get $bytes)))
    (call $watch (i32.const {who}) ({long} (local.get $start)) ({long} (local.get $bytes)))
    (local.get $start))
)
