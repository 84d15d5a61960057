"""Measures eval sets: intervals of the audit, drift alarms, the category gap, near duplicates.

Usage: scripts/bench evals PART --data DIR [--repeats N], with PART one of audit, drift, gap, duplicates.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import evals_audit
import evals_drift
import evals_duplicates

PARTS = {
    "audit": lambda options: evals_audit.report(options.data, options.repeats),
    "drift": lambda options: evals_drift.report_drift(options.repeats),
    "gap": lambda options: evals_drift.report_gap(options.repeats),
    "duplicates": lambda options: evals_duplicates.report(options.data),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="the folder of labelled sets"
    )
    parser.add_argument("--repeats", type=int, default=2_000)
    options = parser.parse_args()
    if options.part in ("audit", "duplicates") and not options.data.is_dir():
        print(f"skipped: there is no folder {options.data}; give --data")
        return
    PARTS[options.part](options)


if __name__ == "__main__":
    main()
