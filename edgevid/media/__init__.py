"""Level 2: one URI grammar -> timestamped pictures and sound; writing video and pictures. Imports only core.

``source.open_source`` reads, ``encode.VideoWriter`` writes, ``png`` reads and writes single pictures,
``contact_sheet`` draws an annotated overview. Nothing here imports av before it is needed.
"""
