"""Consumer groups as a Prometheus has recorded them: a real one, our recording rules, samples that it has scraped.

The windows are of seconds here, and everything is scraped and recorded four times a second.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from monitor.checks.base import CheckFailed, Kind
from monitor.checks.kafka.prometheus import COUNTED_NOW, DRAIN_ETA, LAG, UNCOUNTED, MeasurementOptions, measure
from monitor.checks.prometheus import Prometheus, PrometheusEndpoint, QueryResult
from monitor.checks.registry import KINDS
from monitor.model.checks import Outcome, Past, Status
from monitor.model.consumer_groups import TopicPartition
from monitor.policy.consumer_groups.measurement import Measurement, RecordLoss, WindowedValue
from tests.support.processes import free_port, wait_for
from tests.support.prometheus_server import Exporter, PrometheusServer

RULES = Path(__file__).parents[4] / "compose" / "prometheus" / "kafka.rules.yml"
AWKWARD = 'a "b" \\ {c="d"} \n é'
QUICK = MeasurementOptions(window_seconds=60, sustained_seconds=1)
SLOW = MeasurementOptions(window_seconds=60, sustained_seconds=20)


def lines(
    group: str,
    lags: Iterable[int],
    members: int | None = 2,
    topic: str = "orders",
    member_id: str = "",
    offset: int = 100,
) -> str:
    """What danielqsj/kafka_exporter says of a group; with a member id, what others say."""
    name = group.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    text = "" if members is None else f'kafka_consumergroup_members{{consumergroup="{name}"}} {members}\n'
    member = f',memberid="{member_id}"' if member_id else ""
    for partition, lag in enumerate(lags):
        labels = f'consumergroup="{name}",topic="{topic}",partition="{partition}"'
        text += f"kafka_consumergroup_lag{{{labels}}} {lag}\n"
        text += f"kafka_consumergroup_current_offset{{{labels}{member}}} {offset}\n"
    return text


class World:
    """A Prometheus with the recording rules, and the exporter that it scrapes, whose groups a test adds and changes."""

    def __init__(self, rules: Iterable[Path]) -> None:
        self.groups: dict[str, str] = {}
        self.exporter = Exporter()
        self.prometheus = PrometheusServer(targets=[self.exporter.address], rules=rules)

    def tell(self, group: str, lags: Iterable[int], members: int | None = 2, **more: Any) -> None:
        """From now on the exporter says this of a group."""
        self.groups[group] = lines(group, lags, members, **more)
        self.exporter.text = "".join(sorted("".join(self.groups.values()).splitlines(keepends=True)))

    def measure(self, group: str, question: MeasurementOptions = QUICK) -> Measurement:
        with connected(self.prometheus) as prometheus:
            return measure(prometheus, group, question)

    def until(
        self, group: str, holds: Callable[[Measurement], bool], question: MeasurementOptions = QUICK
    ) -> Measurement:
        """What is measured, once something holds of it."""
        last: list[Measurement] = []

        def it_holds() -> bool:
            last[:] = [self.measure(group, question)]
            return holds(last[0])

        wait_for(it_holds, seconds=60, every=0.1, what=last)
        return last[0]

    def stop(self) -> None:
        self.prometheus.stop()
        self.exporter.stop()


def connected(server: PrometheusServer, seconds: float = 20.0, *, timeout: float = 5, retries: int = 2) -> Prometheus:
    return Prometheus(PrometheusEndpoint(SecretStr(server.url), timeout_seconds=timeout, retries=retries), seconds)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, ...]]:
    """All that this file needs, started together: each takes five seconds until its first scrape."""
    rules = tmp_path_factory.mktemp("rules") / "kafka.rules.yml"
    rules.write_text(RULES.read_text().replace("interval: 15s", "interval: 250ms"))
    worlds = (World([rules]), World([]), World([rules]))
    yield worlds
    for world in worlds:
        world.stop()


@pytest.fixture
def world(worlds: tuple[World, ...]) -> World:
    """One Prometheus for most tests; each has groups of its own."""
    return worlds[0]


@pytest.fixture
def without_rules(worlds: tuple[World, ...]) -> World:
    """A Prometheus to which nobody has given the rules."""
    return worlds[1]


@pytest.fixture
def mortal(worlds: tuple[World, ...]) -> World:
    """One that may be killed."""
    return worlds[2]


def test_even_lag_and_enough_consumers(world: World) -> None:
    """Nothing is beyond a threshold: the worst values are those that are judged."""
    world.tell("even", [300] * 6)
    measured = world.until("even", lambda seen: not seen.missing)
    young = dataclasses.replace(measured, age_seconds=0.0)
    assert young == Measurement(skew=WindowedValue(worst=1, held=1), consumers=WindowedValue(worst=2, held=2))
    assert 0.0 <= measured.age_seconds < 30.0


def test_a_hot_key_that_lasts(world: World) -> None:
    """400 records in one of six partitions: six times the mean, at first for a moment, then for long enough."""
    world.tell("hot", [0, 0, 0, 400, 0, 0])
    measured = world.until("hot", lambda seen: seen.skew.worst == 6, SLOW)
    assert measured.skew.held is None, "20 s have not passed"
    assert world.until("hot", lambda seen: seen.skew.held is not None).skew == WindowedValue(worst=6, held=6)


def test_a_hot_key_that_is_gone_stays_in_the_window(world: World) -> None:
    """Until the window has passed, and no longer."""
    world.tell("drained", [0, 0, 0, 400, 0, 0])
    world.until("drained", lambda seen: seen.skew.held == 6)
    world.tell("drained", [0] * 6)
    short = MeasurementOptions(window_seconds=3, sustained_seconds=1)
    assert world.measure("drained").skew.worst == 6
    assert world.until("drained", lambda seen: seen.skew.worst == 1, short).skew == WindowedValue(worst=1, held=1)
    assert world.measure("drained").skew.held == 6, "it was, and for longer than a second, in the last minute"


def test_a_spike_is_in_the_window_and_is_not_held(world: World) -> None:
    """Some samples beyond the threshold, among others that are not: with ``sustained`` 0 they would count."""
    world.tell("spike", [0] * 6)
    world.until("spike", lambda seen: not seen.missing)
    world.tell("spike", [0, 0, 0, 400, 0, 0], members=1)
    world.until("spike", lambda seen: seen.skew.worst == 6, SLOW)
    world.tell("spike", [0] * 6)
    measured = world.measure("spike", SLOW)
    assert measured.skew.worst == 6
    assert measured.skew.held in (None, 1)
    assert measured.consumers.worst == 1
    assert measured.consumers.held in (None, 2)
    bare = world.measure("spike", MeasurementOptions(window_seconds=60, sustained_seconds=0))
    assert (bare.skew.held, bare.consumers.held) == (6, 1)


def test_too_few_consumers(world: World) -> None:
    """One of two, for longer than a second; none at all counts as none."""
    world.tell("few", [0] * 6, members=1)
    assert world.until("few", lambda seen: seen.consumers.held == 1).consumers.worst == 1
    world.tell("few", [0] * 6, members=0)
    assert world.until("few", lambda seen: seen.consumers.held == 0).consumers == WindowedValue(worst=0, held=0)


BRIEF = MeasurementOptions(window_seconds=6, sustained_seconds=1)


def test_no_members_of_a_group_that_moves(world: World, without_rules: World) -> None:
    """Exporters count no consumers of KIP-848: how many there are is not known, with our rules and without them."""
    for where in (world, without_rules):
        offset = iter(range(100, 100_000))

        def moves(seen: Measurement, where: World = where, offset: Iterator[int] = offset) -> bool:
            where.tell("kip-848", [0] * 3, members=0, offset=next(offset))
            return UNCOUNTED in seen.remarks

        where.tell("kip-848", [0] * 3, members=0)
        seen = where.until("kip-848", moves, BRIEF)
        assert seen.consumers == WindowedValue()
        assert "consumers" not in seen.missing
        assert where.measure("kip-848", replace(BRIEF, min_consumers=0)).remarks != (UNCOUNTED,)
        where.until("kip-848", lambda seen: UNCOUNTED not in seen.remarks and seen.consumers.held == 0, BRIEF)


def test_no_members_after_the_last_has_gone(world: World) -> None:
    """What was committed a moment before says nothing: 0 members are 0."""
    world.tell("gone", [0] * 3, members=2)
    world.until("gone", lambda seen: seen.consumers.held == 2, BRIEF)
    for offset in range(100, 110):
        world.tell("gone", [0] * 3, members=2, offset=offset)
        world.measure("gone", BRIEF)
    world.tell("gone", [0] * 3, members=0, offset=111)
    notes: set[str] = set()

    def has_none(seen: Measurement) -> bool:
        notes.update(seen.remarks)
        return seen.consumers.held == 0

    world.until("gone", has_none, BRIEF)
    for _ in range(10):
        assert world.measure("gone", BRIEF).consumers.worst == 0
    assert UNCOUNTED not in notes


def test_one_stray_record_is_no_skew(world: World) -> None:
    """The bare formula would say six."""
    world.tell("stray", [0, 0, 1, 0, 0, 0])
    assert world.until("stray", lambda seen: not seen.missing).skew == WindowedValue(worst=1, held=1)


def test_the_name_of_a_group_may_be_anything(world: World) -> None:
    """Quotes, backslashes, line feeds and what looks like PromQL are part of the name."""
    world.tell(AWKWARD, [0, 0, 900])
    measured = world.until(AWKWARD, lambda seen: not seen.missing)
    assert (measured.skew.worst, measured.consumers.worst) == (3, 2)


def test_the_worst_topic_counts_among_those_that_are_asked_for(world: World) -> None:
    """By name, or by patterns as those of a shell."""
    world.tell("both", [500, 500], topic="orders")
    world.groups["both/2"] = lines("both", [0, 0, 0, 600], members=None, topic="pay.ments-1")
    world.tell("both", [500, 500], topic="orders")
    world.until("both", lambda seen: seen.skew.worst == 4)

    def worst(*topics: str) -> float | None:
        return world.measure(
            "both", MeasurementOptions(window_seconds=60, sustained_seconds=0, topics=topics)
        ).skew.worst

    assert worst("orders") == 1
    assert worst("pay.ments-1") == 4
    assert worst("pay.*") == worst("*-[0-9]") == worst("no", "p?y*") == 4
    assert worst("pay", "ord*", "pay[!.]ments*") == 1


def test_topics_that_nothing_matches(world: World) -> None:
    """A misspelt name is not known: it is neither healthy nor a rule that is missing."""
    world.tell("spelt", [500, 500], topic="orders")
    world.until("spelt", lambda seen: not seen.missing)
    none = world.measure("spelt", MeasurementOptions(topics=("ordres", "pay*")))
    assert (none.skew, none.missing, none.unmatched) == (WindowedValue(), {}, ("ordres", "pay*"))
    one = world.measure("spelt", MeasurementOptions(topics=("ord*", "pay*")))
    assert (one.skew.worst, one.unmatched) == (1, ("pay*",))


def test_a_group_that_is_not_known(world: World) -> None:
    """The rules are there, and have other groups: the name may be wrong. Each of the two numbers is missing."""
    world.tell("known", [0] * 6)
    world.until("known", lambda seen: not seen.missing)
    measured = world.measure("unknown")
    assert measured.skew == measured.consumers == WindowedValue()
    assert set(measured.missing) == {"skew", "consumers"}
    assert "of other groups, but not of this group" in measured.missing["skew"]
    assert "of other groups, but not of this group" in measured.missing["consumers"]


def test_without_the_rules(without_rules: World) -> None:
    """The skew is missing; members are counted by their ids, where an exporter tells them, as of now."""
    world = without_rules
    world.groups["ids/2"] = lines("ids", [0, 0], members=None, topic="mails", member_id="two")
    world.groups["ids/3"] = lines("ids", [0], members=None, topic="unowned")
    world.groups["one"] = lines("one", [0, 0], members=None, member_id="single")
    world.groups["stock"] = lines("stock", [0, 0], members=3)
    world.groups["old"] = lines("old", [0, 0], members=None)
    world.tell("ids", [0, 0, 0], members=None, member_id="one")
    ids = world.until("ids", lambda seen: "consumers" not in seen.missing)
    assert ids.consumers == WindowedValue(now=2, worst=2, held=2)
    assert ids.missing == {"skew": "Prometheus has no series kafka:group_skew_ratio: are the recording rules loaded?"}
    assert ids.remarks == (COUNTED_NOW,)
    assert world.measure("one", SLOW).consumers.held in (None, 1)
    assert world.until("one", lambda seen: seen.consumers.held is not None).consumers == WindowedValue(1, 1, 1)
    assert world.measure("stock").consumers == WindowedValue(3, 3, 3), "the label that is absent is not one consumer"
    assert "does not export the members" in world.measure("old").missing["consumers"]
    assert "are the recording rules loaded" in world.measure("nobody").missing["consumers"]


def test_one_missing_number_does_not_cost_the_other(world: World) -> None:
    """An exporter that tells no members leaves the skew; one that tells nothing but members leaves those."""
    world.tell("memberless", [0, 0, 0, 400, 0, 0], members=None)
    measured = world.until("memberless", lambda seen: seen.skew.held is not None)
    assert measured.skew == WindowedValue(worst=6, held=6)
    assert set(measured.missing) == {"consumers"}
    world.tell("lagless", [], members=2)
    measured = world.until("lagless", lambda seen: seen.consumers.worst is not None)
    assert set(measured.missing) == {"skew"}


def test_lag_and_drain_time_where_they_are_wanted(world: World) -> None:
    """One query each; a time without end is none, and a rule without the group is said."""
    world.tell("slow", [100, 200])
    both = MeasurementOptions(window_seconds=60, sustained_seconds=1, lag=True, drain_eta=True)
    measured = world.until("slow", lambda seen: seen.lag == 300 and DRAIN_ETA not in "".join(seen.remarks), both)
    assert measured.drain_eta_seconds is None
    world.tell("slow", [0, 0])
    world.until("slow", lambda seen: seen.lag == seen.drain_eta_seconds == 0, both)
    notes = world.measure("nobody", both).remarks
    assert [note.split(" of other groups")[0] for note in notes] == [
        f"Prometheus has {LAG}",
        f"Prometheus has {DRAIN_ETA}",
    ]


def test_killed_frozen_and_back(mortal: World) -> None:
    """Each by its reason within its time; after a restart the window is what it was."""
    server = mortal.prometheus
    mortal.tell("lasting", [0, 0, 0, 400, 0, 0])
    mortal.until("lasting", lambda seen: seen.skew.held == 6)
    server.freeze()
    started = time.monotonic()
    with connected(server, 1.0, timeout=0.4) as prometheus, pytest.raises(CheckFailed) as frozen:
        measure(prometheus, "lasting", QUICK)
    assert frozen.value.reason == "timeout"
    assert time.monotonic() - started < 5
    server.kill()
    with connected(server) as prometheus, pytest.raises(CheckFailed) as killed:
        measure(prometheus, "lasting", QUICK)
    assert killed.value.reason == "refused"
    server.start()
    assert mortal.measure("lasting").skew.worst == 6


@pytest.mark.parametrize(
    "mark", [b'"warnings":["fetch series: rpc error: code = Unavailable"]', b'"isPartial":true'], ids=["Thanos", "VM"]
)
def test_a_partial_answer_is_no_measurement(
    mark: bytes, receiving_tenant: Callable[..., tuple[str, list[str]]]
) -> None:
    """What is missing may be the hot partition: as if Prometheus were not there. The tenant's header is sent."""
    body = b'{"status":"success",' + mark + b',"data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}}'
    url, tenants = receiving_tenant(body)
    options = {"prometheus_url": url, "prometheus_retries": 1, "prometheus_headers": {"X-Scope-OrgID": "shop-eu"}}
    options |= {"source": "prometheus", "consumer_groups": ["orders"]}
    outcome = KINDS.build("kafka_group", {**options, "on_source_failure": "fail"}).run(5.0, Past(100.0))
    assert (outcome.status, outcome.reason) == (Status.ERROR, "unavailable")
    assert tenants == ["shop-eu", "shop-eu"], "it was tried again"
    nothing_to_hold = KINDS.build("kafka_group", options).run(5.0, Past(100.0))
    assert (nothing_to_hold.status, nothing_to_hold.reason) == (Status.UNKNOWN, "no_data")
    assert "unavailable" in str(nothing_to_hold.message)


