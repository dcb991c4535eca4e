"""Rasters of classes in memory, as something to read from and to write to."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st


class Whole:
    """An array as a source, and another that takes windows, each pixel once."""

    def __init__(self, pixels):
        self.pixels = pixels
        self.size = pixels.shape
        self.written = np.zeros_like(pixels)
        self._is_written = np.zeros(pixels.shape, bool)

    def read(self, rows, cols):
        assert 0 <= rows.start < rows.stop <= self.size[0]
        assert 0 <= cols.start < cols.stop <= self.size[1]
        view = self.pixels[rows, cols]
        view.flags.writeable = False
        return view

    def write(self, rows, cols, window):
        assert not self._is_written[rows, cols].any()
        assert window.dtype == self.pixels.dtype
        self._is_written[rows, cols] = True
        self.written[rows, cols] = window[..., 0]

    @property
    def result(self):
        assert self._is_written.all()
        return self.written


def cleaned(work, pixels, *arguments, **options):
    """What ``smooth`` or ``sieve`` writes of an array."""
    whole = Whole(pixels)
    work(whole, whole.write, *arguments, **options)
    return whole.result


@st.composite
def classes(draw, largest=24, most=5):
    """Arrays of 1 to ``most`` classes: noise, or patches with ragged borders."""
    height, width = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    patch = draw(st.sampled_from([1, 1, 2, 3, 7]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    patches = random.integers(0, draw(st.integers(1, most)), (height + 2, width + 2))
    rows, cols = np.ogrid[:height, :width]
    ragged = random.integers(0, patch, (2, height, width))
    pixels = patches[(rows + ragged[0]) // patch, (cols + ragged[1]) // patch]
    return pixels.astype(draw(st.sampled_from(["uint8", "uint16"])))
