"""Level 4: follow a stream, keep a timeline and a KV cache, answer questions at any moment."""
