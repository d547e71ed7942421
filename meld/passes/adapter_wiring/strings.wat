;; Pieces of strings: decoding, encoding, whole runs. {from} is the memory that is read, {to} the one that is written, {p}
;; and {q} are the types of their addresses.
;;
;; Sixteen bytes at a time go through SIMD while they are plain; what is not plain is decoded one char at a time.

  ;; --- decoding: the char at $at, and where the next one is. Traps where there is none ---

  (func $decode_utf8 (param $at {p}) (param $end {p}) (result i32 {p})
    (local $a i32) (local $b i32) (local $c i32) (local $d i32) (local $left {p}) (local $char i32)
    (local.set $a (i32.load8_u {from} (local.get $at)))
    (i32.lt_u (local.get $a) (i32.const 0x80))
    if
      (return (local.get $a) ({p}.add (local.get $at) ({p}.const 1)))
    end
    (local.set $left ({p}.sub (local.get $end) (local.get $at)))
    ;; two bytes: c2..df
    (i32.lt_u (i32.sub (local.get $a) (i32.const 0xc2)) (i32.const 0x1e))
    if
      ({p}.lt_u (local.get $left) ({p}.const 2))
      if
        call {trap UTF8}
        unreachable
      end
      (local.set $b (i32.xor (i32.load8_u {from} offset=1 (local.get $at)) (i32.const 0x80)))
      (i32.ge_u (local.get $b) (i32.const 0x40))
      if
        call {trap UTF8}
        unreachable
      end
      (return
        (i32.or (i32.shl (i32.and (local.get $a) (i32.const 0x1f)) (i32.const 6)) (local.get $b))
        ({p}.add (local.get $at) ({p}.const 2)))
    end
    ;; three bytes: e0..ef, not overlong, not a surrogate
    (i32.eq (i32.and (local.get $a) (i32.const 0xf0)) (i32.const 0xe0))
    if
      ({p}.lt_u (local.get $left) ({p}.const 3))
      if
        call {trap UTF8}
        unreachable
      end
      (local.set $b (i32.xor (i32.load8_u {from} offset=1 (local.get $at)) (i32.const 0x80)))
      (local.set $c (i32.xor (i32.load8_u {from} offset=2 (local.get $at)) (i32.const 0x80)))
      (i32.ge_u (i32.or (local.get $b) (local.get $c)) (i32.const 0x40))
      if
        call {trap UTF8}
        unreachable
      end
      (local.set $char
        (i32.or
          (i32.shl (i32.and (local.get $a) (i32.const 0x0f)) (i32.const 12))
          (i32.or (i32.shl (local.get $b) (i32.const 6)) (local.get $c))))
      (i32.or
        (i32.lt_u (local.get $char) (i32.const 0x800))
        (i32.eq (i32.and (local.get $char) (i32.const 0xf800)) (i32.const 0xd800)))
      if
        call {trap UTF8}
        unreachable
      end
      (return (local.get $char) ({p}.add (local.get $at) ({p}.const 3)))
    end
    ;; four bytes: f0..f4, from 0x10000 to 0x10ffff
    (i32.ne (i32.and (local.get $a) (i32.const 0xf8)) (i32.const 0xf0))
    if
      call {trap UTF8}
      unreachable
    end
    ({p}.lt_u (local.get $left) ({p}.const 4))
    if
      call {trap UTF8}
      unreachable
    end
    (local.set $b (i32.xor (i32.load8_u {from} offset=1 (local.get $at)) (i32.const 0x80)))
    (local.set $c (i32.xor (i32.load8_u {from} offset=2 (local.get $at)) (i32.const 0x80)))
    (local.set $d (i32.xor (i32.load8_u {from} offset=3 (local.get $at)) (i32.const 0x80)))
    (i32.ge_u (i32.or (local.get $b) (i32.or (local.get $c) (local.get $d))) (i32.const 0x40))
    if
      call {trap UTF8}
      unreachable
    end
    (local.set $char
      (i32.or
        (i32.or
          (i32.shl (i32.and (local.get $a) (i32.const 0x07)) (i32.const 18))
          (i32.shl (local.get $b) (i32.const 12)))
        (i32.or (i32.shl (local.get $c) (i32.const 6)) (local.get $d))))
    (i32.ge_u (i32.sub (local.get $char) (i32.const 0x10000)) (i32.const 0x100000))
    if
      call {trap UTF8}
      unreachable
    end
    local.get $char
    ({p}.add (local.get $at) ({p}.const 4)))

  (func $decode_utf16 (param $at {p}) (param $end {p}) (result i32 {p})
    (local $a i32) (local $b i32)
    (local.set $a (i32.load16_u {from} (local.get $at)))
    (i32.ne (i32.and (local.get $a) (i32.const 0xf800)) (i32.const 0xd800))
    if
      (return (local.get $a) ({p}.add (local.get $at) ({p}.const 2)))
    end
    ;; a high surrogate, and a low one after it
    (i32.ge_u (local.get $a) (i32.const 0xdc00))
    if
      call {trap UTF16}
      unreachable
    end
    ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 4))
    if
      call {trap UTF16}
      unreachable
    end
    (local.set $b (i32.load16_u {from} offset=2 (local.get $at)))
    (i32.ne (i32.and (local.get $b) (i32.const 0xfc00)) (i32.const 0xdc00))
    if
      call {trap UTF16}
      unreachable
    end
    (i32.add
      (i32.const 0x10000)
      (i32.or
        (i32.shl (i32.and (local.get $a) (i32.const 0x3ff)) (i32.const 10))
        (i32.and (local.get $b) (i32.const 0x3ff))))
    ({p}.add (local.get $at) ({p}.const 4)))

  ;; --- encoding: stores a char at $at and returns where the next one goes ---

  (func $encode_utf8 (param $at {q}) (param $char i32) (result {q})
    (i32.lt_u (local.get $char) (i32.const 0x80))
    if
      (i32.store8 {to} (local.get $at) (local.get $char))
      (return ({q}.add (local.get $at) ({q}.const 1)))
    end
    (i32.lt_u (local.get $char) (i32.const 0x800))
    if
      (i32.store8 {to} (local.get $at) (i32.or (i32.const 0xc0) (i32.shr_u (local.get $char) (i32.const 6))))
      (i32.store8 {to} offset=1 (local.get $at) (i32.or (i32.const 0x80) (i32.and (local.get $char) (i32.const 0x3f))))
      (return ({q}.add (local.get $at) ({q}.const 2)))
    end
    (i32.lt_u (local.get $char) (i32.const 0x10000))
    if
      (i32.store8 {to} (local.get $at) (i32.or (i32.const 0xe0) (i32.shr_u (local.get $char) (i32.const 12))))
      (i32.store8 {to} offset=1 (local.get $at)
        (i32.or (i32.const 0x80) (i32.and (i32.shr_u (local.get $char) (i32.const 6)) (i32.const 0x3f))))
      (i32.store8 {to} offset=2 (local.get $at) (i32.or (i32.const 0x80) (i32.and (local.get $char) (i32.const 0x3f))))
      (return ({q}.add (local.get $at) ({q}.const 3)))
    end
    (i32.store8 {to} (local.get $at) (i32.or (i32.const 0xf0) (i32.shr_u (local.get $char) (i32.const 18))))
    (i32.store8 {to} offset=1 (local.get $at)
      (i32.or (i32.const 0x80) (i32.and (i32.shr_u (local.get $char) (i32.const 12)) (i32.const 0x3f))))
    (i32.store8 {to} offset=2 (local.get $at)
      (i32.or (i32.const 0x80) (i32.and (i32.shr_u (local.get $char) (i32.const 6)) (i32.const 0x3f))))
    (i32.store8 {to} offset=3 (local.get $at) (i32.or (i32.const 0x80) (i32.and (local.get $char) (i32.const 0x3f))))
    ({q}.add (local.get $at) ({q}.const 4)))

  (func $encode_utf16 (param $at {q}) (param $char i32) (result {q})
    (i32.lt_u (local.get $char) (i32.const 0x10000))
    if
      (i32.store16 {to} (local.get $at) (local.get $char))
      (return ({q}.add (local.get $at) ({q}.const 2)))
    end
    (local.set $char (i32.sub (local.get $char) (i32.const 0x10000)))
    (i32.store16 {to} (local.get $at) (i32.or (i32.const 0xd800) (i32.shr_u (local.get $char) (i32.const 10))))
    (i32.store16 {to} offset=2 (local.get $at)
      (i32.or (i32.const 0xdc00) (i32.and (local.get $char) (i32.const 0x3ff))))
    ({q}.add (local.get $at) ({q}.const 4)))

  ;; --- runs: whole stretches of what is plain ---

  ;; Traps unless [$at, $end) is UTF-8. What is not plain is looked at sixteen bytes at a time: any error shows in a byte
  ;; and the one before it. Three tables say which errors each half of a byte allows; an error is what all three allow:
  ;;
  ;;   0x01 too few continuations   0x02 one too many   0x04 overlong in 3 bytes   0x08 beyond 0x10ffff
  ;;   0x10 surrogate   0x20 overlong in 2 bytes   0x40 overlong in 4 bytes, or beyond 0x10ffff by its lead
  ;;   0x80 two continuations, which are none where the byte two or three before begins a char of three or four
  (func $validate_utf8 (param $at {p}) (param $end {p})
    (local $start {p}) (local $bytes v128) (local $before v128) (local $lead v128) (local $errors v128)
    (local.set $start (local.get $at))
    block $rest
      block $wide
        block $narrow
          loop $plain
            ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 64))
            br_if $narrow
            (i8x16.bitmask
              (v128.or
                (v128.or
                  (v128.load {from} align=1 (local.get $at))
                  (v128.load {from} offset=16 align=1 (local.get $at)))
                (v128.or
                  (v128.load {from} offset=32 align=1 (local.get $at))
                  (v128.load {from} offset=48 align=1 (local.get $at)))))
            br_if $narrow
            (local.set $at ({p}.add (local.get $at) ({p}.const 64)))
            br $plain
          end
        end
        loop $plain
          ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 16))
          br_if $rest
          (i8x16.bitmask (v128.load {from} align=1 (local.get $at)))
          br_if $wide
          (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
          br $plain
        end
      end
      loop $next
        (local.set $bytes (v128.load {from} align=1 (local.get $at)))
        (local.set $lead (i8x16.shuffle 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 (local.get $before) (local.get $bytes)))
        (local.set $errors
          (v128.or
            (local.get $errors)
            (v128.xor
              (v128.and
                (v128.and
                  (i8x16.swizzle
                    (v128.const i8x16 0x02 0x02 0x02 0x02 0x02 0x02 0x02 0x02 0x80 0x80 0x80 0x80 0x21 0x01 0x15 0x49)
                    (i8x16.shr_u (local.get $lead) (i32.const 4)))
                  (i8x16.swizzle
                    (v128.const i8x16 0xe7 0xa3 0x83 0x83 0x8b 0xcb 0xcb 0xcb 0xcb 0xcb 0xcb 0xcb 0xcb 0xdb 0xcb 0xcb)
                    (v128.and (local.get $lead) (i8x16.splat (i32.const 0xf)))))
                (i8x16.swizzle
                  (v128.const i8x16 0x01 0x01 0x01 0x01 0x01 0x01 0x01 0x01 0xe6 0xae 0xba 0xba 0x01 0x01 0x01 0x01)
                  (i8x16.shr_u (local.get $bytes) (i32.const 4))))
              (v128.and
                (v128.or
                  (i8x16.sub_sat_u (i8x16.shuffle 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 (local.get $before) (local.get $bytes)) (i8x16.splat (i32.const 0x60)))
                  (i8x16.sub_sat_u (i8x16.shuffle 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 (local.get $before) (local.get $bytes)) (i8x16.splat (i32.const 0x70))))
                (i8x16.splat (i32.const 0x80))))))
        (local.set $before (local.get $bytes))
        (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
        ({p}.ge_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 16))
        br_if $next
        ;; the last sixteen, over some that are validated already
        (i32.and
          ({p}.ne (local.get $at) (local.get $end))
          ({p}.ge_u ({p}.sub (local.get $end) (local.get $start)) ({p}.const 20)))
        if
          (local.set $at ({p}.sub (local.get $end) ({p}.const 16)))
          (local.set $before
            (v128.load32_lane {from} align=1 3 ({p}.sub (local.get $at) ({p}.const 4)) (local.get $before)))
          br $next
        end
      end
      (v128.any_true (local.get $errors))
      if
        call {trap UTF8}
        unreachable
      end
      ;; the last char may go on in what is left
      (local.set $at
        ({p}.sub
          (local.get $at)
          (select
            ({p}.const 1)
            (select
              ({p}.const 2)
              (select
                ({p}.const 3)
                ({p}.const 0)
                (i32.ge_u (i8x16.extract_lane_u 13 (local.get $before)) (i32.const 0xf0)))
              (i32.ge_u (i8x16.extract_lane_u 14 (local.get $before)) (i32.const 0xe0)))
            (i32.ge_u (i8x16.extract_lane_u 15 (local.get $before)) (i32.const 0xc0)))))
    end
    ({p}.ge_u ({p}.sub (local.get $end) (local.get $start)) ({p}.const 16))
    if
      (i32.eqz (i8x16.bitmask (v128.load {from} align=1 ({p}.sub (local.get $end) ({p}.const 16)))))
      if
        return
      end
    end
    block $done
      loop $next
        ({p}.eq (local.get $at) (local.get $end))
        br_if $done
        (call {decode_utf8} (local.get $at) (local.get $end))
        local.set $at
        drop
        br $next
      end
    end)

  ;; Traps unless [$at, $end) is UTF-16. Where there are surrogates, eight code units are looked at with those one further
  ;; on: a low one stands exactly behind a high one.
  (func $validate_utf16 (param $at {p}) (param $end {p})
    block $done
      loop $next
        block $char
          block $pairs
            loop $plain
              ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 16))
              br_if $char
              (v128.any_true
                (i16x8.eq
                  (v128.and
                    (v128.load {from} align=2 (local.get $at))
                    (v128.const i16x8 0xf800 0xf800 0xf800 0xf800 0xf800 0xf800 0xf800 0xf800))
                  (v128.const i16x8 0xd800 0xd800 0xd800 0xd800 0xd800 0xd800 0xd800 0xd800)))
              br_if $pairs
              (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
              br $plain
            end
          end
          (i32.eq (i32.and (i32.load16_u {from} (local.get $at)) (i32.const 0xfc00)) (i32.const 0xdc00))
          br_if $char
          block $apart
            loop $pair
              ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 18))
              br_if $apart
              (v128.any_true
                (v128.xor
                  (i16x8.eq
                    (v128.and
                      (v128.load {from} align=2 (local.get $at))
                      (v128.const i16x8 0xfc00 0xfc00 0xfc00 0xfc00 0xfc00 0xfc00 0xfc00 0xfc00))
                    (v128.const i16x8 0xd800 0xd800 0xd800 0xd800 0xd800 0xd800 0xd800 0xd800))
                  (i16x8.eq
                    (v128.and
                      (v128.load {from} offset=2 align=2 (local.get $at))
                      (v128.const i16x8 0xfc00 0xfc00 0xfc00 0xfc00 0xfc00 0xfc00 0xfc00 0xfc00))
                    (v128.const i16x8 0xdc00 0xdc00 0xdc00 0xdc00 0xdc00 0xdc00 0xdc00 0xdc00))))
              br_if $apart
              (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
              br $pair
            end
          end
          ;; the second one of a pair is validated with the first
          (i32.eq (i32.and (i32.load16_u {from} (local.get $at)) (i32.const 0xfc00)) (i32.const 0xdc00))
          if
            (local.set $at ({p}.add (local.get $at) ({p}.const 2)))
          end
        end
        loop $single
          ({p}.eq (local.get $at) (local.get $end))
          br_if $done
          (i32.eq (i32.and (i32.load16_u {from} (local.get $at)) (i32.const 0xf800)) (i32.const 0xd800))
          if
            (call {decode_utf16} (local.get $at) (local.get $end))
            local.set $at
            drop
            br $next
          end
          (local.set $at ({p}.add (local.get $at) ({p}.const 2)))
          ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 16))
          br_if $single
          br $next
        end
      end
    end)

  ;; Copies bytes below 0x80; returns where the first other one is, or the end: 128 at a time, then 64 and 16. The last
  ;; sixteen are copied at once, over some that are copied already.
  (func $copy_ascii (param $at {p}) (param $end {p}) (param $out {q}) (result {p})
    (local $start {p}) (local $a v128) (local $b v128) (local $c v128) (local $d v128) (local $byte i32)
    (local $e v128) (local $f v128) (local $g v128) (local $h v128)
    (local.set $start (local.get $at))
    block $narrow
      ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 128))
      br_if $narrow
      loop $plain
        (local.set $a (v128.load {from} align=1 (local.get $at)))
        (local.set $b (v128.load {from} offset=16 align=1 (local.get $at)))
        (local.set $c (v128.load {from} offset=32 align=1 (local.get $at)))
        (local.set $d (v128.load {from} offset=48 align=1 (local.get $at)))
        (local.set $e (v128.load {from} offset=64 align=1 (local.get $at)))
        (local.set $f (v128.load {from} offset=80 align=1 (local.get $at)))
        (local.set $g (v128.load {from} offset=96 align=1 (local.get $at)))
        (local.set $h (v128.load {from} offset=112 align=1 (local.get $at)))
        (i8x16.bitmask
          (v128.or
            (v128.or (v128.or (local.get $a) (local.get $b)) (v128.or (local.get $c) (local.get $d)))
            (v128.or (v128.or (local.get $e) (local.get $f)) (v128.or (local.get $g) (local.get $h)))))
        br_if $narrow
        (v128.store {to} align=1 (local.get $out) (local.get $a))
        (v128.store {to} offset=16 align=1 (local.get $out) (local.get $b))
        (v128.store {to} offset=32 align=1 (local.get $out) (local.get $c))
        (v128.store {to} offset=48 align=1 (local.get $out) (local.get $d))
        (v128.store {to} offset=64 align=1 (local.get $out) (local.get $e))
        (v128.store {to} offset=80 align=1 (local.get $out) (local.get $f))
        (v128.store {to} offset=96 align=1 (local.get $out) (local.get $g))
        (v128.store {to} offset=112 align=1 (local.get $out) (local.get $h))
        (local.set $at ({p}.add (local.get $at) ({p}.const 128)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 128)))
        ({p}.ge_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 128))
        br_if $plain
      end
    end
    block $narrow
      ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 64))
      br_if $narrow
      (local.set $a (v128.load {from} align=1 (local.get $at)))
      (local.set $b (v128.load {from} offset=16 align=1 (local.get $at)))
      (local.set $c (v128.load {from} offset=32 align=1 (local.get $at)))
      (local.set $d (v128.load {from} offset=48 align=1 (local.get $at)))
      (i8x16.bitmask
        (v128.or (v128.or (local.get $a) (local.get $b)) (v128.or (local.get $c) (local.get $d))))
      br_if $narrow
      (v128.store {to} align=1 (local.get $out) (local.get $a))
      (v128.store {to} offset=16 align=1 (local.get $out) (local.get $b))
      (v128.store {to} offset=32 align=1 (local.get $out) (local.get $c))
      (v128.store {to} offset=48 align=1 (local.get $out) (local.get $d))
      (local.set $at ({p}.add (local.get $at) ({p}.const 64)))
      (local.set $out ({q}.add (local.get $out) ({q}.const 64)))
    end
    block $tail
      loop $plain
        ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 16))
        br_if $tail
        (i8x16.bitmask (local.tee $a (v128.load {from} align=1 (local.get $at))))
        br_if $tail
        (v128.store {to} align=1 (local.get $out) (local.get $a))
        (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 16)))
        br $plain
      end
    end
    ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 16))
    if
      ({p}.ge_u ({p}.sub (local.get $end) (local.get $start)) ({p}.const 16))
      if
        (i32.eqz (i8x16.bitmask (local.tee $a (v128.load {from} align=1 ({p}.sub (local.get $end) ({p}.const 16))))))
        if
          (v128.store {to} align=1
            ({q}.sub ({q}.add (local.get $out) {left}) ({q}.const 16))
            (local.get $a))
          (return (local.get $end))
        end
      end
    end
    block $done
      loop $next
        ({p}.eq (local.get $at) (local.get $end))
        br_if $done
        (i32.ge_u (local.tee $byte (i32.load8_u {from} (local.get $at))) (i32.const 0x80))
        br_if $done
        (i32.store8 {to} (local.get $out) (local.get $byte))
        (local.set $at ({p}.add (local.get $at) ({p}.const 1)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 1)))
        br $next
      end
    end
    local.get $at)

  ;; Widens bytes below 0x80 to code units; returns where the first other one is, or the end. The last sixteen as above.
  (func $widen_ascii (param $at {p}) (param $end {p}) (param $out {q}) (result {p})
    (local $start {p}) (local $chunk v128) (local $byte i32)
    (local.set $start (local.get $at))
    block $tail
      loop $plain
        ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 16))
        br_if $tail
        (i8x16.bitmask (local.tee $chunk (v128.load {from} align=1 (local.get $at))))
        br_if $tail
        (v128.store {to} align=2 (local.get $out) (i16x8.extend_low_i8x16_u (local.get $chunk)))
        (v128.store {to} offset=16 align=2 (local.get $out) (i16x8.extend_high_i8x16_u (local.get $chunk)))
        (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 32)))
        br $plain
      end
    end
    ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 16))
    if
      ({p}.ge_u ({p}.sub (local.get $end) (local.get $start)) ({p}.const 16))
      if
        (i32.eqz (i8x16.bitmask (local.tee $chunk (v128.load {from} align=1 ({p}.sub (local.get $end) ({p}.const 16))))))
        if
          (local.set $out ({q}.sub ({q}.add (local.get $out) ({q}.shl {left} ({q}.const 1))) ({q}.const 32)))
          (v128.store {to} align=2 (local.get $out) (i16x8.extend_low_i8x16_u (local.get $chunk)))
          (v128.store {to} offset=16 align=2 (local.get $out) (i16x8.extend_high_i8x16_u (local.get $chunk)))
          (return (local.get $end))
        end
      end
    end
    block $done
      loop $next
        ({p}.eq (local.get $at) (local.get $end))
        br_if $done
        (i32.ge_u (local.tee $byte (i32.load8_u {from} (local.get $at))) (i32.const 0x80))
        br_if $done
        (i32.store16 {to} (local.get $out) (local.get $byte))
        (local.set $at ({p}.add (local.get $at) ({p}.const 1)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 2)))
        br $next
      end
    end
    local.get $at)

  ;; Narrows code units that have none of the bits $above to bytes; returns where the first other one is, or the end.
  (func $narrow (param $at {p}) (param $end {p}) (param $out {q}) (param $above i32) (result {p})
    (local $low v128) (local $high v128) (local $unit i32)
    block $tail
      loop $plain
        ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 32))
        br_if $tail
        (local.set $low (v128.load {from} align=2 (local.get $at)))
        (local.set $high (v128.load {from} offset=16 align=2 (local.get $at)))
        (v128.any_true
          (v128.and
            (v128.or (local.get $low) (local.get $high))
            (i16x8.splat (local.get $above))))
        br_if $tail
        (v128.store {to} align=1 (local.get $out) (i8x16.narrow_i16x8_u (local.get $low) (local.get $high)))
        (local.set $at ({p}.add (local.get $at) ({p}.const 32)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 16)))
        br $plain
      end
    end
    block $eight
      ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 16))
      br_if $eight
      (local.set $low (v128.load {from} align=2 (local.get $at)))
      (v128.any_true (v128.and (local.get $low) (i16x8.splat (local.get $above))))
      br_if $eight
      (v128.store64_lane {to} align=1 0 (local.get $out) (i8x16.narrow_i16x8_u (local.get $low) (local.get $low)))
      (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
      (local.set $out ({q}.add (local.get $out) ({q}.const 8)))
    end
    block $done
      loop $next
        ({p}.eq (local.get $at) (local.get $end))
        br_if $done
        (i32.and (local.tee $unit (i32.load16_u {from} (local.get $at))) (local.get $above))
        br_if $done
        (i32.store8 {to} (local.get $out) (local.get $unit))
        (local.set $at ({p}.add (local.get $at) ({p}.const 2)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 1)))
        br $next
      end
    end
    local.get $at)

  ;; Whether all code units of [$at, $end) are below 0x100.
  (func $is_latin1 (param $at {p}) (param $end {p}) (result i32)
    block $tail
      loop $plain
        ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 16))
        br_if $tail
        (v128.any_true
          (v128.and
            (v128.load {from} align=2 (local.get $at))
            (v128.const i16x8 0xff00 0xff00 0xff00 0xff00 0xff00 0xff00 0xff00 0xff00)))
        if
          (return (i32.const 0))
        end
        (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
        br $plain
      end
    end
    loop $next
      ({p}.eq (local.get $at) (local.get $end))
      if
        (return (i32.const 1))
      end
      (i32.ge_u (i32.load16_u {from} (local.get $at)) (i32.const 0x100))
      if
        (return (i32.const 0))
      end
      (local.set $at ({p}.add (local.get $at) ({p}.const 2)))
      br $next
    end
    unreachable)
