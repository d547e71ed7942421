"""Golden tests: one `.wat` file holds the program, the command and what is expected (docs/golden.md)."""
