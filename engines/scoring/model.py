"""A model ready to score: a bundle, its encoders and the engine that runs them, loaded once for any source."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from kuaihl.engines.encoders.profiles import Encoders, check_text_width, load_encoders, other_text, profile_named
from kuaihl.engines.highlights.choice import BoundariesName
from kuaihl.engines.highlights.clip_style import USUAL_NAME, CaptionsName, FitName
from kuaihl.engines.outputs.formats import parse_formats
from kuaihl.engines.runtimes.choice import choose_runtime
from kuaihl.engines.runtimes.device import choose_device, set_threads
from kuaihl.engines.runtimes.runtime import Runtime
from kuaihl.engines.scoring.conclude import ScoreResult
from kuaihl.engines.scoring.journal import Earlier
from kuaihl.engines.scoring.run import LOG, Run
from kuaihl.engines.scoring.run_comments import Comments
from kuaihl.engines.scoring.scorer import open_step
from kuaihl.engines.scoring.settings import FramesName, ScoreSettings
from kuaihl.models.bundle import Bundle, load_bundle
from kuaihl.models.errors import KuaihlError


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded model; get one from `load`. It scores any number of sources, one after another."""

    bundle: Bundle
    encoders: Encoders
    step: Runtime  # the head's step
    settings: ScoreSettings  # with which it was loaded

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self.bundle.name

    @property
    def device(self) -> str:
        """The computing device: cpu, cuda, cuda:N or mps."""
        return self.encoders.device

    @property
    def engine(self) -> str:
        """The engine that executes the network: torch, onnx, tensorrt or tensorrt-rtx."""
        return self.step.kind

    def __repr__(self) -> str:
        return f"<Model {self.name!r} in {self.engine} on {self.device}>"

    def stream(
        self,
        source: str | Path,
        *,
        comments: Comments = "auto",
        comments_offset: float = 0.0,
        ignore_user: tuple[str, ...] = (),
        ignore_words: tuple[str, ...] = (),
        streamer: str | None = None,
        language: str | None = None,
        segment_seconds: float | None = None,
        frames: FramesName = "keyframe",
        timeout: float = 10.0,
        start: float = 0.0,
        end: float | None = None,
        top: int | None = None,
        min_score: float | None = None,
        length: tuple[float, float] = (10.0, 120.0),
        padding: tuple[float, float] = (0.0, 0.0),
        per_hour: float | None = None,
        overlap: bool = True,
        boundaries: BoundariesName = "sentences",
        output: str | Path | None = None,
        resume: bool = False,
        clips: bool = False,
        exact: bool = False,
        clip_name: str = USUAL_NAME,
        aspect: str | None = None,
        fit: FitName | None = None,
        captions: CaptionsName | None = None,
        plot: bool = False,
        report: bool = False,
        formats: str | Iterable[str] = (),
    ) -> Run:
        """Open a source and return its run: iterate over it for scored segments as they come.

        `source` is a media file, an rtmp, http(s), HLS or srt URL, or "-" for standard input. `comments` is a file, the
        URL of a page with a chat, or Comment objects; "auto" reads the file beside a recording, None reads none.
        `comments_offset` seconds are added to their times; `ignore_user` and `ignore_words` leave some out. `streamer`
        is a name that the bundle may know, `language` the spoken one. `start` and `end` (seconds) score a part of a
        file. `top`, `min_score` and `per_hour` leave out highlights. `length` is their least and most seconds,
        `padding` is added before and after; without `overlap` padded ones meet instead of sharing media. With `output`,
        the run writes the same folder as the command. It replaces what an earlier run left there once it has a first
        segment; with `resume` it goes on with it. `clips`, `plot`, `report` and `formats` ("csv", "srt", "vtt") add
        files to it. `exact` to `captions` say how clips are made.

        Raises UsageError for an unknown language or options that exclude each other. Raises SourceUnavailable if a
        network source does not answer yet, and SourceError if the source or its comments cannot be read.
        """
        self.encoders.check_language(language)
        settings = replace(
            self.settings,
            language=language,
            segment_seconds=segment_seconds,
            frames=frames,
            comments_offset=comments_offset,
            ignore_user=ignore_user,
            ignore_words=ignore_words,
            timeout=timeout,
            start=start,
            end=end,
            top=top,
            min_score=min_score,
            length=length,
            padding=padding,
            per_hour=per_hour,
            overlap=overlap,
            boundaries=boundaries,
            clips=clips,
            exact=exact,
            clip_name=clip_name,
            aspect=aspect,
            fit=fit,
            captions=captions,
            plot=plot,
            report=report,
            formats=formats if isinstance(formats, str) else ",".join(formats),
        )
        folder = None if output is None else Path(output)
        earlier: Earlier = "resume" if resume else "replace"
        return Run(self, str(source), settings, output=folder, comments=comments, streamer=streamer, earlier=earlier)

    def score(
        self,
        source: str | Path,
        *,
        comments: Comments = "auto",
        comments_offset: float = 0.0,
        ignore_user: tuple[str, ...] = (),
        ignore_words: tuple[str, ...] = (),
        streamer: str | None = None,
        language: str | None = None,
        segment_seconds: float | None = None,
        frames: FramesName = "keyframe",
        timeout: float = 10.0,
        start: float = 0.0,
        end: float | None = None,
        top: int | None = None,
        min_score: float | None = None,
        length: tuple[float, float] = (10.0, 120.0),
        padding: tuple[float, float] = (0.0, 0.0),
        per_hour: float | None = None,
        overlap: bool = True,
        boundaries: BoundariesName = "sentences",
        output: str | Path | None = None,
        resume: bool = False,
        clips: bool = False,
        exact: bool = False,
        clip_name: str = USUAL_NAME,
        aspect: str | None = None,
        fit: FitName | None = None,
        captions: CaptionsName | None = None,
        plot: bool = False,
        report: bool = False,
        formats: str | Iterable[str] = (),
    ) -> ScoreResult:
        """Score a source to its end and return its segments and highlights; options and errors as in `stream`."""
        return self.stream(
            source,
            comments=comments,
            comments_offset=comments_offset,
            ignore_user=ignore_user,
            ignore_words=ignore_words,
            streamer=streamer,
            language=language,
            segment_seconds=segment_seconds,
            frames=frames,
            timeout=timeout,
            start=start,
            end=end,
            top=top,
            min_score=min_score,
            length=length,
            padding=padding,
            per_hour=per_hour,
            overlap=overlap,
            boundaries=boundaries,
            output=output,
            resume=resume,
            clips=clips,
            exact=exact,
            clip_name=clip_name,
            aspect=aspect,
            fit=fit,
            captions=captions,
            plot=plot,
            report=report,
            formats=formats,
        ).finish()


def load_model(settings: ScoreSettings, report: Callable[[KuaihlError | str], None] = LOG.warning) -> Model:
    """Load a bundle and the encoders that it was trained on, in the requested engine.

    `report` receives a line, or a handled error, if another engine or other text weights are used.
    Raises UsageError for an invalid setting, ModelError for weights or compiled files that cannot be used.
    """
    parse_formats(settings.formats)
    bundle = load_bundle(settings.model)
    device, threads = choose_device(settings.device), set_threads(settings.threads)
    open_runtime = choose_runtime(
        settings.engine, settings.precision, bundle, device=device, threads=threads, on_message=report
    )
    encoders = load_encoders(
        profile_named(bundle.profile),
        device=device,
        threads=threads,
        asr=settings.asr,
        whisper_model=settings.whisper_model,
        language=settings.language,
        text_weights=settings.text_weights,
        open_runtime=open_runtime,
    )
    check_text_width(bundle, encoders.text)
    if settings.text_weights and (line := other_text(bundle, encoders.facts)):
        report(line)
    return Model(bundle, encoders, open_step(bundle, open_runtime), settings)