@pytest.fixture
def receiving_tenant() -> Iterator[Callable[[bytes], tuple[str, list[str]]]]:
    """Starts a server that answers every query with a body: its URL, and the tenants that asked."""
    servers: list[ThreadingHTTPServer] = []

    def start(body: bytes) -> tuple[str, list[str]]:
        tenants: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                tenants.append(self.headers["X-Scope-OrgID"])
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}", tenants

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def kafka_group(world: World, group: str, **options: Any) -> Kind:
    given = {"source": "prometheus", "prometheus_url": world.prometheus.url, "prometheus_timeout": 5}
    limits = {"window": 60, "sustained": 1, "start_grace": 0, "min_consumers": 2}
    return KINDS.build("kafka_group", {"consumer_groups": group, **given, **limits, **options})


def test_the_kind_judges_what_prometheus_recorded(world: World) -> None:
    """With the messages that were promised; limits of lag as well."""
    world.tell("judged", [0, 0, 0, 400, 0, 0], members=1)
    world.until("judged", lambda seen: seen.skew.held == 6 and seen.consumers.held == 1)
    outcome = kafka_group(world, "judged", window=300, max_lag=399).run(20.0, Past(1000.0))
    assert (outcome.status, outcome.reason) == (Status.ERROR, "skew")
    assert str(outcome.message).startswith(
        "Hot-key skew high: 6.00x (threshold: 4.0x, window: 5m); Under-replicated: 1 consumers (min: 2, window: 5m)"
    )
    assert (outcome.data["skew_ratio_max"], outcome.data["consumers_min"], outcome.data["lag"]) == (6, 1, 400)
    world.tell("fine", [300] * 6)
    world.until("fine", lambda seen: not seen.missing)
    outcome = kafka_group(world, "fine").run(20.0, Past(1000.0))
    assert (outcome.status, outcome.message) == (Status.OK, "System healthy")


