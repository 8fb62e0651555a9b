"""What `kuaihl score` and `kuaihl batch` ask of a run, as one value."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ScoreSettings:
    """What the user asked for, as it travels to a batch's workers; the options of the same names say what they mean."""

    model: str
    device: str
    engine: str
    precision: str
    asr: str
    whisper_model: str | None
    language: str | None
    segment_seconds: float | None
    frames: str
    threads: int | None
    top: int | None
    min_score: float | None
    clips: bool
    plot: bool
    formats: str
    comments_offset: float
    timeout: float = 10.0
    text_weights: str | None = None
    start: float = 0.0  # seconds on the recording's clock; what comes before is left out
    end: float | None = None  # what comes from here on is left out
