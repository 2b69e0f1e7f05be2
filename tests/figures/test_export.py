import csv
import io
import json
import re

import pytest

from lmc_core.figures.barrier import barrier_caption, barrier_figure
from lmc_core.figures.export import can_draw_svg, results_csv, results_json, standalone_html, svg
from lmc_core.figures.text import label_results


def test_the_page_holds_figure_caption_and_data(vit):
    evil = [{**vit[0], "note": "</script><b>"}]
    page = standalone_html(barrier_figure(vit), "a < b", evil)
    assert "a &lt; b" in page
    found = re.search(
        r'<script type="application/json" id="results">(.*?)</script>', page, re.DOTALL
    )
    assert found and json.loads(found[1])[0]["note"] == "</script><b>"
    assert '"showSendToCloud": false' in page
    assert "default-src 'none'" in page
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="http', page)


def test_csv_has_a_row_for_every_point(vit):
    rows = list(csv.DictReader(io.StringIO(results_csv(vit, label_results(vit)))))
    assert len(rows) == sum(len(result["lam"]) for result in vit)
    assert rows[0]["setting"] == "Plain average" and float(rows[0]["loss"]) == vit[0]["loss"][0]
    assert float(rows[-1]["accuracy"]) == vit[2]["accuracy"][-1]


def test_csv_of_different_tasks(vit, gpt2):
    rows = list(csv.DictReader(io.StringIO(results_csv([vit[0], gpt2[0]], ["a", "b"]))))
    assert rows[0]["perplexity"] == "" and rows[-1]["accuracy"] == ""


def test_json_round_trip(vit):
    assert json.loads(results_json(vit)) == vit


@pytest.mark.browser
@pytest.mark.skipif(not can_draw_svg(), reason="kaleido or a browser is missing")
def test_svg_is_drawn(vit):
    image = svg(barrier_figure(vit, "paper")).decode()
    assert image.startswith("<svg") and "Plain average" in image
    assert barrier_caption(vit)
