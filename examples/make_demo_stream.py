"""Make the demo broadcast: demo.flv, what viewers wrote in it, and what happens when.

    python examples/make_demo_stream.py [--output FOLDER]

Everything is drawn, spoken and synthesised here from the script in demo_stream/; nothing is downloaded. Needs flite or
espeak-ng for the voices, and Pillow. Takes a few minutes.
"""

import argparse
import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from demo_stream import audience, picture, script
from demo_stream.places import HEIGHT, WIDTH
from demo_stream.sound import Soundtrack, loudness_at, soundtrack
from demo_stream.voices import RATE, synthesiser

PER_SECOND = 25  # frames
KEYFRAME_EVERY = 2  # seconds, as streaming services ask for
# As a live encoder is set: keyframes at even distances, no B-frames, so that the first picture is shown at 0.
VIDEO = {
    "crf": "32",
    "preset": "slow",
    "g": str(PER_SECOND * KEYFRAME_EVERY),
    "sc_threshold": "0",
    "bf": "0",
}
AUDIO_BITS = 44_000  # a second
AUDIO_FRAME = 1024  # samples, AAC's own
PRIMING = 1024  # samples by which AAC's packets are early; sent that much later, none is before 0
SOUND_ENDS = script.LENGTH - 0.1  # so that the last packet ends within the last segment


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, metavar="FOLDER")
    folder: Path = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)

    sound = soundtrack(synthesiser())
    (folder / "demo.comments.xml").write_text(audience.danmaku_xml(), encoding="utf-8")
    (folder / "demo.events.json").write_text(
        json.dumps(events(sound), ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    record(folder / "demo.flv", sound)
    print(f"{folder / 'demo.flv'}: {script.LENGTH:.0f} s, {(folder / 'demo.flv').stat().st_size / 1e6:.1f} MB")


def events(sound: Soundtrack) -> dict[str, object]:
    """What happens when, for tests: times in seconds."""
    happened: list[dict[str, object]] = [
        {"time": start, "kind": "scene", "words": name} for start, name in script.SCENES
    ]
    for line, end in zip(script.LINES, sound.ends, strict=True):
        happened.append({
            "time": line.time, "end": round(end, 2), "kind": "speech", "speaker": line.speaker, "words": line.words
        })  # fmt: skip
    happened += [
        {"time": time, "end": round(time + seconds, 2), "kind": "cheer", "loudness": loudness}
        for time, seconds, loudness in script.CHEERS
    ]
    happened += [
        {"time": script.LAKE, "kind": "fall", "words": "the knight walks into the lake"},
        {"time": script.GOLEM_FALLS, "kind": "victory", "words": "the golem falls"},
        {"time": script.DRAGON_FALLS, "kind": "victory", "words": "the dragon falls"},
        {"time": script.CHEST_OPENS, "kind": "drop", "words": "a legendary sword"},
    ]
    return {
        "seconds": script.LENGTH,
        "highlights": [{"start": start, "end": end, "words": words} for start, end, words in script.HIGHLIGHTS],
        "events": sorted(happened, key=lambda event: (event["time"], event["kind"])),
    }


def record(path: Path, sound: Soundtrack) -> None:
    """Encode pictures and sound, interleaved as a live encoder sends them, H.264 and AAC in FLV."""
    frames = round(script.LENGTH * PER_SECOND)
    mouth = loudness_at(sound.speech, frames, PER_SECOND)
    partial = path.with_suffix(".part.flv")
    with av.open(str(partial), "w", format="flv") as container:
        video = container.add_stream("libx264", PER_SECOND, options=VIDEO)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.time_base = Fraction(1, PER_SECOND)
        video.codec_context.thread_count = 2
        audio = container.add_stream("aac", RATE, layout="mono")
        audio.bit_rate = AUDIO_BITS
        sent = 0
        for number in range(frames):
            image = av.VideoFrame.from_ndarray(picture.frame(number / PER_SECOND, float(mouth[number])), "rgb24")
            image.pts, image.time_base = number, Fraction(1, PER_SECOND)
            container.mux(video.encode(image))
            while sent / RATE < min((number + 1) / PER_SECOND, SOUND_ENDS):
                piece = sound.mix[sent : sent + AUDIO_FRAME]
                samples = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece[None, :]), "fltp", "mono")
                samples.sample_rate, samples.pts, samples.time_base = RATE, sent + PRIMING, Fraction(1, RATE)
                container.mux(audio.encode(samples))
                sent += len(piece)
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    partial.replace(path)


if __name__ == "__main__":
    main()
