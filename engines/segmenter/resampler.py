"""Sound of any rate, layout and format in, 16-bit mono at SAMPLE_RATE out."""

from fractions import Fraction
from typing import TYPE_CHECKING

from kuaihl.engines.types import SAMPLE_RATE

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.filter import Graph


class Resampler:
    """As PyAV's AudioResampler, but on the caller's thread: that one starts a thread per core for every stream."""

    def __init__(self) -> None:
        self._graph: Graph | None = None

    def resample(self, frame: "AudioFrame | None") -> "list[AudioFrame]":
        """What a frame makes ready, all the rest for None; all frames are of one rate, layout and format."""
        from av.audio.frame import AudioFrame

        if self._graph is None:
            if frame is None:
                return []
            self._graph = _make_graph(frame)
        self._graph.push(frame)
        found: list[AudioFrame] = []
        while True:
            try:
                pulled = self._graph.pull()
            except (BlockingIOError, EOFError):
                return found
            assert isinstance(pulled, AudioFrame)
            found.append(pulled)


def _make_graph(frame: "AudioFrame") -> "Graph":
    from av.filter import Graph

    graph = Graph()
    graph.threads = 1
    source = graph.add_abuffer(
        sample_rate=frame.sample_rate,
        format=frame.format.name,
        layout=frame.layout.name,
        time_base=frame.time_base or Fraction(1, frame.sample_rate),
    )
    wanted = graph.add("aformat", sample_rates=str(SAMPLE_RATE), sample_fmts="s16", channel_layouts="mono")
    graph.link_nodes(source, wanted, graph.add("abuffersink")).configure()
    return graph
