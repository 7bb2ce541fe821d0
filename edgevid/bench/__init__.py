"""Measuring: ``edgevid bench NAME``; the top-level bench/ wraps the same code for pytest-benchmark."""
