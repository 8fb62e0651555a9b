"""How clips are cut, framed, named and captioned."""

import re
from dataclasses import dataclass
from typing import Literal

from kuaihl.models.errors import UsageError

FitName = Literal["crop", "blur"]
CaptionsName = Literal["ass", "burn"]

USUAL_NAME = "{source}_{rank:02}_{time}"  # a template of `clip_names`
_WIDEST = 10.0  # the ratio of the longer side to the shorter one


@dataclass(frozen=True, kw_only=True)
class ClipStyle:
    """What clips are like. Raises UsageError for values that are invalid or do not go together."""

    clips: bool = False
    exact: bool = False  # begin and end at the frame, not at the keyframe before
    clip_name: str = USUAL_NAME
    aspect: str | None = None  # the picture's width to height, as in 9:16; None: as it is
    fit: FitName | None = None  # how the picture is brought to that; None: crop
    captions: CaptionsName | None = None  # speech beside each clip, or in its picture

    def __post_init__(self) -> None:
        asked = {
            "exact": self.exact,
            "clip_name": self.clip_name != USUAL_NAME,
            "aspect": self.aspect is not None,
            "fit": self.fit is not None,
            "captions": self.captions is not None,
        }
        for name, is_asked in asked.items():
            if is_asked and not self.clips:
                raise UsageError("is about clips, and none are cut; ask for clips", setting=name)
        if self.fit is not None and self.aspect is None:
            raise UsageError("needs an aspect to fit the picture to, such as 9:16", setting="fit", value=self.fit)
        if self.clip_name != USUAL_NAME:
            from kuaihl.engines.highlights.clip_names import check_template  # it reads scores: too much for a help text

            check_template(self.clip_name)
        if self.aspect is not None:
            parse_aspect(self.aspect)

    @property
    def reencodes(self) -> bool:
        """Whether every picture of a clip is made anew."""
        return self.aspect is not None or self.captions == "burn"


def parse_aspect(text: str) -> tuple[int, int]:
    """`9:16` as (9, 16). Raises UsageError if it is not two whole numbers, or one is over ten times the other."""
    match = re.fullmatch(r"([1-9]\d{0,3}):([1-9]\d{0,3})", text, re.ASCII)
    if match is None or not 1 / _WIDEST <= int(match[1]) / int(match[2]) <= _WIDEST:
        raise UsageError("not a width and a height such as 9:16, 1:1 or 16:9", setting="aspect", value=text)
    return int(match[1]), int(match[2])


def style_entries(style: ClipStyle) -> dict[str, str | bool | None]:
    """A style as run.json and highlights.json have it; `fit` is the one that was used."""
    return {
        "exact": style.exact,
        "clip_name": style.clip_name,
        "aspect": style.aspect,
        "fit": None if style.aspect is None else style.fit or "crop",
        "captions": style.captions,
    }
