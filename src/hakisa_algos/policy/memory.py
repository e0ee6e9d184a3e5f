"""What a policy carries from step to step: torch's LSTM or GRU, over whole chunks of rows at a time."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

Kind = Literal["lstm", "gru"]


class Memory(nn.Module):
    """An LSTM (Gers et al. 2000) or a GRU (Cho et al. 2014), in float32, whose state begins as zeros.

    At first its units keep what they saw for 1 to ``span`` rows, each for another time (Tallec and Ollivier 2018): with
    biases of 0 all would have forgotten it after a few, and hardly learn to keep it.

    Args:
        kind: ``"lstm"`` or ``"gru"``.
        inputs: width of the features.
        features: width of what it remembers and returns.
        span: rows that it is to remember.
    """

    def __init__(self, kind: Kind, inputs: int, features: int, span: int) -> None:
        super().__init__()
        self.kind, self.features = kind, features
        self.cell: nn.LSTM | nn.GRU = {"lstm": nn.LSTM, "gru": nn.GRU}[kind](inputs, features)
        for name, parameter in self.cell.named_parameters():
            if name.startswith("weight"):
                nn.init.orthogonal_(parameter)
            else:
                nn.init.zeros_(parameter)
        times = torch.empty(features).uniform_(1, max(2, span)).log()
        biases = self.cell.get_parameter("bias_hh_l0").data
        if kind == "lstm":  # input, forget and output gate, and between them the candidate
            biases[:features], biases[features : 2 * features] = -times, times
        else:  # reset and update gate, and the candidate
            biases[features : 2 * features] = times

    def initial_state(self, n: int) -> dict[str, Tensor]:
        """Of ``n`` columns, each ``[n, features]``."""
        names = ("h", "c") if self.kind == "lstm" else ("h",)
        return {name: next(self.parameters()).new_zeros(n, self.features) for name in names}

    def forward(self, inputs: Tensor, state: dict[str, Tensor], start: Tensor) -> Tensor:
        """What it says of each row, ``[length, batch, features]``.

        Args:
            inputs: of rows that follow one another, ``[length, batch, inputs]``.
            state: before the first row, each ``[batch, features]``.
            start: bool ``[length, batch]``: an episode begins with this row, so nothing is remembered.
        """
        if not start[1:].any():
            return self.run(inputs, _begun(state, start[0]))[0]
        # One call all the same, which costs less than several: what comes after a beginning is a sequence of its own.
        length, batch = start.shape
        rows = inputs.transpose(0, 1).flatten(0, 1)
        begins = start.t().clone()
        begins[:, 0] = True
        first = torch.nonzero(begins.flatten()).squeeze(1)
        sequence = begins.flatten().cumsum(0) - 1
        place = torch.arange(batch * length, device=rows.device) - first[sequence]
        padded = rows.new_zeros(int(place.max()) + 1, len(first), rows.shape[1]).index_put((place, sequence), rows)
        heads = sequence.view(batch, length)[:, 0]
        begun = {
            name: entries.new_zeros(len(first), self.features).index_copy(0, heads, entries)
            for name, entries in _begun(state, start[0]).items()
        }
        out = self.run(padded, begun)[0][place, sequence]
        return out.view(batch, length, -1).transpose(0, 1)

    @torch.no_grad()
    def after(self, inputs: Tensor, state: dict[str, Tensor], start: Tensor) -> dict[str, Tensor]:
        """The state after the last row; for arguments see :meth:`forward`."""
        cuts = [0, *(torch.nonzero(start[1:].any(1)).squeeze(1) + 1).tolist(), len(inputs)]
        for first, last in pairwise(cuts):
            state = self.run(inputs[first:last], _begun(state, start[first]))[1]
        return state

    def run(self, inputs: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Rows in which nothing begins: what it says of each, and the state after the last one."""
        before = tuple(entries[None] for entries in state.values())
        out, after = self.cell(inputs, before if self.kind == "lstm" else before[0])
        after = after if isinstance(after, tuple) else (after,)
        return out, {name: entries[0] for name, entries in zip(state, after, strict=True)}


def _begun(state: dict[str, Tensor], start: Tensor) -> dict[str, Tensor]:
    return {name: entries.masked_fill(start.unsqueeze(-1), 0) for name, entries in state.items()}
