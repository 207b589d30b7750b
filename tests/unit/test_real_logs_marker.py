"""A test on the real logs may be skipped only where they are absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import shared_logs
from tests.support.checkout import CHECKOUT

pytest_plugins = ["pytester"]

SUITE = """
import pytest

@pytest.mark.data
def test_skips():
    pytest.skip("no")

@pytest.mark.data
@pytest.mark.skipif(True, reason="never")
def test_is_skipped():
    pass

@pytest.mark.data
@pytest.mark.xfail(reason="known", strict=True)
def test_fails_as_known():
    assert False

def test_without_logs_skips():
    pytest.skip("no")
"""


@pytest.mark.parametrize(("present", "refused", "skipped"), [(True, 1, 1), (False, 0, 3)])
def test_a_skip_beside_the_logs_is_a_failure(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, present: bool, refused: int, skipped: int
) -> None:
    hook = (CHECKOUT / "tests" / "conftest.py").read_text(encoding="utf-8").replace("pytest_plugins = ", "_unused = ")
    pytester.makeconftest(hook)
    pytester.makeini("[pytest]\nmarkers = data: real logs\n")
    pytester.makepyfile(SUITE)
    monkeypatch.setattr(shared_logs, "present", lambda: present)
    ended = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    # a skip inside the test fails it, one before it is an error of its setup
    ended.assert_outcomes(failed=refused, errors=refused, skipped=skipped, xfailed=1)


def test_the_logs_stand_beside_the_checkout() -> None:
    assert CHECKOUT.parent / "shared" / "data" == shared_logs.FOLDER


@pytest.mark.data
def test_a_real_log_is_a_file() -> None:
    assert shared_logs.real_log("cdnow").suffix == ".parquet"


def test_a_log_that_should_be_there_and_is_not_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shared_logs, "FOLDER", tmp_path)
    with pytest.raises(pytest.fail.Exception, match="missing in the folder"):
        shared_logs.real_log("cdnow")
