"""Polygons of a raster of classes, traced window by window."""
