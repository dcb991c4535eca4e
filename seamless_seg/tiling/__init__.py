"""Where tiles lie, their weights and their blending: arrays, pixels and boxes, no files."""
