"""Attacks with damaged files and full disks, by seeds: each must end with a clear error."""
