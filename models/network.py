"""KuaiHL: features of segments in, for every segment the logit of the next segment's LVTR out (paper, section III).

`forward` reads a whole sequence at once (a window of 20 in training, a room in evaluation); `step` reads one more
segment of a stream with what it keeps of those before, at a cost that never grows. Both give the same scores: latent i
sees n segments and the decoder n latents, so a score depends on the last 2n-1 segments and on nothing older.
"""

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from kuaihl.models.batch import Batch
from kuaihl.models.decoder import Decoder
from kuaihl.models.history_tokens import HistoryTokens, mean_token
from kuaihl.models.network_dims import NetworkDims
from kuaihl.models.perceiver import PerceiverLayer
from kuaihl.models.stream_state import StreamState, ring_distance, start_streams
from kuaihl.models.streamer_vector import streamer_source, streamer_vector
from kuaihl.models.text_projection import text_projection

if TYPE_CHECKING:
    from kuaihl.models.objective import LossTerms, Objective


class KuaiHL(nn.Module):
    """The network. B rooms, S segments, P patches, T tokens a segment, d wide."""

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

    def forward(self, visual: Tensor, text: Tensor, streamer: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits [B, S] of a whole sequence; their sigmoid is the score.

        `visual` [B, S, P, d_v], `text` [B, S, d_t], `streamer` [B] indices (or histories
        [B, HISTORY_ITEMS, history_width], in which rows of zeros are no highlight), `valid` [B, S] bool: False hides a
        segment that is padding from all others.
        """
        return self.predict(self.embed(visual, text), streamer, valid)

    def embed(self, visual: Tensor, text: Tensor) -> Tensor:
        """Tokens e = [W_v v ; W_z z], [B, S, T, d]: visual first, the text token last. L_align reads them too."""
        tokens = []
        if self.dims.use_visual:
            tokens.append(self.visual(visual))  # [B, S, P, d]
        if self.dims.use_text:
            tokens.append(self.text(text).unsqueeze(2))  # [B, S, 1, d]
        return torch.cat(tokens, dim=2)

    def predict(self, tokens: Tensor, streamer: Tensor, valid: Tensor | None = None) -> Tensor:
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
        return cast(Tensor, self.decoder(latents, valid))  # [B, S]

    def streamer_vector(self, streamer: Tensor) -> Tensor:
        """u [B, d]: who is on air, or the vector of the unknown streamer."""
        return cast(
            Tensor, self.streamer_norm(streamer_vector(self.dims, self.streamer, streamer, training=self.training))
        )

    def training_losses(self, objective: "Objective", batch: Batch) -> "LossTerms":
        """The three losses of eq. 13 on a batch."""
        from kuaihl.models.objective import losses

        return losses(
            self,
            objective,
            batch.visual,
            batch.text,
            batch.streamer,
            batch.labels,
            batch.label_valid,
            batch.segment_valid,
        )

    def start(self, streamer: Tensor) -> StreamState:
        """The state of B streams of which nothing has been seen; `streamer` [B] as in `forward`."""
        return start_streams(self.dims, streamer)

    def step(self, state: StreamState, visual: Tensor, text: Tensor) -> Tensor:
        """Scores [B] in (0, 1) after one more segment: `visual` [B, P, d_v], `text` [B, d_t]; `state` moves on."""
        scores, *kept = self.newest(visual, text, *state.inputs())
        state.push(*kept)
        return scores

    def newest(
        self,
        visual: Tensor,
        text: Tensor,
        tokens: Tensor,
        means: Tensor,
        weights: Tensor,
        latents: Tensor,
        streamer: Tensor,
        position: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """A step as a function of tensors alone, which can be exported: the newest segment and a `StreamState`'s parts.

        Gives scores [B] and what the state is to keep of this segment, in the order of `StreamState.push`.
        """
        distance = ring_distance(position, self.dims.window)
        own = self.embed(visual.unsqueeze(1), text.unsqueeze(1)).squeeze(1)  # [B, T, d]
        u = self.streamer_vector(streamer).unsqueeze(1)  # [B, 1, d]
        first, *others = (cast(PerceiverLayer, layer) for layer in self.perceiver)
        latent, part = first.newest_of_means(u, own, means, weights, distance)
        for layer in others:
            latent = layer.newest(latent, own, tokens, distance, u)
        logit, kept = self.decoder.newest(latent, latents, distance)
        return torch.sigmoid(logit).squeeze(1), own, part.mean, part.weight, kept.squeeze(1)
