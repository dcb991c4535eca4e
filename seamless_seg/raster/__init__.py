"""Rasters in and out, through rasterio."""
