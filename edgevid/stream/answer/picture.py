"""Questions about a picture put to a recording that has none."""

from __future__ import annotations

import re
from dataclasses import replace

from edgevid.stream.answer import hearing
from edgevid.stream.answer.intent import Query
from edgevid.stream.answer.reply import Reply
from edgevid.stream.answer.watched import Watched

_VISUAL = frozenset(
    "worn which either nobody where presence how_many how_long when written cuts summary".split()
)
_OF_A_PICTURE = re.compile(
    r"\b(?:see|seen|look\w*|watch|visible|visual\w*|show\w*|appear\w*|picture\w*|image\w*|screen|frame|scene|camera"
    r"|wear\w*|dressed|written|text|caption|title)\b"
)
_ASKS = re.compile(r"^(?:what|which|who|where|how|why|whose|name|list)\b")


def without_picture(query: Query, watched: Watched) -> Reply | None:
    """What to say to a visual question about sound alone; None where the usual way answers it.

    A question for a content ("which card comes first") is answered by what is said, one for something to be
    seen by saying that there is no picture.
    """
    if watched.video.width or query.intent not in _VISUAL:
        return None
    if any("sound" in term.labels for term in query.subject):
        return None
    looks = _OF_A_PICTURE.search(query.text) or query.intent in ("written", "cuts", "worn", "nobody")
    if query.intent == "summary" and not looks:
        return None
    timed = query.intent in ("when", "how_long") and not query.subject
    if not looks and (timed or _ASKS.match(query.text)) and watched.of("speech"):
        wants = query.wants if timed else "which"
        return hearing.said(replace(query, intent="said", phrase=None, wants=wants), watched)
    return Reply("No: there is no picture, only sound.", (), "no-picture")
