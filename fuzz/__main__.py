"""``python -m fuzz``: all attacks, or those that are named."""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from random import Random
from types import ModuleType

from . import full_disks
from .calls import attack
from .children import run_cases

ATTACKS = ("rasters", "models", "areas", "sidecars", "caches")
"""Modules with ``make``, which writes a damaged file, and ``calls``, the calls with it."""

CORPUS = Path(__file__).parent / "corpus"
"""Files that have failed once, in a folder for each attack."""


def main() -> int:
    """Attack; return 1 if there was a fault."""
    if sys.argv[1:2] == ["full_disks"]:
        del sys.argv[1]
        return full_disks.main()
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("attacks", nargs="*", choices=[*ATTACKS, []], help="all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=300, help="cases of each attack")
    parser.add_argument("--only", type=int, help="number of one case; negative ones: the corpus")
    parser.add_argument("--keep", type=Path, help="folder for the files of faulty cases")
    parser.add_argument("--trace", action="store_true", help="print tracebacks, too")
    given = parser.parse_args()
    given.keep = given.keep and given.keep.resolve()
    faults = 0
    for name in given.attacks or ATTACKS:
        faults += attack_with(name, given)
    return int(faults > 0)


def attack_with(name: str, given: argparse.Namespace) -> int:
    """Do an attack with the corpus and with damaged files; return the number of faults."""
    module = importlib.import_module(f".{name}", __package__)
    corpus = sorted((CORPUS / name).glob("*"))
    numbers = [*range(-len(corpus), 0), *range(given.count)]
    if given.only is not None:
        numbers = [given.only]
    ends: Counter[str] = Counter()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        case = partial(run_case, module, corpus, given, Path(folder))
        for verdict in run_cases(numbers, case):
            ends["fault" if verdict.is_fault else verdict.end] += 1
            if verdict.is_fault:
                what = (Path(folder) / f"{verdict.number}.what").read_text(errors="replace")
                print(f"{name} --seed {given.seed} --only {verdict.number} ({what}): {verdict.end}")
                if given.trace:
                    print(verdict.trace)
                if given.keep:
                    kept = given.keep / f"{name}_{given.seed}_{verdict.number}"
                    shutil.copytree(
                        Path(folder) / str(verdict.number), kept, symlinks=True, dirs_exist_ok=True
                    )
    counts = ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
    print(f"{name}: {len(numbers)} cases in {time.monotonic() - started:.0f} s: {counts}")
    return ends["fault"]


def run_case(
    module: ModuleType, corpus: list[Path], given: argparse.Namespace, folder: Path, number: int
) -> str:
    """Run a case in a folder of its own, which stays after a fault; note beside it what it is."""
    here, log = folder / str(number), folder / f"{number}.what"
    (here / "out").mkdir(parents=True)
    log.write_text("made")
    os.chdir(here)
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    random = Random(f"{module.__name__} {given.seed} {number}")
    if number < 0:
        source = corpus[number]
        log.write_text(f"corpus {source.name}")
        path, what = module.from_corpus(source), source.name
        calls = module.calls(path, random)
    else:
        path, what = module.make(random)
        possible = module.calls(path, random)
        calls = [random.choice(possible)]
    end = ""
    for call in calls:
        log.write_text(f"{what}; {call.name}", errors="replace")
        shutil.rmtree("out")
        Path("out").mkdir()
        end = attack(call, path)
    os.chdir(folder)
    shutil.rmtree(here)
    return end


if __name__ == "__main__":
    sys.exit(main())
