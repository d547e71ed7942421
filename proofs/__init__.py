"""Proofs about what the compiler emits: the bytes of the shims against the contract, for every input. See prove.py."""
