"""Runs one target under atheris: ``python -m tests.fuzz.runner TARGET --runs N --seed S --folder F``.

Writes progress and outcomes to ``F/report.json``. A failure ends with the exception and leaves ``F/trail``, the inputs
that led to it; ``--trail F/trail`` feeds them again, without a fuzzer.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

REPORT_EVERY: Final = 1_000
MOST_BYTES: Final = 4_096
SLOW_S: Final = 25
"""An input that takes longer is a failure too."""
INSTRUMENTED: Final = (
    *("streams.codec", "streams.raw_records", "streams.dead_letters", "streams.settings"),
    *("streams.core.cleaning", "streams.core.fields", "streams.core.instants", "streams.core.actions"),
    *("streams.core.engine", "streams.core.profile", "streams.core.fold", "streams.core.purchases"),
    *("streams.core.remembering", "streams.core.stored_profile", "streams.core.policy", "streams.model_records"),
    *("streams.live.inputs", "streams.live.partition_record", "streams.live.fence", "models"),
)
"""Where new paths are looked for; what only computes (features, reasons, bodies) would just be slower."""


class Campaign:
    """A number of runs of one target."""

    def __init__(self, target: Any, runs: int, folder: Path, mutate: Callable[[bytes, int], bytes]) -> None:
        self.target = target
        self._runs = runs
        self._folder = folder
        self._mutate = mutate
        self._done = 0
        self._began = time.monotonic()

    def one(self, data: bytes) -> None:
        """One input; the last one ends the process, as libFuzzer returns to nobody."""
        if self._done >= self._runs:
            return
        try:
            self.target.run(data)
            self._done += 1
            if self._done == self._runs:
                self.target.finish()
        except BaseException as error:
            self._report(f"{type(error).__name__}: {error}")
            self.keep()
            raise
        if self._done % REPORT_EVERY == 0 or self._done == self._runs:
            self._report(None)
        if self._done == self._runs:
            sys.stdout.flush()
            os._exit(0)

    def mutated(self, data: bytes, most: int, seed: int) -> bytes:
        """What libFuzzer tries next: mostly well formed, else as it likes."""
        choose = random.Random(seed)
        if choose.random() < 0.85:
            changed: bytes | None = self.target.mutate(data, choose)
            if changed is not None and len(changed) <= most:
                return changed
        return self._mutate(data, most)

    def keep(self) -> None:
        """The inputs that led here, to be fed again."""
        trail = "".join(f"{data.hex()}\n" for data in self.target.trail)
        (self._folder / "trail").write_text(trail, encoding="ascii")

    def _report(self, failure: str | None) -> None:
        body = {
            "target": self.target.name,
            "runs": self._done,
            "seconds": round(time.monotonic() - self._began, 1),
            "outcomes": dict(self.target.outcomes),
            "failure": failure,
        }
        path = self._folder / "report.json"
        scratch = path.with_suffix(".part")
        scratch.write_text(json.dumps(body), encoding="utf-8")
        scratch.replace(path)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("target")
    asked.add_argument("--runs", type=int, default=10_000)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--folder", type=Path, required=True)
    asked.add_argument("--trail", type=Path, help="feed these inputs again, without a fuzzer")
    given = asked.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.trail is not None:
        from tests.fuzz.targets import target_of

        target = target_of(given.target)
        for line in given.trail.read_text(encoding="ascii").splitlines():
            target.run(bytes.fromhex(line))
        target.finish()
        print(f"{given.target}: {dict(target.outcomes)}")
        return
    _fuzz(given.target, given.runs, given.seed, given.folder)


def _fuzz(name: str, runs: int, seed: int, folder: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=list(INSTRUMENTED)):
        from tests.fuzz.targets import target_of

        target = target_of(name)
    corpus = folder / "seeds"
    corpus.mkdir(exist_ok=True)
    for number, data in enumerate(target.seeds()):
        (corpus / f"{number:03d}").write_bytes(data)
    words = folder / "words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.dictionary), encoding="utf-8")
    campaign = Campaign(target, runs, folder, _mutate)
    # More runs than asked for: the seeds count as runs of ours and not of libFuzzer's.
    options = [f"-runs={2 * runs + 1_000}", f"-seed={seed}", f"-max_len={MOST_BYTES}"]
    options += [f"-dict={words}"] if target.dictionary else []
    options += [f"-timeout={SLOW_S}", "-rss_limit_mb=2048", "-verbosity=0", "-print_final_stats=0", "-len_control=0"]
    options += [f"-artifact_prefix={folder}/"]
    atheris.Setup([name, *options, str(corpus)], campaign.one, custom_mutator=campaign.mutated)
    atheris.Fuzz()


def _mutate(data: bytes, most: int) -> bytes:
    """libFuzzer's own. ``atheris.Mutate`` of 3.0 looks for it in the wrong module; the right one may load only now."""
    changed: bytes = importlib.import_module("atheris.core_with_libfuzzer").Mutate(data, most)
    return changed


def _escaped(word: str) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in word.encode())


if __name__ == "__main__":
    main()
