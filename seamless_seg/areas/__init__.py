"""Polygons that choose pixels: read, reprojected and rasterized."""
