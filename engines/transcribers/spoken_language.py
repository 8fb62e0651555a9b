"""Which language a stream is in: windows with speech in, one code out, kept until the words stop making sense."""

from collections import Counter
from collections.abc import Sequence

from kuaihl.engines.segment import Audio
from kuaihl.engines.transcribers.transcriber import WindowDecoder

WINDOWS_TO_HEAR = 3  # of a batch, those with the most speech
SETTLED = 0.6  # mean probability from which on the language is kept


class SpokenLanguage:
    """Detects once, on the first windows with speech, and keeps the answer: a word of English must not flip a stream.

    `doubt`, called when a window was decoded with little confidence, has the next windows listened to afresh.
    """

    def __init__(self, decoder: WindowDecoder) -> None:
        self.decoder = decoder
        self.code: str | None = None
        self.evidence: Counter[str] = Counter()
        self.windows_heard = 0

    def of(self, windows: Sequence[Audio]) -> str:
        """The language of the stream, given the next `windows` (speech only, at least one)."""
        if self.code is not None:
            return self.code
        for window in sorted(windows, key=len, reverse=True)[:WINDOWS_TO_HEAR]:
            self.evidence.update(self.decoder.language_probabilities(window))  # adds the floats up
            self.windows_heard += 1
        code, mass = self.evidence.most_common(1)[0]
        if mass >= SETTLED * self.windows_heard:
            self.code = code
        return code

    def doubt(self) -> None:
        """Detect again, from nothing."""
        self.code = None
        self.evidence.clear()
        self.windows_heard = 0
