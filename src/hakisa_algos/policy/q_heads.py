"""Values of joint actions: one number per command, plus what each of its arguments adds.

    Q(s, a) = Q_0(s, c) + sum_s active[c, s] (A_s(s, a_s) - mean_u A_s(s, u))

over the segments of :class:`hakisa_algos.policy.heads.ActionLayout`: the first one gives Q_0, each further one the
advantages of an argument, which count only under their command. Discrete has the first segment alone; on
MultiDiscrete and MultiBinary every segment always counts. The sum is one number with one TD error, so a good argument
is found even where the rest of its head is bad, and the best of millions of joint actions is one argmax per segment.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor, nn

from hakisa_algos.policy.heads import NEVER, ActionLayout, Segments, random_choice
from hakisa_algos.policy.networks import orthogonal


class QHeads(Segments):
    """From features to the values of all segments.

    Args:
        layout: the segments.
        features: width of the input.
        dueling: split Q_0 into a state value and centred advantages, each with a hidden layer of its own
            (Wang et al. 2016).
    """

    _padding: Tensor
    _centred: Tensor

    def __init__(self, layout: ActionLayout, features: int, dueling: bool = False) -> None:
        super().__init__(layout)
        self.values = _stream(features, sum(layout.size), dueling)
        self.state_value = _stream(features, 1, dueling) if dueling else None
        centred = torch.ones(len(layout.size), 1)
        centred[0] = float(dueling)
        self._any_centred = bool(centred.any())
        self.register_buffer("_centred", centred, persistent=False)
        self.register_buffer("_padding", self.pad_index == sum(layout.size), persistent=False)

    def forward(self, features: Tensor, mask: Tensor | None = None) -> QValues:
        """The values for features ``[batch, features]``; always computed in float32.

        Args:
            features: of the observations.
            mask: bool ``[batch, sum(sizes)]``: what may be chosen. A segment without any is one whose command may not
                be.
        """
        features = features.float()
        table: Tensor = self.values(features)
        table = self.spread(table, 0.0)  # zeros do not change the sum that the mean is taken from
        if self._any_centred:
            mean = table.sum(-1, keepdim=True) / self.size.unsqueeze(1)
            table = table - mean * self._centred
        if self.state_value is not None:
            first, arguments = table[:, :1], table[:, 1:]
            table = torch.cat([first + self.state_value(features).unsqueeze(1), arguments], 1)
        if self.padded:
            table = table.masked_fill(self._padding, NEVER)
        return QValues(self, table, None if mask is None else self.spread(mask, False))

    @torch.no_grad()
    def shift(self, by: float) -> None:
        """Adds a number to the values of all joint actions alike, which changes no preference."""
        if self.state_value is not None:
            _last(self.state_value).bias.add_(by)
        else:
            _last(self.values).bias[: self.layout.size[0]].add_(by)


class QValues:
    """The values of all joint actions for a batch of observations.

    Args:
        heads: the heads that made it, for their tables.
        table: ``[batch, segments, widest]``: Q_0 in the first segment, centred advantages in the others.
        allowed: bool, of the same shape: what may be chosen, padding never; None: all but the padding.
    """

    def __init__(self, heads: QHeads, table: Tensor, allowed: Tensor | None = None) -> None:
        self.heads = heads
        self.table = table
        self.allowed = allowed

    def of(self, action: Tensor) -> Tensor:
        """Q of env actions ``[batch, *shape]`` -> ``[batch]``."""
        choice = self.heads.encode(action)
        taken = self.table.gather(-1, choice.unsqueeze(-1)).squeeze(-1)
        return (taken * self._active(choice)).sum(-1)

    def max(self) -> Tensor:
        """Q of the best joint action that is allowed, ``[batch]``."""
        return self._best[0]

    def greedy(self) -> Tensor:
        """The best joint action that is allowed, ``[batch, *shape]``."""
        return self.heads.decode(self._best[1])

    def explore(self, epsilon: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Epsilon-greedy actions ``[batch, *shape]``: a random command with probability ``epsilon``, then each of the
        arguments that are relevant under it likewise, evenly among those that are allowed. Every row tosses its own
        coins.
        """
        choice, size = self._best[1], self.heads.size
        device = choice.device
        if self.allowed is None:
            # Integers, because a float below 1 times 1920 may round to 1920.
            drawn = torch.randint(2**31, choice.shape, generator=generator, device=device) % size
        else:
            drawn = random_choice(self.allowed, generator)
        coin = torch.rand(choice.shape, generator=generator, device=device)
        return self.heads.decode(torch.where(coin < epsilon, drawn, choice))

    def margin_loss(self, action: Tensor, margin: float) -> Tensor:
        """How far the best other action comes within ``margin`` of ``action``'s value, ``[batch]``.

        DQfD's large-margin loss (Hester et al. 2018): ``max_a (Q(s, a) + l(action, a)) - Q(s, action)``, where ``l``
        is ``margin`` for another command, and for the same command ``margin`` for each relevant argument that differs.
        """
        choice = self.heads.encode(action)
        differs = torch.arange(self.table.shape[-1], device=choice.device) != choice.unsqueeze(-1)
        raised = self.table + margin * (differs * self._active(choice).unsqueeze(-1))
        return QValues(self.heads, raised, self.allowed).max() - self.of(action)

    def log_probs(self, temperature: float) -> Tensor:
        """Of the policy that prefers better actions, ``[batch, segments, widest]``; the most likely is the greedy one.

        A command is worth its best joint action. The lower the ``temperature``, the more decided the policy.
        """
        table = self.table if self.allowed is None else self.table.masked_fill(~self.allowed, NEVER)
        if self.heads.layout.conditional:
            active = self.heads.active
            commands = table[:, 0, : len(active)] + table[:, 1:].amax(-1) @ active[:, 1:].T
            first = nn.functional.pad(commands, (0, table.shape[-1] - len(active)), value=NEVER)
            table = torch.cat([first.unsqueeze(1), table[:, 1:]], 1)
        return torch.log_softmax(table / temperature, -1)

    @cached_property
    def _best(self) -> tuple[Tensor, Tensor]:
        """The best value ``[batch]``, and the choice in each segment ``[batch, segments]`` that reaches it."""
        table = self.table if self.allowed is None else self.table.masked_fill(~self.allowed, NEVER)
        best, choice = table.max(-1)
        if not self.heads.layout.conditional:
            return best.sum(-1), choice
        active = self.heads.active
        joint, command = (table[:, 0, : len(active)] + best[:, 1:] @ active[:, 1:].T).max(-1)
        return joint, torch.cat([command.unsqueeze(-1), choice[:, 1:]], 1)

    def _active(self, choice: Tensor) -> Tensor:
        active = self.heads.active
        return active[choice[:, 0]] if self.heads.layout.conditional else active


def _stream(features: int, outputs: int, hidden: bool) -> nn.Module:
    # Small first values: the first targets are then the rewards, not what the initialisation happens to say.
    last = orthogonal(nn.Linear(features, outputs), gain=0.1)
    return nn.Sequential(orthogonal(nn.Linear(features, features)), nn.ReLU(), last) if hidden else last


def _last(stream: nn.Module) -> nn.Linear:
    last = stream[-1] if isinstance(stream, nn.Sequential) else stream
    assert isinstance(last, nn.Linear)
    return last
