"""Python that exports PyTorch files to ONNX, for messages; FILE stands for the file's name."""

from __future__ import annotations

_EXPORT = """\
torch.onnx.export(model.eval(), torch.zeros(1, 3, 512, 512), "model.onnx",
                  input_names=["image"], output_names=["logits"], dynamo=False,
                  dynamic_axes={"image": [0, 2, 3], "logits": [0, 2, 3]})"""

MODULE = f"""\
import torch
model = torch.load("FILE", map_location="cpu", weights_only=False)  # runs code: trust its source
{_EXPORT}"""
"""For a file with a whole module."""

SCRIPT = f"""\
import torch
model = torch.jit.load("FILE", map_location="cpu")
{_EXPORT}"""
"""For a TorchScript module."""

WEIGHTS = f"""\
import torch
model = build_network()  # your code: the network that was trained
model.load_state_dict(torch.load("FILE", map_location="cpu"))
{_EXPORT}"""
"""For weights, which are no network."""

CHECKPOINT = WEIGHTS.replace('map_location="cpu")', 'map_location="cpu")["state_dict"]')
"""For a dict of which the weights are one entry, as Lightning writes it."""

SAFETENSORS = f"""\
import torch, safetensors.torch
model = build_network()  # your code: the network that was trained
model.load_state_dict(safetensors.torch.load_file("FILE"))
{_EXPORT}"""
"""For weights in a safetensors file."""
