"""The plugin template of CONTRIBUTING builds, installs and runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.unit, pytest.mark.slow]

TEMPLATE = Path(__file__).parents[2] / "docs" / "plugin-template"

RUN = """
import asyncio, sys
from world import avatar, world
from mien.clock import NS_PER_S
from mien.plugins import Registry
from mien.stage import Kind

async def main():
    registry = Registry.discover()
    assert registry.find(Kind.OUTPUT, "timings").plugin.name == "timings"
    async with world() as w:
        session = await w.engine.open_session("main")
        await session.add_output(registry.create(Kind.OUTPUT, "timings", sys.argv[1]))
        await w.clock.advance(NS_PER_S)

asyncio.run(main())
"""


def test_the_template_is_a_working_plugin(tmp_path):
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--target", site, TEMPLATE], check=True)
    path = os.pathsep.join([str(site), str(Path(__file__).parents[1])])
    csv = tmp_path / "latency.csv"
    subprocess.run([sys.executable, "-c", RUN, csv], check=True, env={**os.environ, "PYTHONPATH": path})
    lines = csv.read_text().splitlines()
    assert len(lines) >= 20
    assert all(float(line.split(",")[1]) >= 0 for line in lines)
