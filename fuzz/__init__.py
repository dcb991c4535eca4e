"""Attacks with damaged files and full disks, by seeds: each must end well or with a clear error.

    python -m fuzz rasters --seed 0 --count 300
    python -m fuzz models areas sidecars caches
    python -m fuzz rasters --only 17 --keep faults    # one case, whose files are kept
    python -m fuzz full_disks --sizes 20

Without the name of an attack, all of them are done but for ``full_disks``. Each case is made from
the seed and its number: a file that is valid, then damaged. First come the files of ``corpus/``,
which have failed once. A call with such a file either gives what rasterio and numpy give for it, or
raises a ``SeamlessError`` of one line that names the file. Anything else is a fault: another
exception, a crash, more than ``SECONDS`` or ``BYTES`` of ``fuzz.children``, files that are left
over, and lines on stderr. Each fault is printed in a line, and the exit status is 1 then.
"""
