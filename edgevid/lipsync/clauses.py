"""Cuts speech into clauses at pauses that mean something.

A pause first makes a draft, which can be recognised while the wait goes on; its words then decide how long
the wait is. So recognition costs no time once the clause is over::

    voice  ############____##########__________|
                       ^draft 0      ^draft 0  ^cut 0, as in the draft before it
                           (went on)    hint("... the dog.") -> a short wait
"""

from __future__ import annotations

import statistics
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from edgevid.lipsync.hangover import Hangover, HangoverConfig, pitch_falls
from edgevid.lipsync.nouns import Floats
from edgevid.perception.audio_intake import RATE, Block, level_dbfs
from edgevid.perception.held_sound import WINDOW, HeldSound, Utterance, VoiceActivity, windows_in

_WINDOW_MS = 1000 * WINDOW / RATE
_NOISE_WINDOWS = 100  # 3.2 s
_SILENCE_DBFS = -100.0


@dataclass(frozen=True, slots=True)
class ClauseConfig:
    """When a clause begins and may end. Times are rounded up to windows of 32 ms.

    Attributes:
        on, off: speech begins at voice activity ``on`` and lasts while it is at least ``off``.
        above_noise_db: what is not this much over the noise is a pause, whatever the voice activity says.
        draft_ms: a pause this long makes a draft.
        min_speech_ms: less voice than this is no clause.
        pad_ms: sound kept before and after, for the recogniser.
        max_ms: a longer clause is cut at the quietest moment of its second half.
        hangover: how long the pause must be.
    """

    on: float = 0.4
    off: float = 0.25
    above_noise_db: float = 3.0
    draft_ms: int = 96
    min_speech_ms: int = 160
    pad_ms: int = 192
    max_ms: int = 10_000
    hangover: HangoverConfig = field(default_factory=HangoverConfig)


@dataclass(frozen=True, slots=True)
class Draft:
    """A clause that may be over: worth recognising, and telling ``ClauseSegmenter.hint`` the words."""

    number: int
    utterance: Utterance


@dataclass(frozen=True, slots=True)
class Cut:
    """A clause that is over.

    Attributes:
        number: running, from 0; that of its drafts.
        utterance: samples, padding included; span, padding left out.
        as_drafted: nothing was said since its last draft: the draft's words are its words.
        forced: it was too long.
        waited_ms: the pause it took.
    """

    number: int
    utterance: Utterance
    as_drafted: bool
    forced: bool
    waited_ms: float


class ClauseSegmenter:
    """Turns 16 kHz blocks into drafts and cuts; holds at most ``max_ms`` of sound and its padding.

    Args:
        vad: the voice-activity network; this object alone may call it.
        language: of the words that ``hint`` tells.
    """

    def __init__(
        self, vad: VoiceActivity, *, language: str = "en", config: ClauseConfig | None = None
    ) -> None:
        self._config = config = config or ClauseConfig()
        self._hangover = Hangover(language=language, config=config.hangover)
        self._pad, self._draft_after = windows_in(config.pad_ms), windows_in(config.draft_ms)
        self._enough, self._most = windows_in(config.min_speech_ms), max(4, windows_in(config.max_ms))
        self._held = HeldSound(vad)
        self._hints = threading.Lock()
        self._number = 0
        self._forget()

    def _forget(self) -> None:
        self._held.forget()
        self._noise: deque[float] = deque(maxlen=_NOISE_WINDOWS)
        self._onset: int | None = None  # index of the first voiced window of the open clause
        self._voiced = 0  # index of its last voiced window
        self._forget_draft()

    def _forget_draft(self) -> None:
        self._falls = False
        with self._hints:
            self._draft: Draft | None = None
            self._text: str | None = None

    def hint(self, draft: Draft, text: str) -> None:
        """Tell the words of ``draft``; any thread may. Too late, it changes nothing."""
        with self._hints:
            if draft is self._draft:
                self._text = text

    @property
    def open_since_ns(self) -> int | None:
        """When the clause began that is still open, None when there is none."""
        return None if self._onset is None else self._held.time_ns(self._onset)

    def push(self, block: Block) -> Iterator[Draft | Cut]:
        """Take the next block; yield what it brings, in order."""
        if block.restart:
            yield from self.flush()
        for window, activity in self._held.push(block):
            yield from self._decide(self._held.next - 1, activity, self._is_loud(window, activity))

    def flush(self) -> Iterator[Draft | Cut]:
        """The stream ended: yield the clause still open, and forget the stream."""
        for window, activity in self._held.flush():
            yield from self._decide(self._held.next - 1, activity, self._is_loud(window, activity))
        if self._onset is not None:
            yield from self._close()
        self._forget()

    def _is_loud(self, window: Floats, activity: float) -> bool:
        """Whether the window stands out of the noise, which is what the windows without voice were lately."""
        level = max(level_dbfs(window), _SILENCE_DBFS)
        if activity < self._config.off:
            self._noise.append(level)
        return not self._noise or level >= statistics.median(self._noise) + self._config.above_noise_db

    def _decide(self, index: int, activity: float, loud: bool) -> Iterator[Draft | Cut]:
        if self._onset is None:
            if activity < self._config.on or not loud:
                self._held.drop_before(self._held.next - self._pad)
                return
            self._onset = self._voiced = index
        elif activity >= self._config.off and loud:
            self._voiced = index
            self._forget_draft()
        pause = index - self._voiced
        if pause == self._draft_after:
            yield from self._make_draft()
        if pause >= self._draft_after and pause * _WINDOW_MS >= self._wait_ms():
            yield from self._close()
        elif self._held.next - self._onset >= self._most:
            yield from self._force()

    def _wait_ms(self) -> float:
        assert self._onset is not None
        speech_ms = (self._voiced + 1 - self._onset) * _WINDOW_MS
        return self._hangover.wait_ms(speech_ms=speech_ms, falls=self._falls, text=self._text)

    def _make_draft(self) -> Iterator[Draft]:
        assert self._onset is not None
        end = self._voiced + 1
        utterance = self._utterance(end, until=self._held.next)
        if utterance is not None:
            said = self._held.between(self._onset, end)
            self._falls = pitch_falls(said, RATE, fall=self._config.hangover.fall)
            draft = Draft(self._number, utterance)
            with self._hints:
                self._draft, self._text = draft, None
            yield draft

    def _close(self) -> Iterator[Cut]:
        end = self._voiced + 1
        yield from self._cut(end, until=end + self._pad, forced=False)
        self._onset = None
        self._held.drop_before(max(end, self._held.next - self._pad))

    def _force(self) -> Iterator[Cut]:
        """Too long: end the clause at its quietest moment and go on with the rest."""
        end = self._held.quietest(self._most // 2)
        yield from self._cut(end, until=end, forced=True)
        self._held.drop_before(end)
        self._onset, self._voiced = end, max(end, self._voiced)

    def _cut(self, end: int, *, until: int, forced: bool) -> Iterator[Cut]:
        utterance = self._utterance(end, until=until)
        drafted = self._draft is not None and not forced
        self._forget_draft()
        if utterance is not None:
            waited_ms = (self._held.next - end) * _WINDOW_MS
            yield Cut(self._number, utterance, drafted, forced, waited_ms)
            self._number += 1

    def _utterance(self, end: int, *, until: int) -> Utterance | None:
        assert self._onset is not None
        return self._held.utterance(
            self._onset, end, until=until, pad=self._pad, on=self._config.on, enough=self._enough
        )
