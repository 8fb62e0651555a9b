"""Profiles: which encoders turn a segment into features. A profile's name goes in, loaded encoders come out.

`edge`, the default, comes from package registries alone; `paper` is the published one and comes from the model hub.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from kuaihl.engines.encoders.timing import StageTimes
from kuaihl.engines.runtimes.device import choose_device, set_threads
from kuaihl.engines.runtimes.heap import give_back_freed_memory, keep_no_mkl_buffers, share_one_heap
from kuaihl.engines.runtimes.runtime import OpenRuntime
from kuaihl.engines.types import FRAMES_PER_SEGMENT
from kuaihl.engines.weights.catalog import (
    SPEECH_EDGE,
    SPEECH_PAPER,
    TEXT_EDGE,
    TEXT_PAPER,
    VISION_EDGE,
    VISION_PAPER,
    Weights,
)
from kuaihl.engines.weights.resolve import Resolved, resolve
from kuaihl.models.errors import ModelError
from kuaihl.models.facts import EncoderFacts
from kuaihl.models.json_text import parse_json

if TYPE_CHECKING:
    from kuaihl.engines.encoders.text import TextEncoder
    from kuaihl.engines.encoders.vision import VisionEncoder
    from kuaihl.engines.speech.transcriber import Transcriber
    from kuaihl.models.bundle import Bundle


Encoder = TypeVar("Encoder")
WhereWeightsAre = str | Path | None  # a path, or None: look for them


@dataclass(frozen=True)
class Profile:
    """A set of encoders, and the shape of the features they make."""

    name: str
    vision: Weights
    text: Weights
    speech: Weights
    whisper: str  # the speech weights, as `load_transcriber` names them
    load_vision: "Callable[[Resolved, OpenRuntime, str], VisionEncoder]"
    load_text: "Callable[[Resolved, OpenRuntime, str], TextEncoder]"
    d_v: int  # width of a visual token
    d_t: int  # width of the text vector; other weights may have another, see `text_width`
    patches: int  # P, visual tokens per segment


def load_efficientnet(weights: Resolved, open_runtime: OpenRuntime, device: str) -> "VisionEncoder":
    from kuaihl.engines.encoders.vision import efficientnet_encoder

    return efficientnet_encoder(weights, open_runtime, device)


def _load_swin(weights: Resolved, open_runtime: OpenRuntime, device: str) -> "VisionEncoder":
    from kuaihl.engines.encoders.vision import swin_encoder

    return swin_encoder(weights, open_runtime, device)


def _load_e5(weights: Resolved, open_runtime: OpenRuntime, device: str) -> "TextEncoder":
    from kuaihl.engines.encoders.text import e5_encoder

    return e5_encoder(weights, open_runtime, device)


def load_bert(weights: Resolved, open_runtime: OpenRuntime, device: str) -> "TextEncoder":
    from kuaihl.engines.encoders.text import bert_encoder

    return bert_encoder(weights, open_runtime, device)


EDGE = Profile(
    name="edge",
    vision=VISION_EDGE,
    text=TEXT_EDGE,
    speech=SPEECH_EDGE,
    whisper="edge",
    load_vision=load_efficientnet,
    load_text=_load_e5,
    d_v=1280,
    d_t=384,
    patches=FRAMES_PER_SEGMENT * 2 * 2,
)
PAPER = Profile(
    name="paper",
    vision=VISION_PAPER,
    text=TEXT_PAPER,
    speech=SPEECH_PAPER,
    whisper=SPEECH_PAPER.hub,
    load_vision=_load_swin,
    load_text=load_bert,
    d_v=1024,
    d_t=768,
    patches=FRAMES_PER_SEGMENT * 7 * 7,
)
_PROFILES = {profile.name: profile for profile in (EDGE, PAPER)}


def profile_named(name: str) -> Profile:
    """The profile of that name. Raises ModelError if there is none: a bundle of a later version may name one."""
    if name not in _PROFILES:
        raise ModelError(f"{name}: no such profile of encoders, there are {' and '.join(_PROFILES)}; update kuaihl")
    return _PROFILES[name]


@dataclass(frozen=True)
class Encoders:
    """A loaded profile. `times` adds up the seconds per stage."""

    profile: Profile
    vision: "VisionEncoder"
    text: "TextEncoder"
    transcriber: "Transcriber | None"
    facts: tuple[EncoderFacts, ...]  # of vision and text, on which a head that reads these features depends
    device: str  # where the encoders, and the head with them, run
    times: StageTimes = field(default_factory=StageTimes, compare=False)

    @property
    def transcriber_name(self) -> str:
        """The speech back-end in use, "none" if there is none."""
        return self.transcriber.name if self.transcriber else "none"

    def check_language(self, language: str | None) -> None:
        """Raise UsageError for a language that this Whisper lacks; otherwise the first segment would tell."""
        if language is not None and self.transcriber is not None:
            self.transcriber.transcribe([], [], language=language)


def load_encoders(
    profile: Profile,
    *,
    device: str = "auto",
    threads: int | None = None,
    asr: str = "auto",
    whisper_model: str | None = None,
    language: str | None = None,
    vision_weights: WhereWeightsAre = None,
    text_weights: WhereWeightsAre = None,
    open_runtime: OpenRuntime | None = None,
) -> Encoders:
    """Load a profile's encoders in parallel; `asr` "none" leaves the speech out.

    `open_runtime` opens the runtime of vision and text, torch by default. `whisper_model`, `vision_weights` and
    `text_weights` name others than the profile's own. `language` is the one that will be spoken, if that is known.

    Raises UsageError for a device, back-end, package or language that is missing, ModelError for weights that are
    missing or damaged.
    """
    from kuaihl.engines.speech.load import load_transcriber

    share_one_heap()
    keep_no_mkl_buffers()
    place = choose_device(device)
    count = set_threads(threads)
    whisper = whisper_model or profile.whisper
    if open_runtime is None:
        from kuaihl.engines.runtimes.torch_runtime import open_torch

        open_runtime = open_torch(place)
    with ThreadPoolExecutor(2, thread_name_prefix="load") as pool:
        speaking = pool.submit(load_transcriber, asr, model=whisper, device=place, threads=count)
        seeing = pool.submit(load_one, profile.vision, vision_weights, profile.load_vision, open_runtime, place)
        text, text_facts = load_one(profile.text, text_weights, profile.load_text, open_runtime, place)
        vision, vision_facts = seeing.result()
        transcriber = speaking.result()
    give_back_freed_memory()
    encoders = Encoders(profile, vision, text, transcriber, (vision_facts, text_facts), place)
    encoders.check_language(language)
    return encoders


def load_one(
    weights: Weights,
    where: WhereWeightsAre,
    load: Callable[[Resolved, OpenRuntime, str], Encoder],
    open_runtime: OpenRuntime,
    device: str,
) -> tuple[Encoder, EncoderFacts]:
    """Find one encoder's weights and load them."""
    resolved = resolve(weights, where)
    return load(resolved, open_runtime, device), facts_of(resolved)


