"""Level 0: the nouns every room shares. Imports only the standard library and numpy."""
