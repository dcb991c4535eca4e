"""Where tiles lie, how they are weighted and blended: arrays, pixels and boxes, no files."""
