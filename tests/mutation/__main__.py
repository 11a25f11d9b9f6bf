"""`make mutants SEED=… N=…`: small defects drawn at random, and whether the tests notice them. Exit code 1 if one survives.

Works on copies of what is committed, never on the working files. See `docs/testing-the-tests.md`.
"""

from __future__ import annotations

import argparse
import difflib
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.mutation.mutants import Family, Site, sites
from tests.mutation.reach import Reach, measured

ROOT = Path(__file__).parents[2]
TARGETS = (
    "server_stub/checks", "server_stub/rules", "server_stub/dialects", "server_stub/relying_party.py", "server_stub/bundle.py",
    "server_stub/log_chain.py", "device_keys",
)  # fmt: skip
# Conditions decide verdicts; constants are three times as many, and most are names that a test of any kind meets.
SHARES: dict[Family, float] = {"condition": 0.5, "constant": 0.25, "value": 0.25}
# One test that hangs is stopped after so many seconds, and has noticed; a whole mutant after so many, and has not.
HANGING, UNFINISHED = 90, 1200
# Process groups of the tests that run now: they end with the harness, however it ends.
RUNNING: set[int] = set()


@dataclass(frozen=True)
class Mutant:
    """One module with one alteration."""

    path: str
    site: Site
    text: str
    source: str

    @property
    def altered(self) -> str:
        return self.site.applied(self.source, self.text)

    def diff(self) -> str:
        lines = (text.splitlines(keepends=True) for text in (self.source, self.altered))
        return "".join(difflib.unified_diff(*lines, self.path, self.path, n=2))


def draw(seed: str, number: int, root: Path) -> list[Mutant]:
    """So many mutants, no place twice: first the family by its share, then any place of that family."""
    by_family: dict[Family, list[tuple[str, Site, str]]] = defaultdict(list)
    for file in sorted(file for target in TARGETS for file in modules(root / target)):
        source = file.read_text()
        for site in sites(source):
            by_family[site.family].append((str(file.relative_to(root)), site, source))
    chance = random.Random(seed)
    families, shares = tuple(SHARES), tuple(SHARES.values())
    drawn = []
    while len(drawn) < number:
        places = by_family[chance.choices(families, shares)[0]]
        path, site, source = places.pop(chance.randrange(len(places)))
        drawn.append(Mutant(path, site, chance.choice(site.instead), source))
    return drawn


def modules(target: Path) -> Iterable[Path]:
    return [target] if target.suffix else target.rglob("*.py")


def copy_of(commit: str, folder: Path) -> Path:
    """The committed tree, unpacked."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def survives(mutant: Mutant, folder: Path, reach: Reach) -> str | None:
    """Run the tests against the mutant in this copy. None: some test failed. Else why it counts as a survivor."""
    (folder / mutant.path).write_text(mutant.altered)
    arguments = folder / "tests-of-the-mutant.txt"
    try:
        for tests in reach.stages(mutant.path, mutant.site.scope):
            arguments.write_text("\n".join(tests))
            outcome = run_tests(folder, [f"@{arguments}"])
            if outcome is None:
                return f"no end after {UNFINISHED} s"
            if outcome not in (
                0,
                5,
            ):  # 5: nothing selected; anything else, the mutant's import failing included, is noticed
                return None
        return "all its tests pass"
    finally:
        (folder / mutant.path).write_text(mutant.source)


def run_tests(folder: Path, arguments: list[str]) -> int | None:
    command = [
        sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:randomly", "--tb=no",
        "-o", f"faulthandler_timeout={HANGING}", "-o", "faulthandler_exit_on_timeout=true", *arguments,
    ]  # fmt: skip
    # The copy comes before the installed package; no .pyc, since a mutant may have the size and second of its original.
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "CI": "1"}
    started = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    RUNNING.add(started.pid)
    try:
        return started.wait(UNFINISHED)
    except subprocess.TimeoutExpired:
        return None
    finally:
        end(started.pid)  # servers that a test started end with it
        started.wait()
        RUNNING.discard(started.pid)


def end(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


@contextmanager
def ending(pool: ThreadPoolExecutor) -> Iterator[None]:
    """On an interrupt nothing new begins, and what runs is ended."""
    try:
        yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for group in tuple(RUNNING):
            end(group)
        raise


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument(
        "--seed", default=time.strftime("%Y-%m-%d"), help="the same seed and commit give the same mutants"
    )
    parser.add_argument("--n", type=int, default=60)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--list", action="store_true", help="show the mutants without running anything")
    options = parser.parse_args()
    os.nice(10)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    base = Path(tempfile.mkdtemp(prefix="stepup-mutants-")).resolve()
    try:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(options.workers):
            copies.put(copy_of(commit, base / str(number)))
        drawn = draw(options.seed, options.n, base / "0")
        print(f"seed {options.seed}, commit {commit[:12]}, {len(drawn)} mutants", flush=True)
        if options.list:
            print(*(mutant.diff() for mutant in drawn), sep="\n")
            return 0
        reach = measured(ROOT, commit, base / "0", options.workers)

        def tried(mutant: Mutant) -> tuple[Mutant, str | None]:
            folder = copies.get()
            try:
                return mutant, survives(mutant, folder, reach)
            finally:
                copies.put(folder)

        survivors = 0
        with ThreadPoolExecutor(options.workers) as pool, ending(pool):
            for number, trial in enumerate(as_completed([pool.submit(tried, mutant) for mutant in drawn]), 1):
                mutant, why = trial.result()
                survivors += why is not None
                fate = "noticed" if why is None else f"SURVIVED: {why}"
                print(f"{number:3} {mutant.path}:{mutant.site.line} {mutant.site.family}: {fate}", flush=True)
                if why is not None:
                    print(mutant.diff(), flush=True)
        print(f"{survivors} of {len(drawn)} survived (seed {options.seed}, commit {commit[:12]})")
        return 1 if survivors else 0
    except KeyboardInterrupt:
        return 2
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
