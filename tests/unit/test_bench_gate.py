"""The gate: every bound has its ratio, a worse one fails, and plain counting counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.codec import decode
from streams.core.events import DAY_MS
from tests.bench import gate
from tests.bench.plain import portraits, told


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    return gate.measured(tmp_path_factory.mktemp("gate"), rounds=1, events=1_000, users=20)


def test_every_bound_has_a_ratio_and_every_ratio_a_bound(found: dict[str, float]) -> None:
    assert set(found) == {bound.name for bound in gate.bounds()}


def test_every_bound_leaves_its_kind_of_slack() -> None:
    for bound in gate.bounds():
        assert bound.at_most / bound.measured == pytest.approx(gate.SLACK[bound.kind], rel=0.02)


def test_sizes_are_the_same_in_every_run(found: dict[str, float], tmp_path: Path) -> None:
    again = gate.measured(tmp_path, rounds=1, events=1_000, users=20)
    sizes = [bound.name for bound in gate.bounds() if bound.kind == "size"]
    assert {name: again[name] for name in sizes} == {name: found[name] for name in sizes}


def judged(monkeypatch: pytest.MonkeyPatch, worse: float) -> int:
    ratios = {bound.name: bound.at_most * worse for bound in gate.bounds()}
    monkeypatch.setattr(gate, "measured", lambda folder: ratios)
    return gate.main([])


def test_ratios_at_their_bounds_pass(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert judged(monkeypatch, 1.0) == 0
    assert "FAIL" not in capsys.readouterr().out


def test_a_ratio_beyond_its_bound_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert judged(monkeypatch, 1.01) == 1
    assert "FAIL" in capsys.readouterr().out


def test_proposed_bounds_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "bounds.toml"
    path.write_text(gate.proposed({bound.name: 2.0 for bound in gate.bounds()}, gate.bounds()), encoding="utf-8")
    assert {(bound.measured, bound.at_most) for bound in gate.bounds(path)} == {(2.0, 3.0), (2.0, 2.1)}


LINES = [
    b'{"event_type":"click","user_id":"ann","ts":0}',
    b'{"event_type":"purchase","user_id":"ann","ts":%d,"order_id":"o1","price":2.5,"quantity":2}' % (40 * DAY_MS),
    b'{"event_type":"click","user_id":"bob","ts":%d}' % (41 * DAY_MS),
]


def test_plain_counting_sums_up_a_user() -> None:
    ann = portraits(LINES)["ann"]
    assert (ann["first"], ann["last"], ann["amount"], len(ann["orders"])) == (0, 40 * DAY_MS, 5.0, 1)


def test_plain_counting_tells_the_last_month_apart() -> None:
    windows = {body["user_id"]: body["window"] for body in map(decode, told(portraits(LINES)))}
    assert windows == {"ann": {"purchase": 1, "amount": 5.0}, "bob": {"click": 1}}
