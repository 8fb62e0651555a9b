"""The settings that fix the network's shape and function, and the two shapes in use. Imports no torch."""

from dataclasses import dataclass

from kuaihl.models.errors import ModelError

UNKNOWN_STREAMER = 0
WINDOW = 20  # n, segments of a sample; each of two attentions sees n, so a score depends on the last 2n - 1
HISTORY_ITEMS = 20  # the most highlights in a user's history (paper, supplement, section I-B)


@dataclass(frozen=True)
class NetworkDims:
    """Everything that fixes the network's shape and function; stored in the bundle."""

    visual_width: int  # d_v
    text_width: int  # d_t
    patches: int  # P visual tokens per segment
    width: int = 512  # d
    heads: int = 8
    layers: int = 3  # L
    text_layers: int = 2  # of the perceptron W_z
    window: int = WINDOW  # n, the segments that one attention sees
    feed_forward: int = 4  # hidden width of a feed-forward, in multiples of d
    streamers: int = 0  # known ones, from index 1; index 0 is the unknown streamer
    dropout: float = 0.1
    id_dropout: float = 0.1  # probability that an id becomes "unknown" in training
    use_id: bool = True  # the three ablations of Table III that touch the network
    use_text: bool = True
    use_visual: bool = True
    causal: bool = True  # False: the mask is fully visible (PHD)
    rooms: int = 0  # live rooms trained on, from index 1; for a network that reads live IDs
    history_width: int = 0  # > 0: HISTORY_ITEMS vectors of that width in place of the id (PHD)
    signals: int = 0  # columns of `signals`, read as one more token per segment; 0 is the paper's network
    interest: bool = False  # a second output, for the present segment; not in the paper

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ModelError(f"network: width {self.width} is not a multiple of {self.heads} heads")
        if self.text_layers < 1:
            raise ModelError(f"network: {self.text_layers} layers read no text; text_layers must be 1 or more")
        if not self.tokens:
            raise ModelError("network: without text and without visual nothing is left to read")

    @property
    def tokens(self) -> int:
        """T, tokens per segment."""
        return self.patches * self.use_visual + self.use_text + (self.signals > 0)


PAPER_DIMS = NetworkDims(visual_width=1024, text_width=768, patches=147)  # Swin-B, BERT base, 3 frames of 7 x 7
EDGE_DIMS = NetworkDims(visual_width=1280, text_width=384, patches=12, width=256, heads=4, feed_forward=2)
