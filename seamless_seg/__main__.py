"""``python -m seamless_seg`` is the command ``seamless-seg``."""

from seamless_seg_cli import main

main()
