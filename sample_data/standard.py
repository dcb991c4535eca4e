"""How pixels are scaled for the network."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from landscape import Landscape


class Standard(NamedTuple):
    """Mean and deviation per band of pixels divided by 255."""

    mean: list[float]
    std: list[float]

    @classmethod
    def of(cls, scenes: list[Landscape]) -> "Standard":
        """Measure the scenes; three decimals are plenty."""
        pixels = np.concatenate([scene.image.reshape(-1, 3)[::97] for scene in scenes]) / 255
        return cls(pixels.mean(0).round(3).tolist(), pixels.std(0).round(3).tolist())

    def metadata(self) -> dict[str, list[float]]:
        """Return it under the names that Deepness reads."""
        return {"standardization_mean": self.mean, "standardization_std": self.std}

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (..., 3) uint8 pixels as the network wants them."""
        standardized = (image / np.float32(255) - np.array(self.mean)) / np.array(self.std)
        return standardized.astype(np.float32)
