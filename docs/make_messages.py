"""Writes docs/messages.md and docs/schemas/ from the code and a backfill of the simulated shop: ``make docs``.

The examples are real messages of that run. Tests hold the schemas to the code and the examples to the schemas.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from models.scorecards import scorecard_records
from streams import codec
from streams.core.events import INPUT_TOPICS
from streams.core.input_messages import INPUT_BODIES, input_schema_of
from streams.core.messages import BODIES, schema_of
from streams.demo.shop import Shop
from streams.demo.shop_log import ShopLog
from streams.policies.reader import read_policy
from streams.replay.backfill import run_backfill
from streams.replay.offline import RunOptions

HERE = Path(__file__).resolve().parent
SCHEMAS = HERE / "schemas"
PAGE = HERE / "messages.md"
MOST_COLUMNS = 150
_FILES = {"user-profiles": "profiles.jsonl"}


def schema_text(schema: dict[str, Any]) -> str:
    """A schema as it stands in its file."""
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2) + "\n"


def schemas() -> dict[str, str]:
    """File name -> content."""
    found = {f"{topic}.schema.json": schema_text(input_schema_of(topic)) for topic in INPUT_BODIES}
    return found | {f"{topic}.schema.json": schema_text(schema_of(topic)) for topic in BODIES}


def _telling(topic: str, bodies: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The message that shows most: a customer who slips away, with reasons."""
    candidates = list(bodies)
    for body in candidates[len(candidates) // 2 :]:
        if topic == "segment-changes" and body["current"] == "at_risk" and body["previous"] == "loyal":
            return body
        if topic == "churn-risk" and body["band"] == "high" and body["scheduled"]:
            return body
        if topic == "customer-value" and body["scheduled"] and not body["cold_start"]:
            return body
        if topic == "user-profiles" and body["risk"] and len(body["interests"]) > 2 and body["totals"]["refunded"]:
            return body
        if topic == "training-examples" and body["features"] and body["probability"]:
            return body
    return candidates[len(candidates) // 2]


def examples() -> dict[str, dict[str, Any]]:
    """One real message per topic, from a run over the simulated shop."""
    shop = Shop()
    found: dict[str, dict[str, Any]] = {}
    shown = {"clicks": ("action", "cart"), "searches": ("channel", "app"), "purchases": ("currency", "EUR")}
    for arrival in shop.arrivals():
        topic = INPUT_TOPICS[arrival.kind]
        field, value = shown[topic]
        if topic not in found and isinstance(arrival.raw, dict) and arrival.raw.get(field) == value:
            found[topic] = arrival.raw
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        run_backfill(
            [ShopLog(shop)], out, RunOptions(horizon_days=14, policy=read_policy(None)), started_ms=4_000_000_000_000
        )
        for topic in BODIES:
            if topic == "model-scorecard":
                found[topic] = _scorecard(out)
                continue
            with (out / _FILES.get(topic, f"{topic}.jsonl")).open("rb") as lines:
                found[topic] = _telling(topic, map(codec.decode, lines))
    return found


def _scorecard(out: Path) -> dict[str, Any]:
    """The last scorecard of churn, with one group of each kind, and one bin of each: they all look alike."""
    cut, run = (codec.decode((out / name).read_bytes()) for name in ("model.json", "scorecard.json"))
    card = scorecard_records(cut, lambda head: None)[0] | {"observations": run["heads"]["churn"]["observations"]}
    for by in ("by_stage", "by_tier", "by_cold_start"):
        name, group = next(reversed(card[by].items()))
        card[by] = {name: {**group, "window": {**group["window"], "bins": group["window"]["bins"][:1]}}}
    return card


def _laid_out(body: dict[str, Any]) -> str:
    """JSON for people: what nests no further stands on one line if it fits."""

    def joined(found: re.Match[str]) -> str:
        line = " ".join(found[0].split())
        return line if len(line) <= MOST_COLUMNS else found[0]

    return re.sub(r"\{[^{}\[\]]*\}", joined, json.dumps(body, indent=2, ensure_ascii=False))


def page(found: dict[str, dict[str, Any]]) -> str:
    """docs/messages.md."""
    parts = [
        "# Messages",
        "",
        f"Written by `make docs` (Ebbtide {version('ebbtide')}); do not edit it. One JSON Schema and one real example",
        "per topic; the examples are of the simulated shop. Outputs are CloudEvents 1.0 in binary mode: `ce_id`,",
        "`ce_type`, `ce_source` and `ce_time` are Kafka headers, the value is the JSON body. A scorecard is none; one",
        "group of each kind is shown of it, with one bin each.",
    ]
    for topic, body in found.items():
        struct = INPUT_BODIES.get(topic) or BODIES[topic]
        meaning = (struct.__doc__ or "").strip().replace("``", "`").removeprefix(f"Topic `{topic}`").lstrip(" .")
        meaning = meaning[:1].upper() + meaning[1:] + " " if meaning else ""
        parts += [
            "",
            f"## {topic}",
            "",
            f"{meaning}Schema: [{topic}.schema.json](schemas/{topic}.schema.json)",
            "",
            "```json",
            _laid_out(body) if topic == "model-scorecard" else json.dumps(body, indent=2, ensure_ascii=False),
            "```",
        ]
    return "\n".join(parts) + "\n"


def main() -> None:
    """Write everything anew."""
    SCHEMAS.mkdir(exist_ok=True)
    for name, text in schemas().items():
        (SCHEMAS / name).write_text(text, encoding="utf-8")
    found = examples()
    for topic, body in found.items():
        (SCHEMAS / f"{topic}.example.json").write_text(
            json.dumps(body, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    PAGE.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
