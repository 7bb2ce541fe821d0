"""The default answerer: question -> intent -> structured query over the timeline -> template, with "
"evidence.

::

    question --language.py--> English? --normal.py--> words --intent.py--> Query(intent, subject, ...)
        Query --lookup.py (vocabulary.py: words -> labels)--> Match(rows) --phrasing.py--> Answer
                 weighing.py: what is likeliest of a kind, where the question presupposes one
"""
