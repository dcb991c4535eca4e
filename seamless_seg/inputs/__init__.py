"""Input files: what they must be before they are read, and that they stay as they are."""
