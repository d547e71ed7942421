;; Has everybody greeted: welcome(["Ann", "Bob"]) is ["hello, Ann", "hello, Bob"]. Its strings are UTF-16.
(component $crowd
  (import "greet" (func $greet (param "name" string) (result string)))
  (core module $libc
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 1024))
    (func (export "realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and
        (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $free (i32.add (local.get $at) (local.get $new)))
      (memory.copy (local.get $at) (local.get $old)
        (select (local.get $size) (local.get $new) (i32.lt_u (local.get $size) (local.get $new))))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
  (core func $greet (canon lower (func $greet)
    string-encoding=utf16 (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $m
    (import "libc" "memory" (memory 1))
    (import "" "greet" (func $greet (param $name i32) (param $length i32) (param $result i32)))
    ;; The greetings take the place of the names.
    (func (export "welcome") (param $names i32) (param $count i32) (result i32)
      (local $at i32) (local $left i32)
      (local.set $at (local.get $names))
      (local.set $left (local.get $count))
      block $done
        loop $next
          (br_if $done (i32.eqz (local.get $left)))
          (call $greet (i32.load (local.get $at)) (i32.load offset=4 (local.get $at)) (local.get $at))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          br $next
        end
      end
      (i32.store (i32.const 16) (local.get $names))
      (i32.store (i32.const 20) (local.get $count))
      (i32.const 16)))
  (core instance $i (instantiate $m
    (with "libc" (instance $libc))
    (with "" (instance (export "greet" (func $greet))))))
  (func (export "welcome") (param "names" (list string)) (result (list string))
    (canon lift (core func $i "welcome")
      string-encoding=utf16 (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
