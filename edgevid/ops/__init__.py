"""Level 1: one module per op: its contract, its numpy reference, and the choice between that and the native
kernel.

The numpy reference is the specification. The native decoder calls the same kernels from C++.
"""
