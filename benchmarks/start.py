"""How soon the first picture is there, and how soon Ctrl-C ends it: `python benchmarks/start.py --json OUT`.

Starts `mien run --source demo` on a free port, some times in a row, and measures in seconds of wall clock from the
start of the process: until the address is printed; until the first picture is delivered, by the page's own figures
(`/api/sessions/main`) from then on; and, after some more pictures, from Ctrl-C until the process has ended. The
start before the first one counted is a warm-up: it fills caches if they are cold.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from machine import machine

ADDRESS = re.compile(r"Watch at (http://\S+/)")
COMMAND = [sys.executable, "-c", "from mien.cli.main import run_app; run_app()", "run"]
PATIENCE_S = 120.0
POLL_S = 0.02
GOALS = {"first_picture_s": 5.0, "end_s": 2.0}


def one_start(arguments: list[str], watched_s: float) -> dict[str, float]:
    """One run. Raises `RuntimeError` with what the command said when it ends by itself or shows no picture."""
    began = time.monotonic()
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )
    watchdog = threading.Timer(PATIENCE_S, process.kill)
    watchdog.start()
    try:
        said: list[str] = []
        found = None
        for line in process.stdout or ():
            said.append(line)
            if found := ADDRESS.search(line):
                break
        if found is None:
            raise RuntimeError("".join(said))
        address_s = time.monotonic() - began
        while not told(found[1])["frames"]:
            time.sleep(POLL_S)
        first_picture_s = time.monotonic() - began
        time.sleep(watched_s)
        asked = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait()
        return {
            "address_s": address_s,
            "first_picture_s": first_picture_s,
            "end_s": time.monotonic() - asked,
        }
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.kill()
        process.communicate()


def told(address: str) -> dict[str, Any]:
    """The main session in figures."""
    with urllib.request.urlopen(f"{address}api/sessions/main", timeout=10) as answer:  # noqa: S310 - our own
        figures: dict[str, Any] = json.load(answer)
        return figures


def summary(runs: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Median and worst of each figure."""
    return {
        name: {
            "median": round(statistics.median(run[name] for run in runs), 2),
            "worst": round(max(run[name] for run in runs), 2),
        }
        for name in runs[0]
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--watched-s", type=float, default=2.0, help="from the first picture to Ctrl-C")
    parser.add_argument("--json", type=Path, metavar="OUT")
    options = parser.parse_args()

    arguments = ["--source", "demo", "--port", "0"]
    one_start(arguments, 0.0)
    runs = [one_start(arguments, options.watched_s) for _ in range(options.runs)]
    figures = summary(runs)

    table = Table(
        "s", "median", "worst", "goal", title=f"{options.runs} warm starts of `mien run --source demo`"
    )
    for name, both in figures.items():
        goal = GOALS.get(name)
        table.add_row(name, f"{both['median']:.2f}", f"{both['worst']:.2f}", f"{goal:.0f}" if goal else "")
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), **figures, "runs": runs}, indent=2) + "\n")


if __name__ == "__main__":
    main()
