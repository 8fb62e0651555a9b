"""The language of a stream: windows with speech in, one code out, kept until the words stop making sense."""

from collections.abc import Sequence

from kuaihl.engines.speech.transcriber import SpeechWindow, WindowDecoder

_WINDOWS_TO_HEAR = 3  # of a batch, those with the most speech
_SETTLED = 0.6  # mean probability at which the language is kept
_FADING = (
    0.5  # share of the evidence left after a doubt: a mumbled window flips no stream, a few in another language do
)


class SpokenLanguage:
    """Detects the language on the first windows with speech and keeps it: a foreign word must not flip a stream.

    `doubt` is called after a window was decoded with little confidence; the next windows are then checked again.
    """

    def __init__(self, decoder: WindowDecoder, heard: str | None = None) -> None:
        """`heard` is the language of a stream that goes on; it counts as one window."""
        self.decoder = decoder
        self.settled = heard is not None
        self.evidence: dict[str, float] = {} if heard is None else {heard: 1.0}  # sums of probabilities
        self.windows_heard = float(len(self.evidence))

    def of(self, windows: Sequence[SpeechWindow]) -> str:
        """The language of the stream, given the next `windows` (speech only, at least one)."""
        if not self.settled:
            for window in sorted(windows, key=lambda one: len(one.audio), reverse=True)[:_WINDOWS_TO_HEAR]:
                for code, probability in self.decoder.language_probabilities(window).items():
                    self.evidence[code] = self.evidence.get(code, 0.0) + probability
                self.windows_heard += 1
        likeliest = max(self.evidence, key=self.evidence.__getitem__)
        self.settled = self.evidence[likeliest] >= _SETTLED * self.windows_heard
        return likeliest

    def doubt(self) -> None:
        """Check the next windows again; the evidence so far counts less."""
        self.settled = False
        self.windows_heard *= _FADING
        self.evidence = {code: mass * _FADING for code, mass in self.evidence.items()}
