"""What the graph proves of common architectures, each verdict checked by running the model.

    pip install monai segmentation-models-pytorch timm onnxscript
    python benchmarks/architectures.py --json verdicts.json

Networks of segmentation_models_pytorch and MONAI with random weights are exported by torch. The
verdict of each graph is compared with what the model does: tiles at multiples of the stride
against the whole image, by onnxruntime. These packages are needed here only, and torch with them.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from architecture_check import checked, checked_at_fixed_size, checked_with_statistics
from architecture_statistics import cut
from onnx import load
from torch import nn

from seamless_seg.graphs.interpreter import LoadedGraph, image_of
from seamless_seg.models.load import open_models
from seamless_seg.probes.graph_verdict import GraphVerdict, graph_verdict

SIDES = 256, 320
"""Pixels: height and width of the image with which networks are exported; free ones are traced."""

FIXED = 192
"""Pixels: sides of the image of networks that are exported for one size; all bins divide it."""

FIXED_OF = {"MONAI FlexibleUNet, resnet18": 768, "smp DPT, vit_tiny": 224}
"""The same of those whose receptive field is larger, or whose positions are for another size."""

ENCODERS = ("resnet18", "mobilenet_v2", "efficientnet-b0", "timm-regnetx_002", "mit_b0")

DECODERS = (
    *("Unet", "UnetPlusPlus", "Linknet", "FPN", "PAN", "MAnet", "PSPNet"),
    *("DeepLabV3", "DeepLabV3Plus", "UPerNet", "Segformer"),
)

Exporter = Callable[[nn.Module, Path, int], None]


def smp_networks() -> dict[str, Callable[[], nn.Module]]:
    """Return makers of segmentation_models_pytorch's networks, by name."""
    import segmentation_models_pytorch as smp

    def maker(decoder: str, encoder: str, **options: Any) -> Callable[[], nn.Module]:
        return lambda: getattr(smp, decoder)(encoder, encoder_weights=None, classes=4, **options)

    made = {
        f"smp {decoder}, {encoder}": maker(decoder, encoder)
        for decoder in DECODERS
        for encoder in ENCODERS
    }
    made["smp Unet, resnet18, scse"] = maker("Unet", "resnet18", decoder_attention_type="scse")
    made["smp DPT, vit_tiny"] = maker(
        "DPT", "tu-vit_tiny_patch16_224", decoder_fusion_channels=64, dynamic_img_size=True
    )
    return made


def monai_networks() -> dict[str, Callable[[], nn.Module]]:
    """Return makers of MONAI's networks for images, by name."""
    from monai.networks import nets

    plain = {"spatial_dims": 2, "in_channels": 3, "out_channels": 4}
    levels = {"channels": (8, 16, 32, 64, 128), "strides": (2, 2, 2, 2)}
    features = {"features": (8, 8, 16, 32, 64, 8)}
    kernels = {"kernel_size": [3] * 4, "strides": [1, 2, 2, 2], "upsample_kernel_size": [2] * 3}
    batch = {"norm": ("batch", {})}

    def flexible(backbone: str) -> nn.Module:
        return nets.FlexibleUNet(3, 4, backbone)

    return {
        "MONAI UNet": lambda: nets.UNet(**plain, **levels, num_res_units=2),
        "MONAI UNet, batch norm": lambda: nets.UNet(
            **plain, **levels, num_res_units=2, norm="BATCH"
        ),
        "MONAI BasicUNet": lambda: nets.BasicUNet(**plain, **features),
        "MONAI BasicUNet, batch norm": lambda: nets.BasicUNet(**plain, **features, **batch),
        "MONAI BasicUNet, bilinear": lambda: nets.BasicUNet(
            **plain, **features, **batch, upsample="nontrainable"
        ),
        "MONAI BasicUNetPlusPlus": lambda: nets.BasicUNetPlusPlus(**plain, **features),
        "MONAI SegResNet": lambda: nets.SegResNet(**plain),
        "MONAI SegResNet, batch norm": lambda: nets.SegResNet(**plain, norm="BATCH"),
        "MONAI DynUNet": lambda: nets.DynUNet(**plain, **kernels),
        "MONAI DynUNet, batch norm": lambda: nets.DynUNet(**plain, **kernels, norm_name="batch"),
        "MONAI AttentionUnet": lambda: nets.AttentionUnet(**plain, **levels),
        "MONAI FlexibleUNet, resnet18": lambda: flexible("resnet18"),
        "MONAI FlexibleUNet, efficientnet-b0": lambda: flexible("efficientnet-b0"),
        "MONAI VNet": lambda: nn.Sequential(
            nn.Conv2d(3, 4, 1), nets.VNet(2, in_channels=4, out_channels=4, dropout_dim=2)
        ),
        "MONAI HighResNet": lambda: nets.HighResNet(**plain),
        "MONAI SwinUNETR": lambda: nets.SwinUNETR(3, 4, feature_size=12, spatial_dims=2),
        "MONAI UNETR": lambda: nets.UNETR(
            3, 4, FIXED, hidden_size=96, mlp_dim=192, num_heads=4, spatial_dims=2
        ),
    }


