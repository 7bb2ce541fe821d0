"""Level 2: one URI grammar to timestamped frames and audio, under limits given at open."""
