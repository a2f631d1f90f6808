from __future__ import annotations

import pytest

from llmlab.data.grounding_probes import Probe, probes
from llmlab.evals.grounding import DETECTORS, areas, final_full_stop, flagged, length, novel_words


@pytest.fixture(scope="module", params=["open", "held"])
def found(request: pytest.FixtureRequest):
    return areas(probes(request.param))


def test_the_check_is_clearly_above_each_trivial_detector(found) -> None:
    trivial = [area for name, area in found.items() if name != "llmlab"]
    assert 3 == len(trivial)
    assert all(found["llmlab"].low > area.high + 0.2 for area in trivial)


def test_no_surface_trait_gives_the_probes_away(found) -> None:
    assert all(0.4 < found[name].value < 0.6 for name in DETECTORS if name != "llmlab")


def test_on_the_half_it_was_not_tuned_on_the_check_still_ranks_well() -> None:
    assert 0.8 < areas(probes("held"))["llmlab"].value


def test_every_number_that_was_changed_is_found_and_hardly_a_copied_sentence_is_doubted() -> None:
    shares = flagged(probes("held"))
    assert (1.0, True) == (shares["number"].value, shares["literal"].value < 0.05)
    assert sorted({probe.kind for probe in probes("held")}) == list(shares)


def test_the_trivial_detectors_look_at_the_surface() -> None:
    probe = Probe(
        id="a", question="How long?", sources=("warranty",), answer="Warranty: zebra.", supported=True, kind="x", family="f", half="open"
    )
    assert (16, 1.0, 0.5) == (length(probe), final_full_stop(probe), novel_words(probe))
