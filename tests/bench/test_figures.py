"""What is made of measurements: ratios, percentiles, growth, verdicts, h2load's log, and the tables."""

from pathlib import Path

import pytest

from bench import anatomy, goals, report, trend
from bench.call import Result as Calls
from bench.call import Waited
from bench.call import grid as call_grid
from bench.day import Day, Sizes, opinion
from bench.goals import Verdict
from bench.grid import Grid, put
from bench.grpc_load import sample_of
from bench.payloads import payloads
from bench.question import asked
from bench.rooms import WHOLE, Cost
from bench.run import Cell, Plan, Result
from bench.servers import Lifecycle
from bench.usage import Memory, children, cpu_seconds
from bench.variants import HOOKGATE, SHIPPED, Issuer, variants
from bench.ways import FLOOR, HTTP, MOST_TELLING, Kind, Sample, Way, all_ways
from bench.window import WrongAnswerError

BASH = payloads()[0]
MINE = Way("hookgate", "Hookgate", Kind.HOOKGATE, HOOKGATE)
STORED = Way("shipped", "with a store", Kind.HOOKGATE, SHIPPED, everywhere=False)


def sample(p50: float, p99: float = 1.0, rate: float = 1.0, *, cpu: float = 0.0, counted: int = 1) -> Sample:
    return Sample(p50, p99, rate, cpu, 0.0, 0.0, 0.0, counted, counted)


def cell(way: Way, *samples: Sample, callers: int = 1) -> Cell:
    return Cell(BASH.name, callers, way, samples)


def plan(*ways: Way, callers: tuple[int, ...] = (1,)) -> Plan:
    return Plan((BASH,), callers, ways, seconds=1.0, repetitions=3, restarts=0)


def test_a_ratio_is_the_median_of_those_within_each_repetition_and_not_that_of_the_medians() -> None:
    base, mine = cell(HTTP, sample(1.0), sample(10.0), sample(2.0)), cell(MINE, sample(2.0), sample(11.0), sample(1.0))
    assert mine.against(base, report.COMPARED["p50"]) == 1.1
    assert mine.middle(report.COMPARED["p50"]) == 2.0
    assert mine.more(base, report.COMPARED["p50"]) == 1.0


def test_a_processor_time_is_shared_by_all_requests_of_all_repetitions() -> None:
    found = cell(MINE, sample(1.0, cpu=0.1, counted=10), sample(1.0, cpu=0.4, counted=30))
    assert found.share(lambda one: one.server_cpu_seconds) == pytest.approx((1.0 + 12.0) / 40)


def test_tables_show_ratios_and_what_each_choice_adds() -> None:
    result = Result(
        (
            cell(HTTP, sample(1e-3, 2e-3, 1000)),
            cell(MINE, sample(1.5e-3, 3e-3, 500, cpu=4e-4)),
            cell(STORED, sample(1.8e-3, 3e-3, 400, cpu=5e-4)),
        ),
        (),
        (),
    )
    of_http, rooms = report.overview(plan(HTTP, MINE, STORED), result)
    assert of_http.groups == [[(BASH.title, "1.50", "1.50", "0.50")]]
    assert rooms.groups == [[(BASH.title, "1", "with a store", "1.20", "0.80", "+300", "+100", "0")]]
    (details,) = report.details(plan(HTTP, MINE, STORED), result)
    assert details.groups[0][1][:9] == ("1", "Hookgate", "1,500", "3,000", "500", "1.50", "1.50", "0.50", "400")


@pytest.mark.parametrize(
    ("p50", "p99", "rate", "verdicts"),
    [
        (1.25, 2.0, 1.0, [Verdict.MET, Verdict.MET, Verdict.MET]),
        (1.5, 2.01, 0.99, [Verdict.LEAST, Verdict.NOT_MET, Verdict.NOT_MET]),
        (1.51, 1.0, 3.0, [Verdict.NOT_MET, Verdict.MET, Verdict.MET]),
    ],
)
def test_verdicts_are_those_of_the_bounds(p50: float, p99: float, rate: float, verdicts: list[Verdict]) -> None:
    cells = [
        cell(HTTP, sample(1.0)),
        cell(MINE, sample(p50, p99)),
        cell(HTTP, sample(1.0), callers=16),
        cell(MINE, sample(1.0, 1.0, rate), callers=16),
    ]
    found = goals.goals(plan(HTTP, MINE, callers=(1, 16)), Result(tuple(cells), (), ()), None)
    assert [goal.subject for goal in found] == [
        f"{BASH.title}: {what}" for what in ("p50 at 1", "p99 at 1", "req/s at 16")
    ]
    assert [goal.found["Hookgate"][1] for goal in found] == verdicts
    assert f"Hookgate {verdicts.count(Verdict.MET)} of 3" in goals.summary(found)
    assert goals.grid(found).groups[0][0][2] == f"{p50:.2f}: {verdicts[0]}"


