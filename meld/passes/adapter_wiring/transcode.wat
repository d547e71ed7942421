;; Whole strings from one memory to another: validated, transcoded, allocated as the Canonical ABI says (store_string).
;;
;; {realloc} is the target's checked realloc; {from}, {to}, {p}, {q} and the functions in braces are as in strings.wat. A
;; function named a_to_b takes the address and the number of code units of a source that lies in its memory, aligned,
;; and returns both for the target. "compact" is latin1+utf16: Latin-1, or UTF-16 with {tag} set in the length.

  ;; Few bytes that are plain are the first and the last 32, 16, 8 or 4, which may overlap; they are validated and copied at
  ;; once. What is not plain is validated first, and copied the same way.
  (func $utf8_to_utf8 (param $from {p}) (param $length {p}) (result {q} {q})
    (local $units {q}) (local $to {q}) (local $last {p}) (local $end {p}) (local $stop {p})
    (local $v v128) (local $v_last v128) (local $x v128) (local $x_last v128) (local $w i64) (local $w_last i64)
    {checks}
    (local.set $units {length})
    {allocate}
    (local.set $end ({p}.add (local.get $from) (local.get $length)))
    block $any
      (local.set $last ({p}.sub (local.get $length) ({p}.const 16)))
      ({p}.le_u (local.get $last) ({p}.const 16))
      if
        (local.set $v (v128.load {from} align=1 (local.get $from)))
        (local.set $v_last (v128.load {from} align=1 ({p}.add (local.get $from) (local.get $last))))
        (i8x16.bitmask (v128.or (local.get $v) (local.get $v_last)))
        br_if $any
        (v128.store {to} align=1 (local.get $to) (local.get $v))
        (v128.store {to} align=1 ({q}.add (local.get $to) {last}) (local.get $v_last))
        (return (local.get $to) (local.get $units))
      end
      ({p}.gt_u (local.get $length) ({p}.const 16))
      if
        ({p}.gt_u (local.get $length) ({p}.const 64))
        br_if $any
        (local.set $last ({p}.sub (local.get $length) ({p}.const 32)))
        (local.set $v (v128.load {from} align=1 (local.get $from)))
        (local.set $x (v128.load {from} offset=16 align=1 (local.get $from)))
        (local.set $v_last (v128.load {from} align=1 ({p}.add (local.get $from) (local.get $last))))
        (local.set $x_last (v128.load {from} offset=16 align=1 ({p}.add (local.get $from) (local.get $last))))
        (i8x16.bitmask
          (v128.or (v128.or (local.get $v) (local.get $x)) (v128.or (local.get $v_last) (local.get $x_last))))
        br_if $any
        (v128.store {to} align=1 (local.get $to) (local.get $v))
        (v128.store {to} offset=16 align=1 (local.get $to) (local.get $x))
        (v128.store {to} align=1 ({q}.add (local.get $to) {last}) (local.get $v_last))
        (v128.store {to} offset=16 align=1 ({q}.add (local.get $to) {last}) (local.get $x_last))
        (return (local.get $to) (local.get $units))
      end
      ({p}.ge_u (local.get $length) ({p}.const 8))
      if
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
      ({p}.lt_u (local.get $length) ({p}.const 4))
      br_if $any
      (local.set $last ({p}.sub (local.get $length) ({p}.const 4)))
      (local.set $w (i64.load32_u {from} align=1 (local.get $from)))
      (local.set $w_last (i64.load32_u {from} align=1 ({p}.add (local.get $from) (local.get $last))))
      (i64.ne
        (i64.and (i64.or (local.get $w) (local.get $w_last)) (i64.const 0x80808080))
        (i64.const 0))
      if
        (call {validate_utf8} (local.get $from) (local.get $end))
      end
      (i64.store32 {to} align=1 (local.get $to) (local.get $w))
      (i64.store32 {to} align=1 ({q}.add (local.get $to) {last}) (local.get $w_last))
      (return (local.get $to) (local.get $units))
    end
    ({p}.le_u ({p}.sub (local.get $length) ({p}.const 16)) ({p}.const 48))
    if
      (call {validate_utf8} (local.get $from) (local.get $end))
      (local.set $last ({p}.sub (local.get $length) ({p}.const 16)))
      (v128.store {to} align=1 (local.get $to) (v128.load {from} align=1 (local.get $from)))
      (v128.store {to} align=1 ({q}.add (local.get $to) {last})
        (v128.load {from} align=1 ({p}.add (local.get $from) (local.get $last))))
      ({p}.gt_u (local.get $length) ({p}.const 32))
      if
        (local.set $last ({p}.sub (local.get $length) ({p}.const 32)))
        (v128.store {to} offset=16 align=1 (local.get $to) (v128.load {from} offset=16 align=1 (local.get $from)))
        (v128.store {to} align=1 ({q}.add (local.get $to) {last})
          (v128.load {from} align=1 ({p}.add (local.get $from) (local.get $last))))
      end
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

  (func $utf8_to_utf16 (param $from {p}) (param $length {p}) (result {q} {q})
    (local $worst {q}) (local $to {q}) (local $out {q}) (local $end {p}) (local $stop {p})
    (local.set $worst ({q}.shl {length} ({q}.const 1)))
    (local.set $end ({p}.add (local.get $from) (local.get $length)))
    (local.set $to (call {realloc} ({q}.const 0) ({q}.const 0) ({q}.const 2) (local.get $worst)))
    (local.set $stop (call {widen_ascii} (local.get $from) (local.get $end) (local.get $to)))
    ({p}.eq (local.get $stop) (local.get $end))
    if
      (return (local.get $to) {length})
    end
    (local.set $out ({q}.add (local.get $to) ({q}.shl {stop_from} ({q}.const 1))))
    (local.set $out ({q}.sub (call {widen} (local.get $stop) (local.get $end) (local.get $out)) (local.get $to)))
    ({q}.lt_u (local.get $out) (local.get $worst))
    if
      (local.set $to
        (call {realloc} (local.get $to) (local.get $worst) ({q}.const 2) (local.get $out)))
    end
    local.get $to
    ({q}.shr_u (local.get $out) ({q}.const 1)))

  (func $utf8_to_compact (param $from {p}) (param $length {p}) (result {q} {q})
    (local $units {q}) (local $worst {q}) (local $to {q}) (local $out {q}) (local $end {p}) (local $stop {p}) (local $char i32)
    (local.set $units {length})
    (local.set $end ({p}.add (local.get $from) (local.get $length)))
    (local.set $to (call {realloc} ({q}.const 0) ({q}.const 0) ({q}.const 2) (local.get $units)))
    block $wide
      (local.set $stop (call {copy_ascii} (local.get $from) (local.get $end) (local.get $to)))
      (local.set $out ({q}.add (local.get $to) {stop_from}))
      (local.set $from (local.get $stop))
      loop $next
        (call {compact_latin1} (local.get $from) (local.get $end) (local.get $out))
        local.set $out
        local.set $from
        loop $char
          ({p}.eq (local.get $from) (local.get $end))
          if
            (local.set $out ({q}.sub (local.get $out) (local.get $to)))
            ({q}.lt_u (local.get $out) (local.get $units))
            if
              (local.set $to (call {realloc} (local.get $to) (local.get $units) ({q}.const 2) (local.get $out)))
            end
            (return (local.get $to) (local.get $out))
          end
          (local.set $char (i32.load8_u {from} (local.get $from)))
          (local.set $stop ({p}.add (local.get $from) ({p}.const 1)))
          (i32.ge_u (local.get $char) (i32.const 0x80))
          if
            (call {decode_utf8} (local.get $from) (local.get $end))
            local.set $stop
            (i32.ge_u (local.tee $char) (i32.const 0x100))
            br_if $wide
          end
          (i32.store8 {to} (local.get $out) (local.get $char))
          (local.set $out ({q}.add (local.get $out) ({q}.const 1)))
          (local.set $from (local.get $stop))
          ({p}.lt_u ({p}.sub (local.get $end) (local.get $from)) ({p}.const 17))
          br_if $char
        end
        br $next
      end
    end
    (local.set $out ({q}.sub (local.get $out) (local.get $to)))
    (local.set $worst ({q}.shl (local.get $units) ({q}.const 1)))
    (local.set $to (call {realloc} (local.get $to) (local.get $units) ({q}.const 2) (local.get $worst)))
    (call {inflate} (local.get $to) (local.get $out))
    (local.set $out ({q}.add (local.get $to) ({q}.shl (local.get $out) ({q}.const 1))))
    (local.set $out (call {widen} (local.get $from) (local.get $end) (local.get $out)))
    (local.set $out ({q}.sub (local.get $out) (local.get $to)))
    ({q}.lt_u (local.get $out) (local.get $worst))
    if
      (local.set $to (call {realloc} (local.get $to) (local.get $worst) ({q}.const 2) (local.get $out)))
    end
    local.get $to
    ({q}.or ({q}.shr_u (local.get $out) ({q}.const 1)) ({q}.const {tag})))

  ;; Widens $count bytes at $at to code units, in place, from the last one down.
  (func $inflate (param $at {q}) (param $count {q})
    block $done
      loop $next
        ({q}.eqz (local.get $count))
        br_if $done
        (local.set $count ({q}.sub (local.get $count) ({q}.const 1)))
        (i32.store16 {to}
          ({q}.add (local.get $at) ({q}.shl (local.get $count) ({q}.const 1)))
          (i32.load8_u {to} ({q}.add (local.get $at) (local.get $count))))
        br $next
      end
    end)

  (func $utf16_to_utf8 (param $from {p}) (param $length {p}) (result {q} {q})
    (local $units {q}) (local $worst {q}) (local $to {q}) (local $out {q}) (local $end {p}) (local $stop {p}) (local $char i32)
    (local.set $units {length})
    (local.set $end ({p}.add (local.get $from) ({p}.shl (local.get $length) ({p}.const 1))))
    (local.set $to (call {realloc} ({q}.const 0) ({q}.const 0) ({q}.const 1) (local.get $units)))
    (local.set $stop (call {narrow} (local.get $from) (local.get $end) (local.get $to) (i32.const 0xff80)))
    ({p}.eq (local.get $stop) (local.get $end))
    if
      (return (local.get $to) (local.get $units))
    end
    (local.set $worst ({q}.mul (local.get $units) ({q}.const 3)))
    (local.set $to (call {realloc} (local.get $to) (local.get $units) ({q}.const 1) (local.get $worst)))
    (local.set $out ({q}.add (local.get $to) ({q}.shr_u {stop_from} ({q}.const 1))))
    (local.set $from (local.get $stop))
    (call {encode_units} (local.get $from) (local.get $end) (local.get $out))
    local.set $out
    local.set $from
    block $done
      loop $next
        ({p}.eq (local.get $from) (local.get $end))
        br_if $done
        (local.set $char (i32.load16_u {from} (local.get $from)))
        (i32.lt_u (local.get $char) (i32.const 0x800))
        if
          (local.set $out (call {encode_utf8} (local.get $out) (local.get $char)))
          (local.set $from ({p}.add (local.get $from) ({p}.const 2)))
          br $next
        end
        (call {decode_utf16} (local.get $from) (local.get $end))
        local.set $from
        local.set $char
        (local.set $out (call {encode_utf8} (local.get $out) (local.get $char)))
        br $next
      end
    end
    (local.set $out ({q}.sub (local.get $out) (local.get $to)))
    ({q}.lt_u (local.get $out) (local.get $worst))
    if
      (local.set $to (call {realloc} (local.get $to) (local.get $worst) ({q}.const 1) (local.get $out)))
    end
    local.get $to
    local.get $out)

  (func $utf16_to_utf16 (param $from {p}) (param $length {p}) (result {q} {q})
    (local $bytes {q}) (local $to {q})
    (call {validate_utf16}
      (local.get $from)
      ({p}.add (local.get $from) ({p}.shl (local.get $length) ({p}.const 1))))
    (local.set $bytes ({q}.shl {length} ({q}.const 1)))
    (local.set $to (call {realloc} ({q}.const 0) ({q}.const 0) ({q}.const 2) (local.get $bytes)))
    (call {copy_bytes} (local.get $to) (local.get $from) ({p}.shl (local.get $length) ({p}.const 1)))
    local.get $to
    {length})

  (func $utf16_to_compact (param $from {p}) (param $length {p}) (result {q} {q})
    (local $units {q}) (local $worst {q}) (local $to {q}) (local $out {q}) (local $end {p}) (local $stop {p})
    (local.set $units {length})
    (local.set $end ({p}.add (local.get $from) ({p}.shl (local.get $length) ({p}.const 1))))
    (local.set $to (call {realloc} ({q}.const 0) ({q}.const 0) ({q}.const 2) (local.get $units)))
    (local.set $stop (call {narrow} (local.get $from) (local.get $end) (local.get $to) (i32.const 0xff00)))
    ({p}.eq (local.get $stop) (local.get $end))
    if
      (return (local.get $to) (local.get $units))
    end
    (local.set $out ({q}.shr_u {stop_from} ({q}.const 1)))
    (local.set $from (local.get $stop))
    (local.set $worst ({q}.shl (local.get $units) ({q}.const 1)))
    (local.set $to (call {realloc} (local.get $to) (local.get $units) ({q}.const 2) (local.get $worst)))
    (call {inflate} (local.get $to) (local.get $out))
    (local.set $out ({q}.add (local.get $to) ({q}.shl (local.get $out) ({q}.const 1))))
    (call {validate_utf16} (local.get $from) (local.get $end))
    (local.set $stop (local.get $end))
    (local.set $units {stop_from})
    (memory.copy {to} {from} (local.get $out) (local.get $from) {units})
    local.get $to
    ({q}.or ({q}.shr_u (local.get $worst) ({q}.const 1)) ({q}.const {tag})))

  (func $latin1_to_utf8 (param $from {p}) (param $length {p}) (result {q} {q})
    (local $units {q}) (local $worst {q}) (local $to {q}) (local $out {q}) (local $end {p}) (local $stop {p}) (local $byte i32)
    (local.set $units {length})
    (local.set $end ({p}.add (local.get $from) (local.get $length)))
    (local.set $to (call {realloc} ({q}.const 0) ({q}.const 0) ({q}.const 1) (local.get $units)))
    (local.set $stop (call {copy_ascii} (local.get $from) (local.get $end) (local.get $to)))
    ({p}.eq (local.get $stop) (local.get $end))
    if
      (return (local.get $to) (local.get $units))
    end
    (local.set $worst ({q}.shl (local.get $units) ({q}.const 1)))
    (local.set $to (call {realloc} (local.get $to) (local.get $units) ({q}.const 1) (local.get $worst)))
    (local.set $out ({q}.add (local.get $to) {stop_from}))
    (call {encode_latin1} (local.get $stop) (local.get $end) (local.get $out))
    local.set $out
    local.set $from
    block $done
      loop $next
        ({p}.eq (local.get $from) (local.get $end))
        br_if $done
        (local.set $byte (i32.load8_u {from} (local.get $from)))
        (local.set $from ({p}.add (local.get $from) ({p}.const 1)))
        (i32.lt_u (local.get $byte) (i32.const 0x80))
        if
          (i32.store8 {to} (local.get $out) (local.get $byte))
          (local.set $out ({q}.add (local.get $out) ({q}.const 1)))
          br $next
        end
        (i32.store16 {to} align=1 (local.get $out)
          (i32.or
            (i32.or (i32.const 0x80c0) (i32.shr_u (local.get $byte) (i32.const 6)))
            (i32.shl (i32.and (local.get $byte) (i32.const 0x3f)) (i32.const 8))))
        (local.set $out ({q}.add (local.get $out) ({q}.const 2)))
        br $next
      end
    end
    (local.set $out ({q}.sub (local.get $out) (local.get $to)))
    ({q}.lt_u (local.get $out) (local.get $worst))
    if
      (local.set $to (call {realloc} (local.get $to) (local.get $worst) ({q}.const 1) (local.get $out)))
    end
    local.get $to
    local.get $out)

  (func $latin1_to_utf16 (param $from {p}) (param $length {p}) (result {q} {q})
    (local $to {q})
    (local.set $to
      (call {realloc} ({q}.const 0) ({q}.const 0) ({q}.const 2) ({q}.shl {length} ({q}.const 1))))
    (call {widen_latin1} (local.get $from) ({p}.add (local.get $from) (local.get $length)) (local.get $to))
    local.get $to
    {length})

  (func $latin1_to_compact (param $from {p}) (param $length {p}) (result {q} {q})
    (local $units {q}) (local $to {q})
    (local.set $units {length})
    (local.set $to (call {realloc} ({q}.const 0) ({q}.const 0) ({q}.const 2) (local.get $units)))
    (call {copy_bytes} (local.get $to) (local.get $from) (local.get $length))
    local.get $to
    local.get $units)

  ;; UTF-16 out of latin1+utf16 is probably not Latin-1; where it is after all, it is narrowed.
  (func $tagged_utf16_to_compact (param $from {p}) (param $length {p}) (result {q} {q})
    (local $units {q}) (local $bytes {q}) (local $to {q}) (local $end {p})
    (local.set $units {length})
    (local.set $bytes ({q}.shl (local.get $units) ({q}.const 1)))
    (local.set $end ({p}.add (local.get $from) ({p}.shl (local.get $length) ({p}.const 1))))
    (call {validate_utf16} (local.get $from) (local.get $end))
    (local.set $to (call {realloc} ({q}.const 0) ({q}.const 0) ({q}.const 2) (local.get $bytes)))
    (memory.copy {to} {from} (local.get $to) (local.get $from) {bytes})
    (i32.eqz (call {is_latin1} (local.get $from) (local.get $end)))
    if
      (return (local.get $to) ({q}.or (local.get $units) ({q}.const {tag})))
    end
    (call {narrow} (local.get $from) (local.get $end) (local.get $to) (i32.const 0xff00))
    drop
    ;; The text of the specification says alignment 1 here; engines ask for what the block was allocated with.
    (call {realloc} (local.get $to) (local.get $bytes) ({q}.const 2) (local.get $units))
    local.get $units)
