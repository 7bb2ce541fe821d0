"""A user's own voice, translator or recogniser in the dubbing line. Each loads its package when made."""
