"""What a run says of how exact its tiles are."""

WHOLE = "running the model on the whole image at once"
PROVEN = f"tiling exact, proven from the graph: identical to {WHOLE}"
MEASURED = f"tiling exact as far as measured: identical to {WHOLE}"
ROUNDED = "tiling exact within rounding"
