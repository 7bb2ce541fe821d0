"""A GGUF model with fewer layers or another stated context, to measure what its own shape does not allow."""

from __future__ import annotations

from pathlib import Path

from edgevid.core.errors import MissingPartError


def reshaped(source: Path, target: Path, *, layers: int | None = None, context: int | None = None) -> Path:
    """Write ``source`` to ``target`` with its first ``layers`` layers only, and ``context`` as the context it
    was trained for; None leaves either as it is.

    Raises:
        MissingPartError: the gguf package is not installed.
    """
    try:
        from gguf import GGUFReader, GGUFValueType, GGUFWriter
    except ImportError as error:
        raise MissingPartError("rewriting a model needs gguf", fix="pip install 'edgevid[hf]'") from error
    reader = GGUFReader(source)
    arch = reader.fields["general.architecture"].contents()
    stated = {f"{arch}.block_count": layers, f"{arch}.context_length": context}
    writer = GGUFWriter(target, arch)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue  # the writer's own
        new = stated.get(name)
        kind, item = field.types[0], field.types[-1]
        value = field.contents() if new is None else new
        writer.add_key_value(name, value, kind, item if kind == GGUFValueType.ARRAY else None)
    for tensor in reader.tensors:
        block = tensor.name.split(".")
        if layers is None or block[0] != "blk" or int(block[1]) < layers:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target
