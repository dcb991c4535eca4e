"""Pixels and areas of classes."""
