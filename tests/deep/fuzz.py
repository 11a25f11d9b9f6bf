"""Coverage-guided fuzzing of one target: `python -m tests.deep.fuzz TARGET --minutes 5`; needs `pip install atheris`.

Ends at the first input that a parser answers with anything but a `FormatError`, and leaves it as a file; such an input becomes a test.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["device_keys", "server_stub", "authenticator", "rfc8785"]):
    from tests.deep.targets import TARGETS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--findings", default=".", metavar="DIR", help="where a failing input is left")
    options = parser.parse_args()
    target = TARGETS[options.target]
    with tempfile.TemporaryDirectory(prefix="stepup-fuzz-") as folder:
        for number, seed in enumerate(target.seeds()):
            (Path(folder) / f"seed{number}").write_bytes(seed)
        flags = [
            f"-max_total_time={int(options.minutes * 60)}", "-timeout=10", "-max_len=16384", "-rss_limit_mb=1500", "-print_final_stats=1",
            f"-artifact_prefix={options.findings}/{options.target}-",
        ]  # fmt: skip
        atheris.Setup([sys.argv[0], *flags, folder], target.run)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
