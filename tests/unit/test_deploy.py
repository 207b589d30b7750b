"""What stands under deploy/ names only what the code has."""

from __future__ import annotations

import re

import pytest

from streams.metrics.catalogue import CATALOGUE as METRICS
from streams.metrics.catalogue import HistogramMetric
from streams.settings import load_settings
from tests.support.checkout import CHECKOUT

SHOWN = {
    name + suffix
    for name, metric in METRICS.items()
    for suffix in (("_bucket", "_count", "_sum") if isinstance(metric, HistogramMetric) else ("",))
}


def text(name: str) -> str:
    return (CHECKOUT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["deploy/prometheus-rules.yml", "deploy/grafana/scorecard.json"])
def test_every_metric_in_rules_and_dashboards_is_in_the_catalogue(name: str) -> None:
    named = set(re.findall(r"\bebbtide_[a-z0-9_]+", text(name)))
    assert named
    assert named <= SHOWN


@pytest.mark.parametrize("name", ["docker-compose.yml", "deploy/Dockerfile"])
def test_every_variable_is_a_setting(name: str) -> None:
    lines = "\n".join(line for line in text(name).splitlines() if not line.startswith("#"))
    given = dict(re.findall(r"\b(EBBTIDE_[A-Z_]+)[:=]\s*(\S+)", lines))
    assert given
    load_settings(given)


def test_the_image_is_of_the_python_we_support_and_not_root() -> None:
    dockerfile = text("deploy/Dockerfile")
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"python:3.11-slim"}
    assert re.findall(r"^USER (\S+)", dockerfile, re.MULTILINE) == ["ebbtide"]


def test_the_image_gets_what_it_copies() -> None:
    copied = [
        name
        for line in re.findall(r"^COPY (?!--)(.*)$", text("deploy/Dockerfile"), re.MULTILINE)
        for name in line.split()[:-1]
    ]
    let_in = {line[1:] for line in text(".dockerignore").splitlines() if line.startswith("!")}
    assert set(copied) == let_in
    assert all((CHECKOUT / name).exists() for name in copied)


def test_what_is_open_to_the_compose_network_asks_for_the_token_that_prometheus_sends() -> None:
    compose, prometheus = text("docker-compose.yml"), text("deploy/prometheus.yml")
    token_files = re.findall(r"EBBTIDE_HTTP_TOKEN_FILE: (\S+)", compose)
    assert token_files == re.findall(r"credentials_file: (\S+)", prometheus) == ["/run/secrets/http_token"]
    assert compose.count("secrets: [http_token]") == 2  # Ebbtide's services, and Prometheus


def test_compose_publishes_to_loopback_only() -> None:
    published = re.findall(r"^\s+- (\S*?)\d+:\d+$", text("docker-compose.yml"), re.MULTILINE)
    assert published == ["127.0.0.1:", "127.0.0.1:"]


def test_compose_and_make_kafka_run_the_same_kafka() -> None:
    in_compose = re.findall(r"image: apache/kafka:(\S+)", text("docker-compose.yml"))
    assert re.findall(r"<kafka.version>(.*?)</kafka.version>", text("deploy/kafka/pom.xml")) == in_compose


def test_prometheus_scrapes_the_workers_and_the_trainer_of_compose() -> None:
    targets = re.findall(r"([\w-]+):6066", text("deploy/prometheus.yml"))
    assert targets == re.findall(
        r"^  (worker-\d+|trainer):$", text("docker-compose.yml").partition("\nvolumes:")[0], re.MULTILINE
    )
