"""`lmc lecture`: the list of slides, and the lecture as one file."""

from lmc_core.lecture.deck import lecture_html
from lmc_core.lecture.steps import STEPS


def test_the_slides_in_words(lmc):
    found = lmc("lecture")
    assert found.code == 0
    for step in STEPS:
        assert step.name in found.out and step.question in found.out
    assert "--html FILE" in found.out


def test_the_lecture_as_a_file(lmc, tmp_path):
    file = tmp_path / "lecture.html"
    found = lmc("lecture", "--html", file)
    assert found.code == 0 and str(file) in found.out
    assert file.read_text(encoding="utf-8") == lecture_html()


def test_the_slides_as_json(lmc):
    found = lmc("lecture", "--json").json
    assert [each["question"] for each in found["steps"]] == [step.question for step in STEPS]
    assert all("{" not in words for each in found["steps"] for words in each["answers"])
    assert found["html"] is None


def test_a_folder_is_refused(lmc, tmp_path):
    lmc("lecture", "--html", tmp_path).refused("expects a file")
