"""KuaiHL: features of segments in, the logit of the next segment's LVTR at every segment out (paper, section III).

Beyond the paper, a network may read one more token per segment, its signals. It may also answer a second question, the
LVTR of the present segment (DESIGN section 5). Without both it is the paper's network to the bit.

`forward` reads a whole sequence at once (a window of 20 in training, a room in evaluation). `step` reads one more
segment of a stream with the state of those before, at a cost that never grows. Both give the same scores. Latent i sees
n segments and the decoder n latents, so a score depends on the last 2n-1 segments and on nothing older.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from kuaihl.models.batch import Batch
from kuaihl.models.dims import HISTORY_ITEMS, UNKNOWN_STREAMER, NetworkDims
from kuaihl.models.losses.objective import LossTerms, Objective, compute_losses
from kuaihl.models.network.attention import WindowedAttention, feed_forward
from kuaihl.models.network.attention_state import AttentionState
from kuaihl.models.network.history_tokens import HistoryTokens, mean_token
from kuaihl.models.network.stream_state import StreamState, ring_distance, start_streams


class Outputs(NamedTuple):
    """Outputs for B rooms: logits [B, S] of whole sequences, or scores [B] in (0, 1) of a step."""

    score: Tensor  # of the next segment
    interest: Tensor | None  # of the present one; None if the network has no such output


class KuaiHL(nn.Module):
    """The network. B rooms, S segments, P patches, T tokens per segment, d wide, k columns of signals."""

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
        self.decoder = _Decoder(dims)
        if dims.signals:  # made last, so that all other weights begin as without signals
            self.signals = _signals_projection(dims)  # W_x

    def forward(
        self,
        visual: Tensor,
        text: Tensor,
        streamer: Tensor,
        valid: Tensor | None = None,
        signals: Tensor | None = None,
    ) -> Tensor:
        """Logits [B, S] of a whole sequence; their sigmoid is the score.

        `visual` is [B, S, P, d_v] and `text` [B, S, d_t]. `streamer` is [B] indices, or histories
        [B, HISTORY_ITEMS, history_width], in which rows of zeros are missing highlights. False in `valid` [B, S] bool
        hides a segment that is padding from all others. `signals` is [B, S, k], if the network reads them.
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
        if self.dims.history_width:  # its highlights are seen in place of u, and their mean is the query
            who, known = self.history(streamer)  # [B, H, d], [B, H]
            u = self.streamer_norm(mean_token(who, known))
        else:
            u, known = self.streamer_vector(streamer), None  # [B, d]
            who = u.unsqueeze(1)
        latents = u.unsqueeze(1).expand(-1, tokens.shape[1], -1)  # [B, S, d], one query per segment
        seen = torch.cat([who, tokens.flatten(1, 2)], dim=1)  # [B, 1 + S*T, d], or H + S*T
        for layer in self.perceiver:
            latents = layer(latents, seen, valid, known)  # [B, S, d]
        return Outputs(*self.decoder(latents, valid))  # [B, S] each

    def streamer_vector(self, streamer: Tensor) -> Tensor:
        """u [B, d]: the vector of the streamer on air, or of the unknown streamer."""
        return cast(
            Tensor, self.streamer_norm(streamer_vector(self.dims, self.streamer, streamer, training=self.training))
        )

    def training_losses(self, objective: Objective, batch: Batch) -> LossTerms:
        """The three losses of eq. 13 on a batch, and those of the second output."""
        tokens = self.embed(batch.visual, batch.text, batch.signals)
        logits, present = self.predict(tokens, batch.streamer, batch.segment_valid)
        modalities = None
        if self.dims.use_text and self.dims.use_visual:
            patches = self.dims.patches
            modalities = tokens[:, :, patches], tokens[:, :, :patches].mean(dim=2)
        return compute_losses(objective, batch, logits, present, modalities)

    def start(self, streamer: Tensor) -> StreamState:
        """The state of B streams before their first segment; `streamer` [B] as in `forward`."""
        return start_streams(self.dims, streamer)

    def step(self, state: StreamState, visual: Tensor, text: Tensor, signals: Tensor | None = None) -> Outputs:
        """Scores [B] in (0, 1) after one more segment; `state` moves on.

        `visual` [B, P, d_v], `text` [B, d_t], `signals` [B, k] if the network reads them.
        """
        scores, kept = self.forward_step(visual, text, signals, *state.inputs())
        state.push(*kept)
        return scores

    def forward_step(
        self,
        visual: Tensor,
        text: Tensor,
        signals: Tensor | None,
        tokens: Tensor,
        outs: Tensor,
        lses: Tensor,
        latents: Tensor,
        streamer: Tensor,
        position: Tensor,
    ) -> tuple[Outputs, tuple[Tensor, Tensor, Tensor, Tensor]]:
        """A step as a function of tensors alone, which can be exported.

        It reads the newest segment and a `StreamState`'s parts. It returns scores [B] and the tensors that the state
        keeps of this segment, in the order of `StreamState.push`.
        """
        distance = ring_distance(position, self.dims.window)
        told = None if signals is None else signals.unsqueeze(1)
        current = self.embed(visual.unsqueeze(1), text.unsqueeze(1), told).squeeze(1)  # [B, T, d]
        u = self.streamer_vector(streamer).unsqueeze(1)  # [B, 1, d]
        first, *others = (cast(PerceiverLayer, layer) for layer in self.perceiver)
        latent, part = first.forward_step_cached(u, current, outs, lses, distance)
        for layer in others:
            latent = layer.forward_step(latent, current, tokens, distance, u)
        logit, present, kept = self.decoder.forward_step(latent, latents, distance)
        scores = Outputs(
            torch.sigmoid(logit).squeeze(1), None if present is None else torch.sigmoid(present).squeeze(1)
        )
        return scores, (current, part.out, part.lse, kept.squeeze(1))


