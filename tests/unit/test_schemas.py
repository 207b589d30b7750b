"""The published schemas and examples are those of the code."""

from __future__ import annotations

import json

import msgspec
import pytest

from docs.make_messages import SCHEMAS, schemas
from streams.core.cleaning import CleaningPolicy, clean
from streams.core.events import INPUT_TOPICS, Event, Position
from streams.core.input_messages import INPUT_BODIES
from streams.core.messages import BODIES


@pytest.mark.parametrize("name", sorted(schemas()))
def test_a_schema_file_is_what_the_code_says(name: str) -> None:
    assert (SCHEMAS / name).read_text(encoding="utf-8") == schemas()[name], "write it anew with: make docs"


@pytest.mark.parametrize("topic", [*BODIES, *INPUT_BODIES])
def test_the_example_of_a_topic_fits_its_schema(topic: str) -> None:
    body = json.loads((SCHEMAS / f"{topic}.example.json").read_text(encoding="utf-8"))
    msgspec.convert(body, (BODIES | INPUT_BODIES)[topic])


@pytest.mark.parametrize("topic", INPUT_TOPICS)
def test_the_example_of_an_input_is_accepted(topic: str) -> None:
    body = json.loads((SCHEMAS / f"{topic}.example.json").read_text(encoding="utf-8"))
    cleaned = clean(
        body,
        INPUT_TOPICS.index(topic),
        position=Position(topic, 0, 0),
        record_id="x",
        published_ms=4_000_000_000_000,
        policy=CleaningPolicy(),
    )
    assert isinstance(cleaned, Event)
