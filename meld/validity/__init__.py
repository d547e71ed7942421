"""Whether a component is valid: what `meld.verify.composition` cannot see, since it takes types.

`components` goes through the definitions; `entities` says what types are, `subtyping` and `core_items` when one can
stand for another; `names` and `canonical` know the rules of names and of canonical definitions. What the engine or
`wasm-tools validate` takes with all features on is valid here: where they differ, both are right.
"""
