"""Spoken lines to sound, by flite or espeak-ng, whichever the machine has."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from demo_stream.script import Line

RATE = 44_100  # Hz, of all sound in the demo

Sound = NDArray[np.float32]  # [samples] at RATE, mono, about -1 to 1

# Two people; excited is faster, higher and more varied.
FLITE = {"Rook": ("rms", 100), "Wren": ("slt", 170)}
ESPEAK = {"Rook": ("en-us+m3", 40), "Wren": ("en-us+f3", 55)}


def synthesiser() -> str:
    """The program that will speak. Exits with a line that says what to install where there is none."""
    for program in ("flite", "espeak-ng"):
        if shutil.which(program):
            return program
    sys.exit("the demo needs a speech synthesiser: apt-get install flite (or espeak-ng)")


def spoken(line: Line, program: str) -> Sound:
    """The line as sound, its loudest sample at 1."""
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "line.wav"
        subprocess.run(command(line, program, wav), check=True, capture_output=True)
        sound = read_sound(wav)
    return np.asarray(sound / np.abs(sound).max(), np.float32)


def command(line: Line, program: str, wav: Path) -> list[str]:
    if program == "flite":
        voice, pitch = FLITE[line.speaker]
        manner = {
            "duration_stretch": 0.92 if line.excited else 1.0,
            "int_f0_target_mean": pitch * (1.3 if line.excited else 1.0),
            "int_f0_target_stddev": 28 if line.excited else 14,
        }
        options = [word for name, value in manner.items() for word in ("--setf", f"{name}={value}")]
        return ["flite", "-voice", voice, *options, "-t", line.words, "-o", str(wav)]
    voice, pitch = ESPEAK[line.speaker]
    speed, pitch = (185, pitch + 20) if line.excited else (155, pitch)
    return ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "-w", str(wav), line.words]


def read_sound(path: Path) -> Sound:
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("flt", "mono", RATE)
        pieces = [piece for frame in container.decode(audio=0) for piece in resampler.resample(frame)]
        pieces += resampler.resample(None)
    return np.concatenate([piece.to_ndarray().ravel() for piece in pieces]).astype(np.float32)
