"""torch's optimizers, without the compiler that they load at their first step.

Several of their methods tell torch's compiler to leave them alone, for which they import it: 2 s at each start of a
run, as long again as importing torch. Nothing here compiles an optimizer.
"""

from __future__ import annotations

from inspect import unwrap

import torch
from torch.optim import Optimizer


class _Unwrapped(Optimizer):
    add_param_group = unwrap(Optimizer.add_param_group)
    state_dict = unwrap(Optimizer.state_dict)
    load_state_dict = unwrap(Optimizer.load_state_dict)


class Adam(_Unwrapped, torch.optim.Adam):
    """As torch's."""

    step = torch.no_grad()(unwrap(torch.optim.Adam.step))


class RAdam(_Unwrapped, torch.optim.RAdam):
    """As torch's."""

    step = torch.no_grad()(unwrap(torch.optim.RAdam.step))


class RMSprop(_Unwrapped, torch.optim.RMSprop):
    """As torch's."""

    step = torch.no_grad()(unwrap(torch.optim.RMSprop.step))
