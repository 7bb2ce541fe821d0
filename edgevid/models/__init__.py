"""Level 2: model packs (list, pull, verify), conversion, and sessions that run them."""
