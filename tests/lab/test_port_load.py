from __future__ import annotations

import pytest

from llmlab.lab.port_load import requests_per_second


def test_a_server_on_one_core_answers_another_process() -> None:
    assert requests_per_second({"model": "gpt-4o", "messages": [{"role": "user", "content": "Is there a warranty?"}]}, 20) > 0


def test_a_rate_of_refusals_is_no_rate() -> None:
    with pytest.raises(RuntimeError, match="404 Not Found"):
        requests_per_second({"model": "gone", "messages": []}, 20)