def lively(module: nn.Module, side: int) -> nn.Module:
    """Return a network ready to export, in which deep layers matter as in a trained one.

    Batch normalization has the statistics of noise, and no weight is 0 or 1 throughout.
    """
    with torch.no_grad():
        for weights in module.parameters():
            if weights.ndim <= 1 or weights.std() == 0:
                weights.add_(0.1 * torch.randn_like(weights))
        for own in module.modules():
            if isinstance(own, nn.modules.batchnorm._BatchNorm):
                own.momentum = 1.0
        module.train()(torch.randn(2, 3, side, side))
    return module.eval()


class Logits(nn.Module):
    """A network without what it gives beside its logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the first output."""
        found = self.network(image)
        return found if isinstance(found, torch.Tensor) else found[0]


def export_traced(module: nn.Module, path: Path, side: int) -> None:
    """Write a file of free height and width, by the exporter that traces."""
    free = {2: "height", 3: "width"}
    torch.onnx.export(
        *(module, (torch.rand(1, 3, *SIDES),), path),
        dynamo=False,
        opset_version=17,
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": free, "logits": free},
    )


def export_dynamo(module: nn.Module, path: Path, side: int) -> None:
    """Write a file of free height and width, by torch's newer exporter."""
    free = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    image = torch.rand(1, 3, *SIDES)
    torch.onnx.export(module, (image,), path, dynamo=True, dynamic_shapes=(free,), verbose=False)


def export_fixed(module: nn.Module, path: Path, side: int) -> None:
    """Write a file for one size, by the exporter that traces."""
    torch.onnx.export(
        *(module, (torch.rand(1, 3, side, side),), path),
        dynamo=False,
        opset_version=17,
        input_names=["image"],
        output_names=["logits"],
    )


EXPORTERS: dict[str, Exporter] = {
    "traced": export_traced,
    "dynamo": export_dynamo,
    "fixed": export_fixed,
}


def row_of(
    make: Callable[[], nn.Module], exporter: str, folder: Path, side: int = FIXED
) -> dict[str, Any]:
    """Return a network's verdict and what running it shows."""
    torch.manual_seed(0)
    path = folder / "network.onnx"
    try:
        EXPORTERS[exporter](Logits(lively(make(), side)), path, side)
    except Exception as error:  # exporters raise what they like
        first = str(error).strip().splitlines() or [""]
        return {"exporter": exporter, "export": f"{type(error).__name__}: {first[0][:300]}"}
    started = time.perf_counter()
    verdict = graph_verdict(open_models(path).resolved())
    row: dict[str, Any] = {
        "exporter": exporter,
        "nodes": len(load(path, load_external_data=False).graph.node),
        "seconds": round(time.perf_counter() - started, 2),
        "obstacle": verdict.obstacle,
        "reason": verdict.reason,
        "stride": verdict.stride,
        "radius": verdict.radius,
        "reductions": verdict.reductions,
        "levels": verdict.levels,
    }
    check = checked_at_fixed_size if exporter == "fixed" else checked
    try:
        return row | check(path, verdict) | with_statistics(path, verdict, folder)
    except Exception as error:  # what onnxruntime raises where a network takes no such size
        return row | {"run": f"{type(error).__name__}: {str(error)[:300]}"}


def with_statistics(path: Path, verdict: GraphVerdict, folder: Path) -> dict[str, Any]:
    """Return what tiles show that are given the statistics of the whole image, if it has any."""
    if not verdict.reductions or verdict.obstacle != "global":
        return {}
    model = load(path, load_external_data=False)
    graph = LoadedGraph(path, model.graph.output[0].name)
    _, trace = graph.run(image_of((1, 3, FIXED * 9, FIXED * 9), 2, 3))
    written = cut(path, trace.reductions, folder)
    return checked_with_statistics(*written, verdict) if written else {}


def main() -> None:
    """Print one line for each network, and write them all to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="networks whose name holds this")
    parser.add_argument("--exporter", choices=EXPORTERS, default="traced")
    parser.add_argument("--json", type=Path, help="file to write, or to add to")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # exporters tell of each other, and of traced sizes
    logging.disable(logging.WARNING)
    known = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    for name, make in (smp_networks() | monai_networks()).items():
        label = name if options.exporter == "traced" else f"{name} ({options.exporter})"
        if options.only not in name or label in known:
            continue
        with tempfile.TemporaryDirectory() as folder:
            side = FIXED_OF.get(name, FIXED)
            known[label] = row_of(make, options.exporter, Path(folder), side)
        print(label, known[label], flush=True)
        if options.json:
            options.json.write_text(json.dumps(known, indent=1))


if __name__ == "__main__":
    main()