def test_the_kind_holds_its_verdict_without_an_answer(mortal: World) -> None:
    """No data at first; then the last verdict for a while, with a note; or an error, where that is wanted."""
    hold = kafka_group(mortal, "mortal", prometheus_timeout=1, prometheus_retries=0)
    fail = kafka_group(mortal, "mortal", prometheus_retries=0, on_source_failure="fail")
    absent = kafka_group(mortal, "mortal", prometheus_url=f"http://127.0.0.1:{free_port()}", prometheus_retries=0)
    first = absent.run(20.0, Past(1000.0))
    assert (first.status, first.message) == (Status.UNKNOWN, "No data from the source (refused)")
    mortal.tell("mortal", [0, 0, 0, 400, 0, 0])
    mortal.until("mortal", lambda seen: seen.skew.held == 6)
    ill = hold.run(20.0, Past(1010.0, first.memory))
    assert (ill.status, ill.reason) == (Status.ERROR, "skew")
    assert "note" not in ill.data
    mortal.prometheus.freeze()
    held = hold.run(20.0, Past(1020.0, ill.memory))
    assert (held.status, held.reason, held.data["skew_ratio_max"], held.held) == (Status.ERROR, "skew", 6, True)
    assert "timeout" in held.data["note"]
    assert 10.0 <= held.data["numbers_age_seconds"] < 40.0
    late = hold.run(20.0, Past(1071.0, ill.memory))
    assert (late.status, late.message, late.held) == (Status.UNKNOWN, "No data from the source (timeout)", False)
    mortal.prometheus.kill()
    failed = fail.run(20.0, Past(1030.0, ill.memory))
    assert (failed.status, failed.reason) == (Status.ERROR, "refused")
    mortal.prometheus.start()


