"""Every decision before the first tile is read."""
