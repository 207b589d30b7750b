"""Totals.java made ready: its jars fetched with Maven, compiled with javac, kept in the cache folder."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deploy.kafka.run import java, maven
from streams.core.errors import BrokerError
from tests.bench.benchmark import Skipped
from tests.bench.rivals.venvs import kept

HERE: Final = Path(__file__).resolve().parent / "kafka_streams"
HEAP: Final = "1g"


def kafka_streams_command(heard: Callable[[str], None]) -> list[str]:
    """What runs it; an assignment's path follows.

    Raises
    ------
    Skipped
        Java, its compiler or Maven is missing, or the jars cannot be resolved.
    """
    try:
        program, fetcher = java(), maven()
    except BrokerError as error:
        raise Skipped(str(error)) from error
    compiler = shutil.which("javac", path=str(Path(program).parent)) or shutil.which("javac")
    if compiler is None:
        raise Skipped("Java's compiler is not installed (on Debian: apt-get install openjdk-17-jdk-headless).")
    pom, source = HERE / "pom.xml", HERE / "Totals.java"

    def make(folder: Path) -> None:
        heard(f"fetching Kafka Streams into {folder}, once (100 MB)")
        shutil.rmtree(folder, ignore_errors=True)
        fetch = [fetcher, "--batch-mode", "--quiet", "--file", str(pom), "dependency:copy-dependencies"]
        _ran([*fetch, f"-DoutputDirectory={folder / 'jars'}", "-DincludeScope=runtime"])
        _ran([compiler, "-d", str(folder / "classes"), "-cp", f"{folder / 'jars'}/*", str(source)])

    folder = kept("kafka-streams", pom.read_bytes() + source.read_bytes(), make)
    logging = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return [program, f"-Xmx{HEAP}", logging, "-cp", f"{folder / 'classes'}:{folder / 'jars'}/*", "Totals"]


def _ran(command: list[str]) -> None:
    run = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if run.returncode:
        lines = (run.stdout + run.stderr).strip().splitlines()
        said = next((line for line in lines if "ERROR" in line or "error:" in line), lines[-1] if lines else "")
        raise Skipped(f"Kafka Streams cannot be built here: {said}")
