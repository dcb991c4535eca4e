"""Rasters, models and oracles that tests are made of."""