def facts_of(resolved: Resolved) -> EncoderFacts:
    """The facts that a bundle records about weights."""
    weights = resolved.weights
    return EncoderFacts(weights.role, weights.name, resolved.revision or str(resolved.file), resolved.sha256)


def text_width(profile: Profile, resolved: Resolved) -> int:
    """d_t of text weights: from the `config.json` beside them, or the profile's own if there is none.

    So a BERT of another width, such as the 1024 of BERT large, works in the paper profile. Raises ModelError for a
    config that is not a BERT's.
    """

    from kuaihl.models.backbones.bert import dims_from_config

    file = resolved.folder / "config.json"
    if not file.is_file():
        return profile.d_t
    try:
        return dims_from_config(parse_json(file.read_text(encoding="utf-8"))).width
    except ModelError as error:
        raise ModelError(f"{resolved.folder}: {error}") from error
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{file}: cannot be read as a network's configuration ({error})") from error


def check_text_width(bundle: "Bundle", text: "TextEncoder") -> None:
    """Raise ModelError if a text encoder's vectors have another width than a head was trained on."""
    if text.width != bundle.dims.text_width:
        raise ModelError(
            f"{bundle.path}: the head reads text {bundle.dims.text_width} wide, and the text encoder makes it "
            f"{text.width} wide; load the text weights that the bundle was trained with"
        )


def other_text(bundle: "Bundle", loaded_facts: Sequence[EncoderFacts]) -> str | None:
    """A readable line if the loaded text weights are not the very file that a bundle records; None if they are.

    The same network in another form has another hash, so this is not an error.
    """
    recorded, loaded = (
        next((facts.sha256 for facts in some if facts.role == "text"), "") for some in (bundle.encoders, loaded_facts)
    )
    if not recorded or recorded == loaded:
        return None
    return (
        f"text weights with SHA-256 {loaded[:12]}; {bundle.name} was trained on {recorded[:12]}: "
        "scores mean something only if they are the same network"
    )


def facts_of_weights(profile: Profile, text_weights: WhereWeightsAre = None) -> tuple[EncoderFacts, ...]:
    """The `facts` of the encoders that `load_encoders` would load. Raises ModelError if some are missing."""
    return facts_of(resolve(profile.vision)), facts_of(resolve(profile.text, text_weights))


def profile_record(profile: Profile) -> tuple[EncoderFacts, ...]:
    """Vision, text and speech weights of a profile as they are on this machine, for `bundle.json`.

    Raises ModelError if some cannot be found.
    """
    return tuple(facts_of(resolve(weights)) for weights in (profile.vision, profile.text, profile.speech))


def check_trained_with(trained_with: Sequence[EncoderFacts], encoders: Encoders) -> None:
    """Raise ModelError if a head was trained on features of other encoders than these.

    A network counts as the same from every source (a 4-bit file of a package, the hub's float32): names decide. The
    user may choose any speech back-end, since the text encoder reads the words of each.
    """
    names = {facts.role: facts.name for facts in trained_with}
    for facts in encoders.facts:
        expected = names.get(facts.role, facts.name)
        if facts.name != expected:
            raise ModelError(
                f"the model was trained on {facts.role} features of {expected}, and {facts.name} is loaded; "
                "use the bundle's own profile"
            )
