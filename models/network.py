"""KuaiHL: features of segments in, for every segment the logit of the next segment's LVTR out (paper, section III).

Beyond the paper a network may read one more token a segment, its signals, and answer a second question, the LVTR of
the present segment (DESIGN section 5). Without both it is the paper's to the bit.

`forward` reads a whole sequence at once (a window of 20 in training, a room in evaluation); `step` reads one more
segment of a stream with what it keeps of those before, at a cost that never grows. Both give the same scores: latent i
sees n segments and the decoder n latents, so a score depends on the last 2n-1 segments and on nothing older.
"""

from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor, nn

from kuaihl.models.batch import Batch
from kuaihl.models.decoder import Decoder
from kuaihl.models.history_tokens import HistoryTokens, mean_token
from kuaihl.models.network_dims import NetworkDims
from kuaihl.models.perceiver import PerceiverLayer
from kuaihl.models.stream_state import StreamState, ring_distance, start_streams
from kuaihl.models.streamer_vector import streamer_source, streamer_vector
from kuaihl.models.token_projections import signals_projection, text_projection

if TYPE_CHECKING:
    from kuaihl.models.objective import LossTerms, Objective


class Outputs(NamedTuple):
    """Of B rooms: logits [B, S] of whole sequences, or scores [B] in (0, 1) of a step."""

    score: Tensor  # of the next segment
    interest: Tensor | None  # of the present one; None if the network has no such output


class KuaiHL(nn.Module):
    """The network. B rooms, S segments, P patches, T tokens a segment, d wide, k columns of signals."""

    def __init__(self, dims: NetworkDims) -> None:
        super().__init__()
        self.dims = dims
        d = dims.width
        if dims.use_visual:
            self.visual = nn.Sequential(nn.Linear(dims.visual_width, d), nn.LayerNorm(d))  # W_v
        if dims.use_text:
            self.text = text_projection(dims)  # W_z
        if dims.history_width:
            self.history = HistoryTokens(dims)
        else:
            self.streamer = streamer_source(dims)
        self.streamer_norm = nn.LayerNorm(d)
        self.perceiver = nn.ModuleList(PerceiverLayer(dims) for _ in range(dims.layers))
        self.decoder = Decoder(dims)
        if dims.signals:  # the last to be made, so that all else begins as without
            self.signals = signals_projection(dims)  # W_x

    def forward(
        self,
        visual: Tensor,
        text: Tensor,
        streamer: Tensor,
        valid: Tensor | None = None,
        signals: Tensor | None = None,
    ) -> Tensor:
        """Logits [B, S] of a whole sequence; their sigmoid is the score.

        `visual` [B, S, P, d_v], `text` [B, S, d_t], `streamer` [B] indices (or histories
        [B, HISTORY_ITEMS, history_width], in which rows of zeros are no highlight), `valid` [B, S] bool: False hides a
        segment that is padding from all others. `signals` [B, S, k], if the network reads them.
        """
        return self.outputs(visual, text, streamer, valid, signals).score

    def outputs(
        self,
        visual: Tensor,
        text: Tensor,
        streamer: Tensor,
        valid: Tensor | None = None,
        signals: Tensor | None = None,
    ) -> Outputs:
        """Logits [B, S] of both questions; arguments as `forward`."""
        return self.predict(self.embed(visual, text, signals), streamer, valid)

    def embed(self, visual: Tensor, text: Tensor, signals: Tensor | None = None) -> Tensor:
        """Tokens e = [W_v v ; W_z z ; W_x x], [B, S, T, d]: P visual ones, text, signals. L_align reads them too."""
        tokens = []
        if self.dims.use_visual:
            tokens.append(self.visual(visual))  # [B, S, P, d]
        if self.dims.use_text:
            tokens.append(self.text(text).unsqueeze(2))  # [B, S, 1, d]
        if self.dims.signals:
            if signals is None:
                raise ValueError("the network reads signals and was given none")
            tokens.append(self.signals(signals).unsqueeze(2))  # [B, S, 1, d]
        return torch.cat(tokens, dim=2)

    def predict(self, tokens: Tensor, streamer: Tensor, valid: Tensor | None = None) -> Outputs:
        """Logits [B, S] from `tokens` [B, S, T, d]."""
        if self.dims.history_width:  # its highlights are seen in place of u, and their mean asks
            who, known = self.history(streamer)  # [B, H, d], [B, H]
            u = self.streamer_norm(mean_token(who, known))
        else:
            u, known = self.streamer_vector(streamer), None  # [B, d]
            who = u.unsqueeze(1)
        latents = u.unsqueeze(1).expand(-1, tokens.shape[1], -1)  # [B, S, d], one query a segment
        seen = torch.cat([who, tokens.flatten(1, 2)], dim=1)  # [B, 1 + S*T, d], or H + S*T
        for layer in self.perceiver:
            latents = layer(latents, seen, valid, known)  # [B, S, d]
        return Outputs(*self.decoder(latents, valid))  # [B, S] each

    def streamer_vector(self, streamer: Tensor) -> Tensor:
        """u [B, d]: who is on air, or the vector of the unknown streamer."""
        return cast(
            Tensor, self.streamer_norm(streamer_vector(self.dims, self.streamer, streamer, training=self.training))
        )

    def training_losses(self, objective: "Objective", batch: Batch) -> "LossTerms":
        """The three losses of eq. 13 on a batch."""
        from kuaihl.models.objective import losses

        return losses(self, objective, batch)

    def start(self, streamer: Tensor) -> StreamState:
        """The state of B streams of which nothing has been seen; `streamer` [B] as in `forward`."""
        return start_streams(self.dims, streamer)

    def step(self, state: StreamState, visual: Tensor, text: Tensor, signals: Tensor | None = None) -> Outputs:
        """Scores [B] in (0, 1) after one more segment; `state` moves on.

        `visual` [B, P, d_v], `text` [B, d_t], `signals` [B, k] if the network reads them.
        """
        scores, kept = self.newest(visual, text, signals, *state.inputs())
        state.push(*kept)
        return scores

    def newest(
        self,
        visual: Tensor,
        text: Tensor,
        signals: Tensor | None,
        tokens: Tensor,
        means: Tensor,
        weights: Tensor,
        latents: Tensor,
        streamer: Tensor,
        position: Tensor,
    ) -> tuple[Outputs, tuple[Tensor, Tensor, Tensor, Tensor]]:
        """A step as a function of tensors alone, which can be exported: the newest segment and a `StreamState`'s parts.

        Gives scores [B] and what the state is to keep of this segment, in the order of `StreamState.push`.
        """
        distance = ring_distance(position, self.dims.window)
        told = None if signals is None else signals.unsqueeze(1)
        own = self.embed(visual.unsqueeze(1), text.unsqueeze(1), told).squeeze(1)  # [B, T, d]
        u = self.streamer_vector(streamer).unsqueeze(1)  # [B, 1, d]
        first, *others = (cast(PerceiverLayer, layer) for layer in self.perceiver)
        latent, part = first.newest_of_means(u, own, means, weights, distance)
        for layer in others:
            latent = layer.newest(latent, own, tokens, distance, u)
        logit, present, kept = self.decoder.newest(latent, latents, distance)
        scores = Outputs(
            torch.sigmoid(logit).squeeze(1), None if present is None else torch.sigmoid(present).squeeze(1)
        )
        return scores, (own, part.mean, part.weight, kept.squeeze(1))
