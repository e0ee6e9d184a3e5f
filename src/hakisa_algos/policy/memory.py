"""What a policy carries from step to step: torch's LSTM or GRU, over whole chunks of rows at a time."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

Kind = Literal["lstm", "gru"]

# What a gate is given so that it is 0.
_CLOSED = -1e4


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
        state = _begun(state, start[0])
        before = start[1:].cumsum(0)
        if not before[-1:].any():
            return self.run(inputs, state)[0]
        # One call all the same: before each row with which an episode begins stands a row that forgets.
        length, batch, width = inputs.shape
        row = torch.arange(length, device=start.device).unsqueeze(1) + nn.functional.pad(before, (0, 0, 1, 0))
        place = (row * batch + torch.arange(batch, device=start.device)).flatten()
        rows = inputs.new_zeros((length + int(before[-1].max())) * batch, width + 1)
        rows[:, width] = 1
        rows.index_copy_(0, place, nn.functional.pad(inputs.flatten(0, 1), (0, 1)))
        own, *others = self.cell.parameters()
        forgets = torch.cat([own, self._forgetting().unsqueeze(1)], 1)
        out = self._call(rows.view(-1, batch, width + 1), state, [forgets, *others])[0]
        return out.flatten(0, 1).index_select(0, place).view(length, batch, -1)

    def _forgetting(self) -> Tensor:
        """Weights of one more input, which set to 1, all others being 0, makes the state 0, whatever it was."""
        closed = self.cell.get_parameter("bias_ih_l0").new_full((2 * self.features,), _CLOSED)
        if self.kind == "lstm":  # input and forget gate
            return nn.functional.pad(closed, (0, 2 * self.features))
        # Reset and update gate, and a candidate of 0, with gradients that cancel those of the bias.
        return torch.cat([closed, -self.cell.get_parameter("bias_ih_l0")[2 * self.features :]])

    @torch.no_grad()
    def after(self, inputs: Tensor, state: dict[str, Tensor], start: Tensor) -> dict[str, Tensor]:
        """The state after the last row; for arguments see :meth:`forward`."""
        cuts = [0, *(torch.nonzero(start[1:].any(1)).squeeze(1) + 1).tolist(), len(inputs)]
        for first, last in pairwise(cuts):
            state = self.run(inputs[first:last], _begun(state, start[first]))[1]
        return state

    def run(self, inputs: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Rows in which nothing begins: what it says of each, and the state after the last one."""
        return self._call(inputs, state, list(self.cell.parameters()))

    def _call(
        self, inputs: Tensor, state: dict[str, Tensor], weights: list[Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        before = [entries[None] for entries in state.values()]
        # cuDNN wants to know whether gradients are; that it is told to train changes nothing else without dropout.
        options = (weights, True, 1, 0.0, torch.is_grad_enabled(), False, False)
        with _exactly() if inputs.is_cuda else nullcontext():
            if self.kind == "lstm":
                out, *after = torch.lstm(inputs, before, *options)
            else:
                out, *after = torch.gru(inputs, before[0], *options)
        return out, {name: entries[0] for name, entries in zip(state, after, strict=True)}


def _exactly() -> AbstractContextManager[None]:
    """cuDNN without TF32, in which a row by itself and in a chunk differ by more than float32 may."""
    cudnn = torch.backends.cudnn
    context: AbstractContextManager[None] = cudnn.flags(
        enabled=True, benchmark=cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False
    )
    return context


def _begun(state: dict[str, Tensor], start: Tensor) -> dict[str, Tensor]:
    return {name: entries.masked_fill(start.unsqueeze(-1), 0) for name, entries in state.items()}
