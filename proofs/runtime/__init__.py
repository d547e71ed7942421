"""The proof of the generated runtime: handle tables, channels, waitables and sets. See specs/proof.md."""
