"""The default answerer: question -> intent -> structured query over the timeline -> template, with "
"evidence.

::

    question --language.py--> English? --normal.py--> words --intent.py--> Query(intent, subject, ...)
        Query --lookup.py (vocabulary.py: words -> labels)--> Finding(rows) --phrasing.py--> Answer
"""
