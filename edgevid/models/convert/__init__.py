"""Converters that make ONNX files out of weights published in other formats."""
