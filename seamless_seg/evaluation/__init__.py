"""The check: tiled logits against the model run without tiles, and how visible seams are."""
