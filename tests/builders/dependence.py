"""What each pixel of a model's output depends on, found by running it."""

from __future__ import annotations

import numpy as np

CHANGES = (-3.0, 3.0, 1000.0)
"""What is added to pixels; more than one, since a maximum or rounding hides some."""

ROUNDING = 1e-4
"""Standard deviations of the output by which tiles differ from an image for rounding alone."""


def run(session, image):
    """The model's output for an image of shape (channels, height, width)."""
    (given,) = session.get_inputs()
    return session.run(None, {given.name: image[None].astype(np.float32)})[0][0]


def pixels(random, channels, height, width):
    return random.uniform(0, 1, (channels, height, width)).astype(np.float32)


def reaches(session, image, axis, cut):
    """Pixels after, and before, a cut that differ in tiles which end there, along axis 0 or 1.

    Either because they depend on what lies beyond the cut, which is found by changing that, or
    because the model fills in something else at the border of a tile.
    """
    plain = run(session, image)
    found = []
    for side, beyond in enumerate((slice(None, cut), slice(cut, None))):
        index = [slice(None)] * 3
        index[axis + 1] = beyond
        differs = np.zeros(image.shape[axis + 1], bool)
        for change in CHANGES:
            other = image.copy()
            other[tuple(index)] += change
            differs |= (run(session, other) != plain).any(axis=(0, 2 - axis))
        kept = [slice(None)] * 3
        kept[axis + 1] = slice(cut, None) if side == 0 else slice(None, cut)
        tile = run(session, image[tuple(kept)])
        error = np.abs(tile - plain[tuple(kept)]).max(axis=(0, 2 - axis))
        differs[kept[axis + 1]] |= error > ROUNDING * max(float(plain.std()), 1e-6)
        places = np.flatnonzero(differs[kept[axis + 1]])
        if not len(places):
            found.append(0)
        else:
            found.append(int(places[-1]) + 1 if side == 0 else cut - int(places[0]))
    return tuple(found)


def worst_in_tiles(session, image, bound, tile):
    """Largest difference of tiles from the whole image, inside of what a bound leaves out.

    In units of the standard deviation of the output; tiles lie at each multiple of the stride.
    """
    whole = run(session, image)
    worst = 0.0
    starts = [range(0, image.shape[1 + n] - tile[n] + 1, bound.stride[n]) for n in (0, 1)]
    for row, col in (
        (starts[0][-1], starts[1][0]),
        (starts[0][1], starts[1][1]),
        (0, starts[1][-1]),
    ):
        part = run(session, image[:, row : row + tile[0], col : col + tile[1]])
        before = [0 if start == 0 else bound.before[n] for n, start in enumerate((row, col))]
        ends = [start + tile[n] for n, start in enumerate((row, col))]
        after = [0 if end == image.shape[1 + n] else bound.after[n] for n, end in enumerate(ends)]
        inner = np.s_[:, before[0] : tile[0] - after[0], before[1] : tile[1] - after[1]]
        own = whole[:, row : ends[0], col : ends[1]]
        if own[inner].size:
            worst = max(worst, float(np.abs(part[inner] - own[inner]).max()))
    return worst / max(float(whole.std()), 1e-6)