class PerceiverLayer(nn.Module):
    """Cross-attention from latent i to the tokens of its window and of the streamer, then feed-forward."""

    def __init__(self, dims: NetworkDims) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dims.width)  # of the latents; tokens are normalised already
        who = HISTORY_ITEMS if dims.history_width else 1
        self.attention = WindowedAttention(
            dims.width, dims.heads, dims.window, causal=dims.causal, tokens=dims.tokens, timeless=who
        )
        self.dropout = nn.Dropout(dims.dropout)
        self.feed_forward = feed_forward(dims.width, dims.feed_forward, dims.dropout)

    def forward(
        self, latents: Tensor, tokens: Tensor, valid: Tensor | None = None, known: Tensor | None = None
    ) -> Tensor:
        """`latents` [B, S, d]; `tokens` [B, 1 + S*T, d], the streamer's vector first -> latents [B, S, d].

        For a user, `tokens` is [B, H + S*T, d], the history's tokens first; `known` [B, H] marks those present.
        """
        memory = self.attention.keys_and_values(tokens)
        return self._mix(latents, self.attention(self.norm(latents), memory, valid, known))

    def forward_step(self, latent: Tensor, current: Tensor, ring: Tensor, distance: Tensor, streamer: Tensor) -> Tensor:
        """The same for the newest segment alone: latent and `streamer` [B, 1, d], the others as in the attention."""
        return self._mix(latent, self.attention.forward_step(self.norm(latent), current, ring, distance, streamer))

    def forward_step_cached(
        self, latent: Tensor, current: Tensor, outs: Tensor, lses: Tensor, distance: Tensor
    ) -> tuple[Tensor, AttentionState]:
        """The same in the first layer, where every latent is the streamer's vector."""
        seen, part = self.attention.forward_step_cached(self.norm(latent), current, outs, lses, distance, latent)
        return self._mix(latent, seen), part

    def _mix(self, latents: Tensor, seen: Tensor) -> Tensor:
        latents = latents + self.dropout(seen)
        return cast(Tensor, latents + self.feed_forward(latents))


