"""``torch.compile`` with a way back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch

logger = logging.getLogger(__name__)


class Compiled:
    """``function``, compiled at its first call; where that fails it runs as it is, and the log says why.

    Args:
        function: of tensors and plain values. Numbers that change from call to call must come as tensors, or each
            new one is compiled anew.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        import torch._dynamo.config  # here, because it takes as long as the rest of torch

        self._function = function
        # Off by default in torch 2.13, and what lets a loss and its gradient be one graph; unknown to torch 2.8.
        if hasattr(torch._dynamo.config, "trace_autograd_ops"):
            torch._dynamo.config.trace_autograd_ops = True
        self._run: Callable[..., Any] = torch.compile(function, fullgraph=True)

    def __call__(self, *arguments: Any) -> Any:
        try:
            return self._run(*arguments)
        except torch._dynamo.exc.TorchDynamoException as error:
            reason = " ".join(str(error).split("\n\n")[0].split())
            logger.warning("compile=True does not work here, so %s runs eagerly: %s", self._function.__name__, reason)
            self._run = self._function
            return self._function(*arguments)
