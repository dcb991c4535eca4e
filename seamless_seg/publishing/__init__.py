"""Files appear under their names when they are complete and on the disk, or not at all."""
