"""Media that the command's tests share, made once a session."""

from pathlib import Path

import av
import numpy as np
import pytest


@pytest.fixture(scope="session")
def tiny_flv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds of H.264 without sound."""
    path = tmp_path_factory.mktemp("media") / "tiny.flv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for index in range(50):
            picture = np.full((96, 160, 3), 5 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path
