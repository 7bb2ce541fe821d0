"""Level 4: live speech translation with the speaker's lips in sync (docs/LIPSYNC.md).

Speech is cut into clauses, recognised, translated and spoken; a mouth curve is made of the new sound and
drawn on the picture. ``nouns.py`` has what flows between the parts, ``protocols.py`` what a part must do.
"""
