"""A video language model of about 2 M parameters, trained here, to test what a KV cache remembers (E3).

``world`` renders streams and knows every answer, ``text`` words the questions, ``vision`` turns frames into
rows, ``network`` is the torch model, ``train`` trains it and ``export`` writes the GGUF the native decoder
runs. It answers questions about its own rendered world and about nothing else.
"""
