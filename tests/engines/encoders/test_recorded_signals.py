"""The demonstration's signals are those that the shipped head was trained on, however they are computed.

`recorded_signals.json` holds the values [segments, SIGNALS] of version 1, as commit 0fc88f8 measured them.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from support.paths import EXAMPLES

from kuaihl.engines.comments.feed import CommentTrack
from kuaihl.engines.comments.reader import read_comment_file
from kuaihl.engines.encoders.signals.measure import SignalMeter
from kuaihl.engines.ingest.opening import open_source
from kuaihl.engines.ingest.packets import packets
from kuaihl.engines.segmenter.segmenter import segments
from kuaihl.engines.types import Transcript
from kuaihl.models.signals import SIGNALS_VERSION

RECORDED = Path(__file__).parent / "recorded_signals.json"


@pytest.mark.skipif(SIGNALS_VERSION != 1, reason="another version measures other values")
def test_the_demonstration_has_the_signals_that_were_recorded() -> None:
    meter = SignalMeter()
    comments = CommentTrack(read_comment_file(EXAMPLES / "demo.comments.xml").comments)
    found = []
    with open_source(str(EXAMPLES / "demo.flv")) as source:
        for segment in segments(packets(source), comments=comments):
            said = " ".join(comment.text for comment in segment.comments)
            found.append(meter.measure(segment, Transcript(said + " Ha ha! Good good, it's a draw. 好好好")))
    np.testing.assert_allclose(np.stack(found), json.loads(RECORDED.read_text()), rtol=0, atol=1e-6)
