"""The run: tiles are read, computed, blended and written."""
