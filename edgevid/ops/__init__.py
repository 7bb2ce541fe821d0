"""Level 1: one module per op: its contract and numpy reference."""
