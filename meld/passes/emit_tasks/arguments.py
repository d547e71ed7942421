"""The texts of `arguments.wat`: handles in arguments of the host's calls, which are the caller's until these start.

Source: Component Model, CanonicalABI.md: canon lower (`on_start`), lift_own, lift_borrow, lift_stream, lift_future.
"""

from __future__ import annotations

KEEPING = ("own_keep", "end_keep", "kept_as")
"""The functions of the template that `EndFunctions` names."""
NOTHING_KEPT = """
  (func $arguments_called (param $task i32) (param $status i32))
  (func $arguments_told (param $task i32) (param $status i32))
"""
LINK = """
    (if {linked}
      (then
        (if (i32.eqz (i32.and (i32.load $state offset=32 (local.get $waitable)) (i32.const 0x280)))
          (then (i32.store $state offset=16 (global.get $kept_last) (local.get $waitable))))))"""
REJOIN = """
          (if (i32.load $state offset=16 (local.get $kept))
            (then (call $kept_rejoin (local.get $task) (local.get $kept))))"""
"""What `arguments.wat` does with an end of a call that never started, whose channel it may get back."""
NO_ENDS = """
  (func $end_liftable (param $record i32) (param $type i32) (param $handle i32) (result i32) (unreachable))
  (func $end_lift (param $record i32) (param $type i32) (param $handle i32) (result i32) (unreachable))
"""
LENDING = {
    "unlend": """
    (if (i32.eqz (local.get $status))
      (then (call $end_loans (local.get $record) (i32.add (local.get $task) (i32.const 48)))))""",
    "lent": """
      (if (i32.lt_s (local.get $type) (i32.const 0))
        (then
          (local.set $kept
            (if (result i32) (local.get $status)
              (then (call $kept_free (local.get $task) (local.get $kept)))
              (else (i32.load $state (local.get $kept)))))
          (br $more)))""",
    "lend": """
          (if (i32.lt_s (i32.load $state offset=4 (local.get $kept)) (i32.const 0))
            (then
              (drop
                (call $lift_borrow
                  (i32.load $state offset=44 (local.get $task))
                  (i32.and (i32.load $state offset=4 (local.get $kept)) (i32.const 0x7fffffff))
                  (i32.load $state offset=8 (local.get $kept))
                  (i32.add (local.get $task) (i32.const 48))))
              (drop (call $kept_free (local.get $task) (local.get $kept)))
              (br $more)))""",
}
"""What is added to `arguments.wat` where handles are lent: while the host is called, and once it has started."""
NOT_LENDING = dict.fromkeys(LENDING, "")
BORROW_KEEP = """
  (func $borrow_keep (param $record i32) (param $type i32) (param $handle i32) (param $scope i32) (result i32)
    (local $object i32)
    (local.set $object
      (call $lift_borrow (local.get $record) (local.get $type) (local.get $handle) (local.get $scope)))
    (call $keep (local.get $record) (local.get $type) (local.get $handle))
    (i32.store $state offset=4 (global.get $kept_last) (i32.or (local.get $type) (i32.const 0x80000000)))
    (i32.store $state (call $kept_entry (local.get $record) (global.get $kept_last)) (local.get $type))
    (local.get $object))
"""