class _Decoder(nn.Module):
    """Causal self-attention over the latents within the window, feed-forward, linear."""

    def __init__(self, dims: NetworkDims) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dims.width)
        self.attention = WindowedAttention(dims.width, dims.heads, dims.window, causal=dims.causal)
        self.dropout = nn.Dropout(dims.dropout)
        self.feed_forward = feed_forward(dims.width, dims.feed_forward, dims.dropout)
        self.head = nn.Sequential(nn.LayerNorm(dims.width), nn.Linear(dims.width, 1))
        if dims.interest:
            self.interest = nn.Sequential(nn.LayerNorm(dims.width), nn.Linear(dims.width, 1))
        self.has_interest = dims.interest

    def forward(self, latents: Tensor, valid: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """`latents` [B, S, d] -> logits [B, S] of the next segment, and of the present one if that output exists."""
        normed = self.norm(latents)
        return self._logits(latents, self.attention(normed, self.attention.keys_and_values(normed), valid))

    def forward_step(self, latent: Tensor, ring: Tensor, distance: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """The newest latent [B, 1, d], the `ring` [B, n, d] of earlier ones -> logits [B, 1], the ring's new entry.

        `distance` [B, n] is as in `WindowedAttention.forward_step`. The ring holds normed latents, as the attention
        reads them.
        """
        normed = self.norm(latent)  # [B, 1, d]
        return *self._logits(latent, self.attention.forward_step(normed, normed, ring.unsqueeze(2), distance)), normed

    def _logits(self, latents: Tensor, seen: Tensor) -> tuple[Tensor, Tensor | None]:
        latents = latents + self.dropout(seen)
        latents = latents + self.feed_forward(latents)
        present = cast(Tensor, self.interest(latents).squeeze(-1)) if self.has_interest else None
        return cast(Tensor, self.head(latents).squeeze(-1)), present


def streamer_source(dims: NetworkDims) -> nn.Module:
    """The source of u: a table with the unknown streamer in row 0."""
    return nn.Embedding(dims.streamers + 1 if dims.use_id else 1, dims.width)


def streamer_vector(dims: NetworkDims, source: nn.Module, streamer: Tensor, *, training: bool) -> Tensor:
    """u [B, d] before its norm. `streamer` is [B] indices; a network without id takes any tensor of length B.

    In training an id becomes "unknown" with probability `dims.id_dropout`, so that row 0 is trained, too.
    """
    if not dims.use_id:
        if streamer.dim() > 1:  # histories
            streamer = streamer[:, 0, 0].long()
        streamer = torch.full_like(streamer, UNKNOWN_STREAMER)
    elif training and dims.id_dropout > 0:
        hidden = torch.rand(streamer.shape, device=streamer.device) < dims.id_dropout
        streamer = streamer.masked_fill(hidden, UNKNOWN_STREAMER)
    return cast(Tensor, source(streamer))


def text_projection(dims: NetworkDims) -> nn.Sequential:
    """W_z: [..., d_t] -> [..., d], by the multi-layer perceptron of the supplement (section I-A), then normalised.

    The paper gives neither the number nor the width of its layers. Here there are two, d wide, with GELU between them.
    Older bundles have one.
    """
    layers: list[nn.Module] = [nn.Linear(dims.text_width, dims.width)]
    for _ in range(1, dims.text_layers):
        layers += [nn.GELU(), nn.Linear(dims.width, dims.width)]
    return nn.Sequential(*layers, nn.LayerNorm(dims.width))


def _signals_projection(dims: NetworkDims) -> nn.Sequential:
    """W_x: [..., k] columns of `signals` -> [..., d], a perceptron like W_z. Not in the paper.

    Signals are numbers of many kinds, and one's meaning depends on others, so one linear layer would not do.
    """
    return nn.Sequential(
        nn.Linear(dims.signals, dims.width), nn.GELU(), nn.Linear(dims.width, dims.width), nn.LayerNorm(dims.width)
    )