@pytest.mark.parametrize(("seconds", "verdict"), [(0.69, Verdict.MET), (0.7, Verdict.NOT_MET)])
def test_the_start_is_judged_by_the_median(seconds: float, verdict: Verdict) -> None:
    lives = tuple(Lifecycle(one, 1.0, 1.0) for one in (0.1, seconds, 9.0))
    (goal,) = goals.goals(plan(MINE), Result((), (), lives), None)
    assert goal.found[SHIPPED.label] == (f"{seconds:.2f} s", verdict)


def day(
    resident: list[float], seconds: float = 3600.0, answered: tuple[tuple[float, float], ...] = ((1.0, 0.5),)
) -> Day:
    """One whose memory was looked at so many times, evenly."""
    sizes = tuple(
        Sizes(index * seconds / (len(resident) - 1), Memory(int(one), 0), Memory(1, 0), Memory(1, 0), 7, 9)
        for index, one in enumerate(resident)
    )
    return Day(seconds, 1, 1.0, answered, (), sizes, {"allow": 1}, 1, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("resident", "seconds", "verdict"),
    [
        ([80e6, 100e6, 100e6, 100e6, 100e6], 3600.0, Verdict.MET),
        ([80e6, 100e6, 100e6, 100e6, 100e6], 120.0, Verdict.SO_FAR),
        ([80e6, 85e6, 90e6, 95e6, 100e6], 3600.0, Verdict.NOT_MET),
        ([80e6, 85e6, 90e6, 95e6, 100e6], 120.0, Verdict.NOT_SHOWN),
        ([80e6, 119e6, 120e6, 120e6, 120e6], 120.0, Verdict.NOT_MET),
    ],
)
def test_memory_must_stay_low_and_flat_for_an_hour(resident: list[float], seconds: float, verdict: Verdict) -> None:
    (goal,) = goals.goals(plan(), Result((), (), ()), day(resident, seconds))
    assert goal.found[SHIPPED.label][1] is verdict


def test_growth_is_that_of_the_second_half_by_the_hour() -> None:
    line = trend.growth([(0.0, 5.0), (900.0, 50.0), (1800.0, 100.0), (2700.0, 110.0), (3600.0, 120.0)])
    assert (line.begin_bytes, line.end_bytes, line.bytes_per_hour) == pytest.approx((100.0, 120.0, 40.0))
    assert not line.flat
    assert trend.growth([(0.0, 5.0)]).bytes_per_hour == 0.0


def test_percentiles_and_slices_hold_every_answer_once() -> None:
    assert [trend.percentile([1, 2, 3, 4], percent) for percent in (0, 50, 99, 100)] == [1, 3, 4, 4]
    answered = tuple((at, took) for at, took in ((0.0, 1.0), (4.9, 3.0), (5.0, 2.0), (10.5, 4.0)))
    first, second = trend.slices(day([1.0, 2.0, 3.0], 10.0, answered), 2)
    assert (first.answers, first.longest_seconds, first.sizes.hookgate.resident_bytes) == (2, 3.0, 2)
    assert (second.answers, second.p50_seconds, second.until_seconds) == (2, 4.0, 10.0)
    text = " ".join(trend.notes(day([1e6, 2e6, 3e6], 10.0, answered)))
    assert "4 answers" in text
    assert "MB an hour" not in text


def test_h2loads_log_is_read_and_another_status_is_an_error() -> None:
    found = sample_of("1000 200 250\n1300 200 500\n", "", 0)
    assert found.taken_seconds == [0.00025, 0.0005]
    assert found.elapsed_seconds == pytest.approx(0.0008)
    with pytest.raises(WrongAnswerError, match="h2load: said so"):
        sample_of("1000 503 250\n", "said so", 0)
    with pytest.raises(WrongAnswerError, match="h2load: not at all"):
        sample_of("", "not at all", 1)