def test_the_kind_holds_each_number_on_its_own(world: World, without_rules: World) -> None:
    """Without one of its numbers it has no data; the number that is there is judged all the same."""
    without_rules.tell("half", [0] * 6, members=None, member_id="only")
    without_rules.until("half", lambda seen: seen.consumers.held == 1)
    outcome = kafka_group(without_rules, "half").run(20.0, Past(1000.0))
    assert (outcome.status, outcome.reason) == (Status.ERROR, "under_replicated")
    assert "are the recording rules loaded" in outcome.data["note"]
    enough = kafka_group(without_rules, "half", min_consumers=1).run(20.0, Past(1000.0))
    assert (enough.status, enough.message) == (Status.UNKNOWN, "No data from the source (missing)")
    assert (enough.data["consumers_min"], "skew_ratio_max" in enough.data) == (1, False)
    nothing = kafka_group(world, "nobody-at-all").run(20.0, Past(1000.0))
    assert (nothing.status, nothing.message) == (Status.UNKNOWN, "No data from the source (missing)")
    assert "kafka:group_skew_ratio" in nothing.data["note"]
    strict = kafka_group(world, "nobody-at-all", on_source_failure="fail").run(20.0, Past(1000.0))
    assert (strict.status, strict.reason) == (Status.ERROR, "missing")


