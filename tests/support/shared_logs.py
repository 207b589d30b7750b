"""The real event logs beside the checkout: never copied into it, skipped where they are absent."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data"


def present() -> bool:
    """Whether the folder with the real logs stands beside this checkout."""
    return FOLDER.is_dir()


def real_log(name: str) -> Path:
    """Path of a real log, for example ``real_log("cdnow")``; skips the test where the folder is absent.

    A test that calls it carries ``@pytest.mark.data``, so that a skip is a failure where the folder is there.
    """
    if not present():
        pytest.skip(f"the real event logs are not beside this checkout ({name} is needed)")
    path = FOLDER / f"{name}.parquet"
    if not path.is_file():
        pytest.fail(f"{path.name} is missing in the folder of real logs")
    return path
