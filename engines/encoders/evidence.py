"""What a report shows beside the scores: a segment's small pictures, and its text vectors with a part left out."""

import io
from collections.abc import Sequence

import numpy as np

from kuaihl.engines.encoders.text import TextEncoder
from kuaihl.engines.types import Frame, PartialTexts, Segment, SmallPicture
from kuaihl.models.features import Float16

_LONGEST_SIDE = 240  # pixels of a small picture
_QUALITY, _EFFORT = 50, 2  # of WebP: 3 kB per picture in 3 to 6 ms


def shrink_frames(segment: Segment) -> tuple[SmallPicture, ...]:
    """The frames of a segment as small pictures."""
    return tuple(_shrink(frame) for frame in segment.frames)


def _shrink(frame: Frame) -> SmallPicture:
    from PIL import Image

    image, file = Image.fromarray(frame.image), io.BytesIO()
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    image.save(file, "WEBP", quality=_QUALITY, method=_EFFORT)
    return SmallPicture(frame.time, file.getvalue())


def encode_partial_texts(
    speech: Sequence[str], comments: Sequence[Sequence[str]], whole: Float16, encoder: TextEncoder
) -> list[PartialTexts]:
    """The partial texts of B segments; `whole` [B, d_t] are their text vectors with speech and comments.

    Only a segment that has both takes the encoder's time, twice. Any other has a part that is all, and one of zeros.
    """
    both = [i for i, (said, written) in enumerate(zip(speech, comments, strict=True)) if said and written]
    partial = [
        PartialTexts(np.zeros_like(text), text) if said else PartialTexts(text, np.zeros_like(text))
        for said, text in zip(speech, whole, strict=True)
    ]
    if both:
        alone = [speech[i] for i in both], [comments[i] for i in both]
        found = encoder.encode([*alone[0], *("" for _ in both)], [*([] for _ in both), *alone[1]])
        for place, i in enumerate(both):
            partial[i] = PartialTexts(found[len(both) + place], found[place])
    return partial