def test_an_exporter_that_dies(mortal: World) -> None:
    """Prometheus answers from its window, and the numbers grow old meanwhile; then it blames the exporter."""
    mortal.tell("dying", [0] * 6)
    mortal.until("dying", lambda seen: not seen.missing)
    short = kafka_group(mortal, "dying", window=20, hold_for=8)
    mortal.exporter.text = ""
    last: list[Outcome] = []

    def runs_until(reason: str | None) -> Outcome:
        def it_says() -> bool:
            last[:] = [short.run(20.0, Past(time.time(), last[0].memory if last else None))]
            return last[0].reason == reason

        wait_for(it_says, seconds=60, every=0.2, what=last)
        return last[0]

    assert runs_until(None).status is Status.OK
    gone = runs_until("no_data")
    assert (gone.status, gone.message, gone.held) == (Status.UNKNOWN, "No data from the source (missing)", False)
    mortal.until("dying", lambda seen: set(seen.missing) == {"skew", "consumers"}, MeasurementOptions(window_seconds=2))
    assert "is the exporter up" in mortal.measure("dying", MeasurementOptions(window_seconds=2)).missing["skew"]


def test_partitions_without_a_commit_and_lost_records(world: World) -> None:
    """Unknown lags are bounded and said, of the topics that count; lost records are a warning."""
    text = ""
    for partition, (committed, end, oldest) in enumerate([(1, 2750, 0), *[(-1, 200, 0)] * 5]):
        text += partition_lines("latest", "latest", partition, committed, end, oldest)
    text += partition_lines("latest", "overtaken", 0, 10, 500, 400)
    world.groups["latest/more"] = text + partition_lines("latest", "overtaken", 1, 450, 450, 0)
    world.tell("latest", [], members=2)
    measured = world.until("latest", lambda seen: seen.skew.held == 4.4)
    assert measured.remarks == ("5 partitions without a committed offset: lag unknown",)
    assert measured.loss == RecordLoss(TopicPartition("overtaken", 0), 390, 0.0)
    ill = kafka_group(world, "latest").run(20.0, Past(1000.0))
    assert (ill.status, ill.data["findings"]) == (Status.ERROR, ["skew", "records_lost"])
    other = world.measure("latest", dataclasses.replace(QUICK, topics=("over*",)))
    assert (other.skew.worst, other.remarks) == (2, ())
    ok = kafka_group(world, "latest", topics="latest", skew_threshold=5).run(20.0, Past(1000.0))
    assert (ok.status, ok.data["note"]) == (Status.OK, "5 partitions without a committed offset: lag unknown")


