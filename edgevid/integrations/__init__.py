"""Level 5: doors into other libraries. Nothing imports a door but the one who uses that library."""