def test_the_wait_for_a_hook_is_told_against_none() -> None:
    waited = (
        Waited("none", "no hook", False, (), (0.03, 0.05)),
        Waited("http", "HTTP", True, (0.001,), (0.045, 0.055)),
    )
    (rows,) = call_grid(Calls("a client", 2, 1, waited)).groups
    assert rows == [("no hook", "", "", "40.0", "50.0", ""), ("HTTP", "1.0", "1.0", "50.0", "55.0", "+10.0")]


def test_most_ways_are_measured_everywhere_and_rooms_where_they_tell_something() -> None:
    ways, everything = all_ways(), Plan(payloads(), (1, 64), all_ways(), 1.0, 1, 0)
    assert len({way.name for way in ways}) == len(ways)
    rooms = {way.name for way in ways if way.variant and way.variant.without}
    assert rooms == {"no-journal", "no-facts", "no-redaction"}
    (bash, large) = (payloads()[0], payloads()[-1])
    assert bash.name in MOST_TELLING[0]
    assert set(everything.ways_at(bash, 1)) == set(ways)
    assert not {way.name for way in everything.ways_at(large, 1)} & (rooms | {FLOOR.name, "jwt"})
    assert not {way.name for way in everything.ways_at(bash, 64)} & rooms
    assert everything.measurements < Plan(payloads(), (1, 64), all_ways(), 1.0, 1, 0, whole=True).measurements


def test_the_pdp_is_asked_with_the_facts_that_hookgate_sends() -> None:
    question = asked(BASH)
    assert b'"facts"' in question.json
    assert b'"commands"' in question.json
    assert question.uncut == question.json
    assert asked(payloads()[-1]).uncut != asked(payloads()[-1]).json


def test_an_issuers_settings_trust_its_own_key() -> None:
    one, other = Issuer(), Issuer()
    assert one.keys["keys"][0]["kty"] == "EC"
    assert one.keys != other.keys
    assert len([variant for variant in variants() if variant.token]) == 1


def test_an_opinion_is_what_an_answer_decides_and_not_its_words() -> None:
    denied = {"hookSpecificOutput": {"permissionDecision": "deny", "permissionDecisionReason": "no [hookgate 1]"}}
    assert opinion(denied) == "deny"
    assert opinion({"hookSpecificOutput": {"decision": {"behavior": "allow"}}}) == "allow"
    assert opinion({"decision": "block", "continue": False}) == "block False"
    assert opinion({}) == "none"


def test_a_process_that_is_not_there_has_used_nothing() -> None:
    assert cpu_seconds(2**22 + 1) == 0.0
    assert children(2**22 + 1) == ()


def test_a_section_of_a_page_is_written_between_its_marks_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- one: begin -->\nold\n<!-- one: end -->\nb\n<!-- two: begin -->\nkept\n<!-- two: end -->\n")
    put(page, "one", [Grid("title", ("word", "figure"), groups=[[("x", "1")]])], ["note"])
    assert page.read_text() == (
        "a\n<!-- one: begin -->\nnote\n\n**title**\n\n| word | figure |\n| --- | ---: |\n| x | 1 |\n<!-- one: end -->\nb\n"
        "<!-- two: begin -->\nkept\n<!-- two: end -->\n"
    )


def test_the_parts_of_a_call_and_what_is_left_over_add_up_to_the_whole() -> None:
    floor, pdp = Way("floor", "", Kind.FLOOR), Way("grpc-h2load", "", Kind.H2LOAD)
    cells = [cell(way, sample(p50)) for way, p50 in ((floor, 3e-5), (pdp, 2e-4), (MINE, 6e-4), (HTTP, 4e-4))]
    rooms = {BASH.title: [Cost("a step", 9.0, 9.0), Cost(WHOLE, 1e-4, 1e-4)]}
    parts = anatomy.grid(plan(HTTP, MINE), Result(tuple(cells), (), ()), rooms)
    assert parts.columns == ("", BASH.title)
    assert [row[1] for group in parts.groups for row in group] == ["30", "200", "100", "270", "600", "400"]
    assert anatomy.grid(plan(MINE), Result(tuple(cells[1:]), (), ()), rooms).columns == ("",)
