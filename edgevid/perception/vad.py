"""Voice activity: how likely each 32 ms of sound holds speech (Silero VAD, its 16 kHz sequence form)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevid.models.session import Session

_CONTEXT = 64  # samples of the window before that the network sees again
_HIDDEN = (1, 1, 128)
_WINDOWS_PER_CALL = 64


class SileroVad:
    """Runs the network over consecutive windows of one stream; its LSTM state is carried from call to call.

    Args:
        session: the pack's ``model.onnx``: input [n, 64 + 512], h, c [1, 1, 128] -> speech_probs [n], hn, cn.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.reset()

    def reset(self) -> None:
        """Forget the stream: the next window is taken as its first."""
        self._h = np.zeros(_HIDDEN, np.float32)
        self._c = np.zeros(_HIDDEN, np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)

    def __call__(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Probability of speech, float32 [n], in each of ``windows``, float32 [n, 512]; n may be 0."""
        found = [
            self._run(windows[i : i + _WINDOWS_PER_CALL]) for i in range(0, len(windows), _WINDOWS_PER_CALL)
        ]
        return np.concatenate(found) if found else np.zeros(0, np.float32)

    def _run(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        tails = np.concatenate([self._context[None], windows[:, -_CONTEXT:]])
        feed = {"input": np.concatenate([tails[:-1], windows], axis=1), "h": self._h, "c": self._c}
        probabilities, self._h, self._c = self._session.run(feed, ("speech_probs", "hn", "cn"))
        self._context = tails[-1]
        return probabilities.astype(np.float32, copy=False)
