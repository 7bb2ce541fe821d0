"""A user's own video language model: vision tower and connector on onnxruntime, text on the native decoder.

::

    checkpoint folder --checkpoint, safetensors--+--text_gguf, tokenizer_gguf--> text.gguf --> decoder
                                                 +--tower--vision_graph--> vision.onnx             ^
    mmproj GGUF ------mmproj---------------------+              |                                  |
                                                                v                                  |
    Frame --preprocess, resize--> pixels ------------------> vision.onnx --rows--> encoder, prompt +

``model.py`` is the door; ``conversion.py`` keeps what was converted in the user's cache.
"""
