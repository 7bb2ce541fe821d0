"""The ops on a GPU, in Triton, one file per op. Importing this loads nothing; triton and torch come with
``edgevid[gpu]``.

Each file holds the kernels, a launcher on torch tensors, and ``builds(shape)``, what
:mod:`edgevid.kernels.aot` compiles ahead of time. Contracts are those of ``edgevid/ops/<op>.py``;
:mod:`edgevid.ops.triton_ops` brings numpy arrays here (``backend="triton"``). State: see docs/GPU.md.
"""
