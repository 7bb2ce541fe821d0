"""Level 3: what was seen and heard, in one SQLite file."""
