"""Nested training state as plain JSON plus named tensors and arrays, and back.

JSON values stand for themselves. What JSON cannot say is an object with exactly one key, its tag:

    {"dict": {...}}  {"pairs": [[key, value], ...]}  {"tuple": [...]}  {"int": "0x..."}  {"float": "nan"}
    {"tensor": name}  {"array": name}  {"scalar": name}

so no value of the state can be mistaken for a tag, and decoding only ever builds these types.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from hakisa_algos.errors import CheckpointError

# Python refuses to parse decimal integers of more than 4300 digits; hexadecimal ones have no limit. Below 64
# bits a plain number is easier on the reader.
_PLAIN_INT = 2**63

_NOT_IN_SAFETENSORS = (torch.complex128, torch.complex32)


class StateEncoder:
    """Encodes one state; afterwards ``tensors`` and ``arrays`` hold what the JSON refers to by name."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self.arrays: dict[str, np.ndarray] = {}
        self._storages: set[int] = set()

    def encode(self, value: Any, path: str = "") -> Any:
        """The JSON form of ``value``, which stands at ``path`` (keys joined by dots, used to name tensors).

        Raises:
            CheckpointError: a type that cannot be stored, with its path.
        """
        if value is None or type(value) in (bool, str):
            return value
        if type(value) is int:
            return value if -_PLAIN_INT <= value < _PLAIN_INT else {"int": hex(value)}
        if type(value) is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if type(value) is list:
            return self._items(value, path)
        if type(value) is tuple:
            return {"tuple": self._items(value, path)}
        if isinstance(value, Mapping):
            return self._mapping(value, path)
        if isinstance(value, torch.Tensor):
            return {"tensor": self._tensor(value, path)}
        if isinstance(value, (np.ndarray, np.generic)):
            return {"array" if isinstance(value, np.ndarray) else "scalar": self._array(value, path)}
        raise CheckpointError(
            f"state at {path or 'the top'!r} is a {type(value).__module__}.{type(value).__qualname__}; a "
            "checkpoint holds dict, list, tuple, tensors, NumPy arrays, int, float, bool, str and None only "
            "(so that loading never runs code); convert it to one of these"
        )

    def _items(self, values: Sequence[Any], path: str) -> list[Any]:
        return [self.encode(value, f"{path}.{index}") for index, value in enumerate(values)]

    def _mapping(self, value: Mapping[Any, Any], path: str) -> dict[str, Any]:
        for key in value:
            if type(key) not in (str, int):
                raise CheckpointError(
                    f"state at {path or 'the top'!r} has the key {key!r} of type {type(key).__name__}; keys "
                    "are str (or int, as in optimizer states); convert it"
                )
        prefix = f"{path}." if path else ""
        pairs = [(key, self.encode(item, f"{prefix}{key}")) for key, item in value.items()]
        if all(type(key) is str for key, _ in pairs):
            return {"dict": dict(pairs)}
        return {"pairs": [[self.encode(key), item] for key, item in pairs]}

    def _tensor(self, value: torch.Tensor, path: str) -> str:
        dense = value.layout == torch.strided and not value.is_quantized and value.device.type != "meta"
        if not dense or value.dtype in _NOT_IN_SAFETENSORS:
            raise CheckpointError(
                f"tensor at {path!r} is {value.layout}, {value.dtype}, on {value.device}; a checkpoint holds "
                "dense tensors with data, of a dtype that safetensors has; convert it, as with .to(dtype)"
            )
        tensor = value.detach().resolve_conj().resolve_neg().cpu().contiguous()
        # safetensors refuses tensors that share memory (tied weights, views of one ring): each gets its own.
        if tensor.untyped_storage().data_ptr() in self._storages:
            tensor = tensor.clone()
        self._storages.add(tensor.untyped_storage().data_ptr())
        name = _free_name(path, self.tensors)
        self.tensors[name] = tensor
        return name

    def _array(self, value: np.ndarray | np.generic, path: str) -> str:
        if value.dtype.hasobject:
            raise CheckpointError(
                f"array at {path!r} has dtype {value.dtype}; Python objects in an array would need pickle, "
                "which runs code when loaded; use a list or a plain dtype"
            )
        name = _free_name(path, self.arrays)
        self.arrays[name] = np.asarray(value)
        return name


def decode(value: Any, tensors: Mapping[str, torch.Tensor], arrays: Mapping[str, np.ndarray]) -> Any:
    """The state that :class:`StateEncoder` wrote as ``value``.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: the JSON is not of the form above, or names a tensor
            that is not there.
    """
    if isinstance(value, list):
        return [decode(item, tensors, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    ((tag, body),) = value.items()
    if tag == "dict":
        return {key: decode(item, tensors, arrays) for key, item in body.items()}
    if tag == "pairs":
        return {decode(key, tensors, arrays): decode(item, tensors, arrays) for key, item in body}
    if tag == "tuple":
        return tuple(decode(item, tensors, arrays) for item in body)
    if tag == "int":
        return int(body, 16)
    if tag == "float":
        return float(body)
    if tag == "tensor":
        return tensors[body]
    if tag in ("array", "scalar"):
        array = arrays[body]
        if not isinstance(array, np.ndarray):  # np.load hands a foreign zip entry out as bytes
            raise ValueError(f"{body!r} is not a NumPy array")
        return array if tag == "array" else array[()]
    raise ValueError(f"unknown tag {tag!r}")


def _free_name(path: str, taken: Mapping[str, object]) -> str:
    """A name as close to ``path`` as a zip entry and a safetensors header allow, not taken yet."""
    base = re.sub(r"[^A-Za-z0-9_.\-]+", "_", path) or "state"
    name, count = base, 1
    while name in taken:
        count += 1
        name = f"{base}~{count}"
    return name
