;; Pieces of strings.wat, wide.wat, widen.wat and transcode.wat for targets without SIMD, under the same names and with the same parameters.
;; Eight bytes at a time go through i64 while they are plain.

  ;; Few bytes that are plain are the first and the last 8 or 4, which may overlap; they are validated and copied at once.
  ;; What is not plain is validated first.
  (func $utf8_to_utf8 (param $from {p}) (param $length {p}) (result {q} {q})
    (local $units {q}) (local $to {q}) (local $last {p}) (local $end {p}) (local $stop {p})
    (local $w i64) (local $w_last i64)
    {checks}
    (local.set $units {length})
    {allocate}
    (local.set $end ({p}.add (local.get $from) (local.get $length)))
    block $any
      ({p}.gt_u (local.get $length) ({p}.const 16))
      br_if $any
      ({p}.lt_u (local.get $length) ({p}.const 8))
      br_if $any
      (local.set $last ({p}.sub (local.get $length) ({p}.const 8)))
      (local.set $w (i64.load {from} align=1 (local.get $from)))
      (local.set $w_last (i64.load {from} align=1 ({p}.add (local.get $from) (local.get $last))))
      (i64.ne
        (i64.and (i64.or (local.get $w) (local.get $w_last)) (i64.const 0x8080808080808080))
        (i64.const 0))
      if
        (call {validate_utf8} (local.get $from) (local.get $end))
      end
      (i64.store {to} align=1 (local.get $to) (local.get $w))
      (i64.store {to} align=1 ({q}.add (local.get $to) {last}) (local.get $w_last))
      (return (local.get $to) (local.get $units))
    end
    (local.set $stop (call {copy_ascii} (local.get $from) (local.get $end) (local.get $to)))
    ({p}.ne (local.get $stop) (local.get $end))
    if
      (call {validate_utf8} (local.get $stop) (local.get $end))
      (memory.copy {to} {from}
        ({q}.add (local.get $to) {stop_from})
        (local.get $stop)
        {rest})
    end
    local.get $to
    local.get $units)

  ;; UTF-8 to UTF-16; returns where the code units end. Traps unless it is UTF-8.
  (func $widen (param $at {p}) (param $end {p}) (param $out {q}) (result {q})
    (local $a i32)
    loop $next
      ({p}.eq (local.get $at) (local.get $end))
      if
        (return (local.get $out))
      end
      (local.set $a (i32.load8_u {from} (local.get $at)))
      (i32.lt_u (local.get $a) (i32.const 0x80))
      if
        (i32.store16 {to} (local.get $out) (local.get $a))
        (local.set $at ({p}.add (local.get $at) ({p}.const 1)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 2)))
        br $next
      end
      (call {decode_utf8} (local.get $at) (local.get $end))
      local.set $at
      local.set $a
      (local.set $out (call {encode_utf16} (local.get $out) (local.get $a)))
      br $next
    end
    unreachable)

  ;; Traps unless [$at, $end) is UTF-8.
  (func $validate_utf8 (param $at {p}) (param $end {p})
    block $done
      loop $next
        block $char
          loop $plain
            ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 8))
            br_if $char
            (i64.ne
              (i64.and (i64.load {from} align=1 (local.get $at)) (i64.const 0x8080808080808080))
              (i64.const 0))
            br_if $char
            (local.set $at ({p}.add (local.get $at) ({p}.const 8)))
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
    (local $eight i64) (local $byte i32)
    block $tail
      loop $plain
        ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 8))
        br_if $tail
        (i64.ne
          (i64.and
            (local.tee $eight (i64.load {from} align=1 (local.get $at)))
            (i64.const 0x8080808080808080))
          (i64.const 0))
        br_if $tail
        (i64.store {to} align=1 (local.get $out) (local.get $eight))
        (local.set $at ({p}.add (local.get $at) ({p}.const 8)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 8)))
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
    (local $byte i32)
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

  ;; Narrows code units that have none of the bits $above to bytes; returns where the first other one is, or the end.
  (func $narrow (param $at {p}) (param $end {p}) (param $out {q}) (param $above i32) (result {p})
    (local $unit i32)
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

  ;; Copies chars; traps unless all are Unicode scalar values, as with SIMD.
  (func $copy_chars (param $at {p}) (param $end {p}) (param $out {q})
    (local $char i32)
    block $done
      loop $next
        ({p}.eq (local.get $at) (local.get $end))
        br_if $done
        (local.set $char (i32.load {from} (local.get $at)))
        {check_char}
        (i32.store {to} (local.get $out) (local.get $char))
        (local.set $at ({p}.add (local.get $at) ({p}.const 4)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 4)))
        br $next
      end
    end)

  ;; Copies bools; anything but 0 becomes 1.
  (func $copy_bools (param $at {p}) (param $end {p}) (param $out {q})
    block $done
      loop $next
        ({p}.eq (local.get $at) (local.get $end))
        br_if $done
        (i32.store8 {to} (local.get $out) (i32.ne (i32.load8_u {from} (local.get $at)) (i32.const 0)))
        (local.set $at ({p}.add (local.get $at) ({p}.const 1)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 1)))
        br $next
      end
    end)

  ;; UTF-16 to UTF-8, up to the first surrogate; returns where both sides stand.
  (func $encode_units (param $at {p}) (param $end {p}) (param $out {q}) (result {p} {q})
    (local $unit i32)
    block $done
      loop $next
        ({p}.eq (local.get $at) (local.get $end))
        br_if $done
        (local.set $unit (i32.load16_u {from} (local.get $at)))
        (i32.eq (i32.and (local.get $unit) (i32.const 0xf800)) (i32.const 0xd800))
        br_if $done
        (local.set $out (call {encode_utf8} (local.get $out) (local.get $unit)))
        (local.set $at ({p}.add (local.get $at) ({p}.const 2)))
        br $next
      end
    end
    local.get $at
    local.get $out)

  ;; Latin-1 to UTF-8; returns where both sides stand.
  (func $encode_latin1 (param $at {p}) (param $end {p}) (param $out {q}) (result {p} {q})
    block $done
      loop $next
        ({p}.eq (local.get $at) (local.get $end))
        br_if $done
        (local.set $out (call {encode_utf8} (local.get $out) (i32.load8_u {from} (local.get $at))))
        (local.set $at ({p}.add (local.get $at) ({p}.const 1)))
        br $next
      end
    end
    local.get $at
    local.get $out)

  ;; UTF-8 to Latin-1, up to a char that is none, or to the last bytes; returns where both sides stand.
  (func $compact_latin1 (param $at {p}) (param $end {p}) (param $out {q}) (result {p} {q})
    (local $eight i64) (local $plain i64) (local $pair i32)
    block $done
      loop $next
        ({p}.lt_u ({p}.sub (local.get $end) (local.get $at)) ({p}.const 32))
        br_if $done
        (local.set $eight (i64.load {from} align=1 (local.get $at)))
        (i64.store {to} align=1 (local.get $out) (local.get $eight))
        (local.set $plain
          (i64.shr_u (i64.ctz (i64.and (local.get $eight) (i64.const 0x8080808080808080))) (i64.const 3)))
        (local.set $at ({p}.add (local.get $at) {plain_from}))
        (local.set $out ({q}.add (local.get $out) {plain_to}))
        (i64.eq (local.get $plain) (i64.const 8))
        br_if $next
        (local.set $pair (i32.load16_u {from} align=1 (local.get $at)))
        (i32.ne (i32.and (local.get $pair) (i32.const 0xc0fe)) (i32.const 0x80c2))
        br_if $done
        (i32.store8 {to} (local.get $out)
          (i32.or
            (i32.shl (local.get $pair) (i32.const 6))
            (i32.and (i32.shr_u (local.get $pair) (i32.const 8)) (i32.const 0x3f))))
        (local.set $at ({p}.add (local.get $at) ({p}.const 2)))
        (local.set $out ({q}.add (local.get $out) ({q}.const 1)))
        br $next
      end
    end
    local.get $at
    local.get $out)