def partition_lines(group: str, topic: str, partition: int, committed: int, end: int, oldest: int) -> str:
    """What the exporter says of one partition."""
    of_partition = f'topic="{topic}",partition="{partition}"'
    of_group = f'consumergroup="{group}",{of_partition}'
    return (
        f"kafka_topic_partition_current_offset{{{of_partition}}} {end}\n"
        f"kafka_topic_partition_oldest_offset{{{of_partition}}} {oldest}\n"
        f"kafka_consumergroup_current_offset{{{of_group}}} {committed}\n"
        f"kafka_consumergroup_lag{{{of_group}}} {-1 if committed < 0 else end - committed}\n"
    )


def test_the_queries_are_those_that_were_promised(world: World) -> None:
    """Three for a group that is well, one more for each number beyond its threshold, some where a rule is missing."""
    asked: list[str] = []

    class Recorded(Prometheus):
        def query(self, expression: str) -> QueryResult:
            asked.append(expression)
            return super().query(expression)

    def queries(group: str) -> list[str]:
        asked.clear()
        with Recorded(PrometheusEndpoint(SecretStr(world.prometheus.url), timeout_seconds=5), 20.0) as prometheus:
            measure(prometheus, group, MeasurementOptions())
        return list(asked)

    skew = 'max_over_time(kafka:group_skew_ratio{consumergroup="%s"}[5m])'
    consumers = 'min_over_time(kafka:group_consumer_count{consumergroup="%s"}[5m])'
    world.tell("well", [0] * 6)
    world.tell("ill", [0, 0, 0, 400, 0, 0], members=1)
    world.until("ill", lambda seen: seen.skew.worst == 6)
    dated = "label_replace(time() - (max(timestamp(%s)) or max(max_over_time(timestamp(%s)[5m:15s]))), %s)"

    def about(group: str) -> str:
        numbers = ("kafka:group_skew_ratio", "kafka:group_consumer_count")
        series = [f'{each}{{consumergroup="{group}"}}' for each in numbers]
        ages = [dated % (each, each, f'"about", "age {n}", "", ""') for n, each in enumerate(series)]
        of_group = f'{{consumergroup="{group}"}}'
        unknown = f"sum by (topic) (kafka:group_unknown_partitions{of_group})"
        lost = f"max by (topic, partition) (max_over_time(kafka:group_lost_records{of_group}[5m]))"
        named = {"unknown_partitions": unknown, "lost_records": lost}
        rest = [f'label_replace({said}, "about", "kafka:group_{what}", "", "")' for what, said in named.items()]
        return " or ".join((*ages, *rest))

    assert queries("well") == [skew % "well", consumers % "well", about("well")]
    stayed = (
        '%s_over_time((%s_over_time(kafka:group_%s{consumergroup="ill"}[30s]) '
        'and kafka:group_%s{consumergroup="ill"} offset 30s)[270s:15s])'
    )
    assert queries("ill") == [
        skew % "ill",
        stayed % ("max", "min", "skew_ratio", "skew_ratio"),
        consumers % "ill",
        stayed % ("min", "max", "consumer_count", "consumer_count"),
        about("ill"),
    ]
    assert queries("G") == [
        skew % "G",
        "count(kafka:group_skew_ratio)",
        consumers % "G",
        'count(count by (memberid) (kafka_consumergroup_current_offset{consumergroup="G"}))',
        "count(kafka:group_consumer_count)",
    ]
