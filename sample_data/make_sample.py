"""Make scene.tif, labels.tif and model.onnx again, from a seed; or measure the model.

Needs numpy, scipy and rasterio; the model also torch and onnx; `--evaluate` also onnxruntime and
seamless_seg. None of it is needed to use the files.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from canvas import CLASS_NAMES
from landscape import Landscape, make_landscape
from scenefile import RESOLUTION, as_filed, write_scene
from standard import Standard

FOLDER = Path(__file__).parent
SCENE_SIZE = 2048
TRAINING_SIZE = 1536
# Seeds of the scenes that measure the model; training uses others, far from these.
UNSEEN_SEEDS = range(7, 11)

# What the model says of itself, under the names that Deepness reads.
SETTINGS = {
    "model_type": "Segmentor",
    "class_names": dict(enumerate(CLASS_NAMES)),
    "resolution": round(RESOLUTION * 100),
    "tile_size": 512,
    "tiles_overlap": 25,
}


def report(line: str) -> None:
    """Show progress."""
    print(line, file=sys.stderr, flush=True)


def filed_landscape(size: int, seed: int) -> Landscape:
    """Return a landscape as it comes back from a file."""
    return as_filed(make_landscape(size, seed))


def training_scenes(seed: int, count: int) -> list[Landscape]:
    """Return scenes to train on; their seeds are far from those of the scenes kept unseen."""
    scenes = []
    for number in range(count):
        scenes.append(filed_landscape(TRAINING_SIZE, 1000 * (seed + 1) + number))
        report(f"training scene {number + 1}/{count}")
    return scenes


def make_scene(seed: int) -> None:
    """Write scene.tif and labels.tif."""
    scene = filed_landscape(SCENE_SIZE, seed)
    write_scene(scene, FOLDER / "scene.tif", FOLDER / "labels.tif")


def make_model(options: argparse.Namespace) -> None:
    """Train on landscapes other than the shown one and write model.onnx."""
    import torch

    from export import write_onnx
    from training import batches, train
    from unet import UNet

    scenes = training_scenes(options.seed, options.scenes)
    standard = Standard.of(scenes)
    torch.manual_seed(options.seed)
    net = UNet(len(CLASS_NAMES), options.squeeze_excite)

    def keep() -> None:
        if options.checkpoint:
            torch.save(net.state_dict(), options.checkpoint)

    data = batches(scenes, standard, options.steps, np.random.default_rng(options.seed))
    train(net, data, options.steps, report, keep)
    keep()
    write_onnx(net, options.model, SETTINGS | standard.metadata())


def measure(path: Path) -> None:
    """Print what README.md says of the model."""
    from evaluation import evaluate, reach

    scenes = [filed_landscape(SCENE_SIZE, seed) for seed in UNSEEN_SEEDS]
    curve, radius = reach(path, scenes)
    print(f"receptive radius {radius} px; change of the logits by distance from a cut:")
    print("  ".join(f"{distance} px {change:.3f}" for distance, change in curve.items()))
    print(evaluate(path, scenes))


def parse() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7, help="of the model")
    parser.add_argument("--scene-seed", type=int, default=12, help="of the scene shown")
    parser.add_argument("--steps", type=int, default=2400, help="batches to train for")
    parser.add_argument("--scenes", type=int, default=24, help="landscapes to train on")
    parser.add_argument("--model", type=Path, default=FOLDER / "model.onnx")
    parser.add_argument("--checkpoint", type=Path, help="where to keep the torch weights")
    parser.add_argument("--squeeze-excite", action="store_true", help="see `unet.Gate`")
    parser.add_argument("--scene-only", action="store_true", help="leave the model alone")
    parser.add_argument("--model-only", action="store_true", help="leave the scene alone")
    parser.add_argument("--evaluate", action="store_true", help="make nothing, measure the model")
    return parser.parse_args()


def main() -> None:
    """Do what the command line asks."""
    options = parse()
    if options.evaluate:
        measure(options.model)
        return
    if not options.model_only:
        make_scene(options.scene_seed)
    if not options.scene_only:
        make_model(options)


if __name__ == "__main__":
    main()
