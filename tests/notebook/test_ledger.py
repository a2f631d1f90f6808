from __future__ import annotations

from llmlab.notebook.ledger import Ledger

LEDGER = Ledger(put_in={"spikes": "4 % (assumed)"}, found_out={"naive": "4.1 %", "<stack>": "0.2 %"})


def test_two_lists_stand_side_by_side() -> None:
    assert [("spikes: 4 % (assumed)", "naive: 4.1 %"), ("", "<stack>: 0.2 %")] == LEDGER.rows
    assert "put in                 found out" == repr(LEDGER).splitlines()[0]
    assert repr(LEDGER).splitlines()[1].startswith("spikes: 4 % (assumed)  naive")


def test_as_html_it_is_escaped() -> None:
    assert "&lt;stack&gt;: 0.2 %" in LEDGER._repr_html_()
    assert '<th style="text-align: left">found out</th>' in LEDGER._repr_html_()
