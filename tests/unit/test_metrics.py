"""The metric catalogue, its collectors, and the HTTP server that shows them."""

from __future__ import annotations

import http.client
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from streams.core.errors import EbbtideError, SettingsError
from streams.metrics import catalogue
from streams.metrics.catalogue import (
    CATALOGUE,
    CONSUMER_LAG,
    EVENTS,
    LATE,
    MODEL,
    PIPELINE_SECONDS,
    READY,
    STAGE_USERS,
    WATERMARK,
    CounterMetric,
    GaugeMetric,
    HistogramMetric,
    metrics_table,
)
from streams.metrics.exposition import Exposition
from streams.metrics.registry import Metrics


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


class Health:
    """Two checks a test can turn."""

    def __init__(self) -> None:
        self.alive: str | None = None
        self.ready: str | None = None


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def served(metrics: Metrics, health: Health) -> Iterator[Exposition]:
    with Exposition(metrics.registry, lambda: health.alive, lambda: health.ready) as exposition:
        yield exposition


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_every_name_begins_with_ebbtide() -> None:
    assert all(re.fullmatch(r"ebbtide_[a-z_]+", name) for name in CATALOGUE)


def test_counters_and_only_counters_end_with_total() -> None:
    assert {name for name in CATALOGUE if name.endswith("_total")} == {
        name for name, metric in CATALOGUE.items() if isinstance(metric, CounterMetric)
    }


def test_no_label_could_name_a_user() -> None:
    assert not {label for metric in CATALOGUE.values() for label in metric.labels if "user" in label or "id" in label}


def test_every_metric_of_the_module_is_in_the_catalogue_once() -> None:
    found = [value for value in vars(catalogue).values() if isinstance(value, catalogue.Metric)]
    assert sorted(metric.name for metric in found) == sorted(CATALOGUE)


def test_what_is_measured_in_seconds_says_so() -> None:
    assert all(
        name.removesuffix("_total").endswith("_seconds")
        for name, metric in CATALOGUE.items()
        if metric.unit.startswith("s ") or metric.unit == "s"
    )


def test_a_histogram_has_rising_buckets() -> None:
    for metric in CATALOGUE.values():
        if isinstance(metric, HistogramMetric):
            assert list(metric.buckets) == sorted(set(metric.buckets))


def test_the_table_has_one_row_for_each_metric() -> None:
    assert [row.split("`")[1] for row in metrics_table().splitlines()[2:]] == list(CATALOGUE)


def test_a_counter_adds_up_for_each_set_of_labels(metrics: Metrics) -> None:
    metrics.add(EVENTS, 2, "clicks", "accepted")
    metrics.add(EVENTS, 3, "clicks", "accepted")
    metrics.add(EVENTS, 1, "clicks", "rejected")
    assert metrics.value(EVENTS, "clicks", "accepted") == 5
    assert metrics.value(EVENTS, "clicks", "rejected") == 1


def test_adding_nothing_makes_no_series(metrics: Metrics) -> None:
    metrics.add(EVENTS, 0, "clicks", "accepted")
    assert metrics.value(EVENTS, "clicks", "accepted") is None


def test_a_counter_without_labels_starts_at_0(metrics: Metrics) -> None:
    assert metrics.value(LATE) == 0


def test_a_gauge_stands_where_it_was_set_last(metrics: Metrics) -> None:
    metrics.set(WATERMARK, 5, "0")
    metrics.set(WATERMARK, 3, "0")
    assert metrics.value(WATERMARK, "0") == 3


def test_a_histogram_counts_values(metrics: Metrics) -> None:
    metrics.observe(PIPELINE_SECONDS, 0.002, "engine")
    metrics.observe(PIPELINE_SECONDS, 99.0, "engine")
    assert metrics.value(PIPELINE_SECONDS, "engine") == 2


def test_a_wrong_number_of_labels_is_a_bug(metrics: Metrics) -> None:
    with pytest.raises(ValueError, match="label"):
        metrics.add(EVENTS, 1, "clicks")


def test_forgetting_a_partition_leaves_the_others(metrics: Metrics) -> None:
    metrics.set(WATERMARK, 1, "0")
    metrics.set(WATERMARK, 2, "1")
    metrics.set(STAGE_USERS, 7, "loyal", "0")
    metrics.set(CONSUMER_LAG, 9, "clicks", "0")
    metrics.forget_partition(0)
    assert metrics.value(WATERMARK, "0") is None
    assert metrics.value(STAGE_USERS, "loyal", "0") is None
    assert metrics.value(CONSUMER_LAG, "clicks", "0") is None
    assert metrics.value(WATERMARK, "1") == 2


def test_only_one_model_serves(metrics: Metrics) -> None:
    metrics.set_only(MODEL, 1, "logistic", "a")
    metrics.set_only(MODEL, 1, "logistic", "b")
    assert metrics.value(MODEL, "logistic", "a") is None
    assert metrics.value(MODEL, "logistic", "b") == 1


def test_two_workers_in_one_process_do_not_share_figures(metrics: Metrics) -> None:
    other = Metrics(CollectorRegistry())
    metrics.add(LATE, 1)
    assert other.value(LATE) == 0


def test_a_registry_takes_one_set_of_metrics(metrics: Metrics) -> None:
    with pytest.raises(ValueError, match="Duplicated"):
        Metrics(metrics.registry)


def test_metrics_are_served_in_prometheus_text(metrics: Metrics, served: Exposition) -> None:
    metrics.add(EVENTS, 4, "clicks", "accepted")
    status, text = get(f"{served.url}/metrics")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert status == 200
    assert [
        (sample.labels, sample.value) for sample in families["ebbtide_events"].samples if sample.name.endswith("_total")
    ] == [({"topic": "clicks", "outcome": "accepted"}, 4.0)]
    assert families["ebbtide_events"].documentation == EVENTS.meaning


