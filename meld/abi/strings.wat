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

  ;; Traps unless [$at, $end) is UTF-8.
  (func $validate_utf8 (param $at {p}) (param $end {p})
    (local $mask i32)
    block $done
      loop $next
        block $char
          loop $plain
            ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 16))
            br_if $char
            (local.tee $mask (i8x16.bitmask (v128.load {from} align=1 (local.get $at))))
            if
              (local.set $at ({p}.add (local.get $at) {mask_zeros}))
              br $char
            end
            (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
            br $plain
          end
        end
        ({p}.eq (local.get $at) (local.get $end))
        br_if $done
        (call {decode_utf8} (local.get $at) (local.get $end))
        local.set $at
        drop
        br $next
      end
    end)

  ;; Traps unless [$at, $end) is UTF-16.
  (func $validate_utf16 (param $at {p}) (param $end {p})
    block $done
      loop $next
        block $char
          loop $plain
            ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 16))
            br_if $char
            (v128.any_true
              (i16x8.eq
                (v128.and
                  (v128.load {from} align=2 (local.get $at))
                  (v128.const i16x8 0xf800 0xf800 0xf800 0xf800 0xf800 0xf800 0xf800 0xf800))
                (v128.const i16x8 0xd800 0xd800 0xd800 0xd800 0xd800 0xd800 0xd800 0xd800)))
            br_if $char
            (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
            br $plain
          end
        end
        ({p}.eq (local.get $at) (local.get $end))
        br_if $done
        (call {decode_utf16} (local.get $at) (local.get $end))
        local.set $at
        drop
        br $next
      end
    end)

  ;; Copies bytes below 0x80; returns where the first other one is, or the end.
  (func $copy_ascii (param $at {p}) (param $end {p}) (param $out {q}) (result {p})
    (local $chunk v128) (local $byte i32)
    block $tail
      loop $plain
        ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 16))
        br_if $tail
        (i8x16.bitmask (local.tee $chunk (v128.load {from} align=1 (local.get $at))))
        br_if $tail
        (v128.store {to} align=1 (local.get $out) (local.get $chunk))
        (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 16)))
        br $plain
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

  ;; Widens bytes below 0x80 to code units; returns where the first other one is, or the end.
  (func $widen_ascii (param $at {p}) (param $end {p}) (param $out {q}) (result {p})
    (local $chunk v128) (local $byte i32)
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

  ;; Widens Latin-1 to code units.
  (func $widen_latin1 (param $at {p}) (param $end {p}) (param $out {q})
    (local $chunk v128)
    block $tail
      loop $plain
        ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 16))
        br_if $tail
        (local.set $chunk (v128.load {from} align=1 (local.get $at)))
        (v128.store {to} align=2 (local.get $out) (i16x8.extend_low_i8x16_u (local.get $chunk)))
        (v128.store {to} offset=16 align=2 (local.get $out) (i16x8.extend_high_i8x16_u (local.get $chunk)))
        (local.set $at ({p}.add (local.get $at) ({p}.const 16)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 32)))
        br $plain
      end
    end
    block $done
      loop $next
        ({p}.eq (local.get $at) (local.get $end))
        br_if $done
        (i32.store16 {to} (local.get $out) (i32.load8_u {from} (local.get $at)))
        (local.set $at ({p}.add (local.get $at) ({p}.const 1)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 2)))
        br $next
      end
    end)

  ;; Narrows code units below 0x80 to bytes; returns where the first other one is, or the end.
  (func $narrow_ascii (param $at {p}) (param $end {p}) (param $out {q}) (result {p})
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
            (v128.const i16x8 0xff80 0xff80 0xff80 0xff80 0xff80 0xff80 0xff80 0xff80)))
        br_if $tail
        (v128.store {to} align=1 (local.get $out) (i8x16.narrow_i16x8_u (local.get $low) (local.get $high)))
        (local.set $at ({p}.add (local.get $at) ({p}.const 32)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 16)))
        br $plain
      end
    end
    block $done
      loop $next
        ({p}.eq (local.get $at) (local.get $end))
        br_if $done
        (i32.ge_u (local.tee $unit (i32.load16_u {from} (local.get $at))) (i32.const 0x80))
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
