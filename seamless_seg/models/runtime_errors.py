"""Reasons: what onnxruntime and functions say when they fail, without C++ and in plain words."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..system import memory_exhausted

MAX_LENGTH = 400
"""Characters of a reason: longer ones lose their beginning, since the cause stands at the end."""

UPGRADE = "upgrade onnxruntime (pip install -U onnxruntime)"

_STATUS = re.compile(r".*\[ONNXRuntimeError\] : \d+ : \w+ : ", re.S)
_LOADING = re.compile(r"^(?:Load model from .*? failed:|Exception during initialization: )+")
_NODE = re.compile(
    r"Non-zero status code returned while running (\w+) node\. Name:'([^']*)' Status Message: ?"
)
_SOURCE = re.compile(r"\S*\w\.(?:cc|cpp|cu|cuh|h|hpp):\d+ ")
_SIGNATURE = re.compile(r"[^().]*::[^().]*\(")
_CONDITION = re.compile(r"^[^.]{1,120}? was false\. ")
_DEVICE_DETAILS = re.compile(r" ?; (?:GPU|hostname|file)=.*", re.S)

_ALLOCATION = re.compile(r"bad_alloc|bad allocation|Failed to allocate memory|Unable to allocate")

_EXPLAINED: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
    (
        re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)"),
        lambda found: (
            f"{found[0]}: {UPGRADE}, or save the model with ir_version {found[2]} or lower"
        ),
    ),
    (
        re.compile(r"Opset (\d+) is under development.*domain (\S+) is till opset (\d+)", re.S),
        lambda found: (
            f"it uses opset {found[1]} of {found[2]}, and this onnxruntime supports opset "
            f"{found[3]} at most: {UPGRADE}, or export the model with opset_version={found[3]}"
        ),
    ),
    (
        re.compile(r"Protobuf parsing failed"),
        lambda found: (
            f"{found[0]}: the file is no ONNX model, or it is damaged or incomplete; compare its "
            f"size with that of the original"
        ),
    ),
    (
        re.compile(r"(\S+):(\w+)\([-\d]+\) is not a registered function/op"),
        lambda found: (
            f"it has a node {found[2]} of the operator domain {found[1]}, which onnxruntime does "
            f"not know: export the model with standard ONNX operators"
        ),
    ),
    (
        re.compile(r"No Op registered for (\w+) with domain_version of (\d+)"),
        lambda found: (
            f"it has a node {found[1]}, which is no operator of opset {found[2]} in this "
            f"onnxruntime: {UPGRADE}, or export the model with standard ONNX operators"
        ),
    ),
    (
        re.compile(r'External data path does not exist: "?([^"]*[^".])'),
        lambda found: (
            f"the file of its weights is missing: put {found[1].rsplit('/', 1)[-1]} into the "
            f"folder of the model"
        ),
    ),
    (
        re.compile(r"External initializer: .*out of bounds or can not be read in full"),
        lambda found: (
            "the file of its weights is damaged or incomplete: compare its size with that of the "
            "original"
        ),
    ),
]
"""Reasons that need other words or a next step, and how they are put."""


def reason_of(error: Exception) -> str:
    """Return in one sentence why a model failed.

    Of onnxruntime's messages, the cause at the end is kept: names of C++ functions and source
    files before it go. Of any other exception, the first line is kept.
    """
    text = str(error).strip()
    if isinstance(error, MemoryError) or _ALLOCATION.search(text):
        return memory_exhausted()
    if "[ONNXRuntimeError]" not in text:
        lines = text.splitlines() or [type(error).__name__]
        return lines[0][:MAX_LENGTH]
    cause = " ".join(_cause(text).split())
    for pattern, explain in _EXPLAINED:
        if found := pattern.search(cause):
            return explain(found)
    return cause if len(cause) <= MAX_LENGTH else f"... {cause[-MAX_LENGTH:]}"


def _cause(text: str) -> str:
    """Return a message of onnxruntime without its status, and without C++."""
    text = _LOADING.sub("", _STATUS.sub("", text))
    node = ""
    if found := _NODE.search(text):
        label = f" {found[2]!r}" if found[2] else ""
        node, text = f"{found[1]} node{label}: ", text[found.end() :]
    if found := _SOURCE.search(text):
        text = _without_function(text[found.end() :])
    text = _DEVICE_DETAILS.sub("", text)
    return node + _CONDITION.sub("", text)


def _without_function(text: str) -> str:
    """Return a text without the C++ function at its beginning: its signature, or its name."""
    found = _SIGNATURE.match(text)
    if found is None:
        _, _, rest = text.partition(" ")
        return rest or text
    depth, end = 1, found.end()
    while depth and end < len(text):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        end += 1
    return re.sub(r"^ const\b", "", text[end:]).lstrip() or text