def test_gauges_are_served_under_their_own_name(metrics: Metrics, served: Exposition) -> None:
    metrics.set(READY, 1)
    assert "\nebbtide_ready 1.0\n" in get(f"{served.url}/metrics")[1]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_all_well_is_200_ok(served: Exposition, path: str) -> None:
    assert get(served.url + path) == (200, "ok\n")


def test_not_alive_is_503_with_the_reason(served: Exposition, health: Health) -> None:
    health.alive = "the loop has not beaten for 31 s"
    assert get(f"{served.url}/healthz") == (503, "the loop has not beaten for 31 s\n")
    assert get(f"{served.url}/readyz")[0] == 200


def test_not_ready_is_503_with_the_reason(served: Exposition, health: Health) -> None:
    health.ready = "restoring"
    assert get(f"{served.url}/readyz") == (503, "restoring\n")
    assert get(f"{served.url}/healthz")[0] == 200


def test_an_unknown_path_names_the_known_ones(served: Exposition) -> None:
    assert get(f"{served.url}/table/user/1") == (404, "there are /metrics, /healthz and /readyz\n")


def test_a_query_does_not_change_the_path(served: Exposition) -> None:
    assert get(f"{served.url}/healthz?x=1")[0] == 200


def test_head_sends_no_body(served: Exposition) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    try:
        connection.request("HEAD", "/healthz")
        response = connection.getresponse()
        assert (response.status, response.read(), response.headers["Content-Length"]) == (200, b"", "3")
    finally:
        connection.close()


def test_nothing_can_be_posted(served: Exposition) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    try:
        connection.request("POST", "/metrics", body=b"")
        assert connection.getresponse().status == 501
    finally:
        connection.close()


def test_a_client_that_hung_up_is_no_error(served: Exposition, caplog: pytest.LogCaptureFixture) -> None:
    assert served._server is not None
    try:
        raise BrokenPipeError
    except BrokenPipeError:
        with socket.socket() as gone:
            served._server.handle_error((b"", gone), ("127.0.0.1", 1))
    assert caplog.text == ""


def test_it_listens_on_loopback_unless_told_otherwise(served: Exposition) -> None:
    assert served.url.startswith("http://127.0.0.1:")


TOKEN = "a-token-of-enough-characters"


@pytest.fixture
def guarded(metrics: Metrics, health: Health) -> Iterator[Exposition]:
    exposition = Exposition(metrics.registry, lambda: health.alive, lambda: health.ready, "0.0.0.0", token=TOKEN)
    with exposition:
        yield exposition


def asked(exposition: Exposition, path: str, authorization: str | None) -> tuple[int, str, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", exposition.port, timeout=10)
    try:
        connection.request("GET", path, headers={} if authorization is None else {"Authorization": authorization})
        response = connection.getresponse()
        return response.status, response.read().decode(), response.headers["WWW-Authenticate"]
    finally:
        connection.close()


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "Bearer \xe9"],
)
def test_metrics_without_the_token_are_401(guarded: Exposition, authorization: str | None) -> None:
    status, text, asked_for = asked(guarded, "/metrics", authorization)
    assert (status, asked_for) == (401, "Bearer")
    assert "ebbtide_" not in text
    assert TOKEN not in text


@pytest.mark.parametrize("authorization", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Bearer  {TOKEN} "])
def test_metrics_with_the_token_are_served(guarded: Exposition, authorization: str) -> None:
    assert asked(guarded, "/metrics", authorization)[0] == 200


def test_probes_see_the_bare_status_without_the_token_and_the_reason_with_it(
    guarded: Exposition, health: Health
) -> None:
    assert asked(guarded, "/readyz", None)[:2] == (200, "ok\n")
    health.ready = "restoring partition 3"
    assert asked(guarded, "/readyz", None)[:2] == (503, "not ok\n")
    assert asked(guarded, "/readyz", f"Bearer {TOKEN}")[:2] == (503, "restoring partition 3\n")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "metrics.invalid"])
def test_an_open_address_without_a_token_is_refused_before_it_listens(host: str) -> None:
    exposition = Exposition(CollectorRegistry(), lambda: None, lambda: None, host)
    with pytest.raises(SettingsError, match="shows the metrics to the network, and no token is set") as caught:
        exposition.start()
    assert "EBBTIDE_HTTP_TOKEN_FILE" in caught.value.hint


def test_a_token_that_can_be_guessed_is_refused() -> None:
    exposition = Exposition(CollectorRegistry(), lambda: None, lambda: None, token="short")
    with pytest.raises(SettingsError, match="fewer than 16 characters") as caught:
        exposition.start()
    assert "short" not in str(caught.value)


def test_a_taken_port_says_which_setting_to_change() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        exposition = Exposition(CollectorRegistry(), lambda: None, lambda: None, port=holder.getsockname()[1])
        with pytest.raises(EbbtideError, match="Address already in use") as caught:
            exposition.start()
    assert "EBBTIDE_HTTP_PORT" in caught.value.hint


def test_stopping_frees_the_port_and_may_be_repeated() -> None:
    exposition = Exposition(CollectorRegistry(), lambda: None, lambda: None)
    exposition.start()
    port = exposition.port
    exposition.stop()
    exposition.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_kinds_are_named_as_prometheus_names_them() -> None:
    assert {metric.kind for metric in CATALOGUE.values()} == {"counter", "gauge", "histogram"}
    assert isinstance(WATERMARK, GaugeMetric)
