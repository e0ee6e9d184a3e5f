"""Nested training state as plain JSON plus named tensors, and back.

JSON values stand for themselves. What JSON cannot say is an object with exactly one key, its tag:

    {"dict": {...}}  {"pairs": [[key, value], ...]}  {"tuple": [...]}  {"int": "0x..."}  {"float": "nan"}
    {"tensor": name}  {"array": name}  {"scalar": name}  {"bytes": name}

so no value of the state can be mistaken for a tag, and decoding only ever builds these types.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hakisa_algos.errors import CheckpointError

# Python refuses to parse decimal integers of more than 4300 digits; hexadecimal ones have no limit. Below 64
# bits a plain number is easier on the reader.
_PLAIN_INT = 2**63

_NOT_IN_SAFETENSORS = (torch.complex128, torch.complex32)


def encode(value: Any, tensors: dict[str, Tensor], path: str = "") -> Any:
    """The JSON form of ``value``; nothing of it shares memory with ``value``, which may change at once.

    Args:
        value: dict / list / tuple of tensors (dense, of a dtype that safetensors has, on any device; they come back on
            the CPU, without gradient), NumPy arrays and scalars of such dtypes, int of any size, float (NaN and
            infinities too), bool, str, bytes and None. Keys are str or int; any mapping comes back as a dict.
        tensors: gets what the JSON refers to by name.
        path: where ``value`` stands, keys joined by dots; tensors are named by it.

    Raises:
        CheckpointError: something else, with its path.
    """
    if value is None or type(value) in (bool, str):
        return value
    if type(value) is int:
        return value if -_PLAIN_INT <= value < _PLAIN_INT else {"int": hex(value)}
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if type(value) in (list, tuple):
        items = [encode(item, tensors, f"{path}.{index}") for index, item in enumerate(value)]
        return items if type(value) is list else {"tuple": items}
    if isinstance(value, Mapping):
        return _encode_mapping(value, tensors, path)
    if isinstance(value, Tensor):
        return {"tensor": _add(value, tensors, path)}
    if isinstance(value, bytes):
        return {"bytes": _add(torch.from_numpy(np.frombuffer(value, np.uint8).copy()), tensors, path, copy=False)}
    if isinstance(value, np.ndarray | np.generic):
        try:
            # A copy, because torch has no negative strides; viewed by its size, because C has two integers of 64 bits.
            tensor = torch.from_numpy(np.array(value, order="C").view(value.dtype.str))
        except (TypeError, ValueError) as error:
            raise CheckpointError(
                f"array at {path!r} has dtype {value.dtype}; a checkpoint holds numbers and bools of the dtypes that "
                "torch has; convert it, or use a list"
            ) from error
        return {"array" if isinstance(value, np.ndarray) else "scalar": _add(tensor, tensors, path, copy=False)}
    raise CheckpointError(
        f"state at {path or 'the top'!r} is a {type(value).__module__}.{type(value).__qualname__}; a checkpoint holds "
        "dict, list, tuple, tensors, NumPy arrays, int, float, bool, str, bytes and None only (so that loading never "
        "runs code); convert it to one of these"
    )


def _encode_mapping(value: Mapping[Any, Any], tensors: dict[str, Tensor], path: str) -> dict[str, Any]:
    for key in value:
        if type(key) not in (str, int):
            raise CheckpointError(
                f"state at {path or 'the top'!r} has the key {key!r} of type {type(key).__name__}; keys are str (or "
                "int, as in optimizer states); convert it"
            )
    prefix = f"{path}." if path else ""
    pairs = [(key, encode(item, tensors, f"{prefix}{key}")) for key, item in value.items()]
    if all(type(key) is str for key, _ in pairs):
        return {"dict": dict(pairs)}
    return {"pairs": [[encode(key, tensors), item] for key, item in pairs]}


def _add(value: Tensor, tensors: dict[str, Tensor], path: str, copy: bool = True) -> str:
    dense = value.layout == torch.strided and not value.is_quantized and value.device.type != "meta"
    if not dense or value.dtype in _NOT_IN_SAFETENSORS:
        raise CheckpointError(
            f"tensor at {path!r} is {value.layout}, {value.dtype}, on {value.device}; a checkpoint holds dense "
            "tensors with data, of a dtype that safetensors has; convert it, as with .to(dtype)"
        )
    # A name as close to the path as is readable in a safetensors header.
    base = re.sub(r"[^A-Za-z0-9_.\-]+", "_", path) or "state"
    name, count = base, 1
    while name in tensors:
        count += 1
        name = f"{base}~{count}"
    plain = value.detach().resolve_conj().resolve_neg()
    tensors[name] = plain.to("cpu", copy=copy, memory_format=torch.contiguous_format)
    return name


def decode(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The state that :func:`encode` gave as ``value``; any built-in error if the JSON is not of the form above."""
    if isinstance(value, list):
        return [decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((tag, body),) = value.items()
    if tag == "dict":
        return {key: decode(item, tensors) for key, item in body.items()}
    if tag == "pairs":
        return {decode(key, tensors): decode(item, tensors) for key, item in body}
    if tag == "tuple":
        return tuple(decode(item, tensors) for item in body)
    if tag == "int":
        return int(body, 16)
    if tag == "float":
        return float(body)
    if tag == "tensor":
        return tensors[body]
    if tag == "array":
        return tensors[body].numpy()
    if tag == "scalar":
        return tensors[body].numpy()[()]
    if tag == "bytes":
        return tensors[body].numpy().tobytes()
    raise ValueError(f"unknown tag {tag!r}")
