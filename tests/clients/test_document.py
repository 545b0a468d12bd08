"""The page about the clients shows the matrix as it is tested, and the matrix is whole."""

from pathlib import Path

from tests.clients.cases import cases
from tests.clients.explained import CANDLES
from tests.clients.matrix import document

PAGE = Path(__file__).parents[2] / "docs/clients.md"


def test_the_page_is_what_is_tested() -> None:
    assert PAGE.read_text() == document(), "write it anew: python -m tests.clients.matrix > docs/clients.md"


def test_every_explained_difference_is_asked_for() -> None:
    assert {case.explained for case in cases()} - {None} == set(CANDLES)


def test_no_question_is_there_twice() -> None:
    names = [case.name for case in cases()]
    assert len(set(names)) == len(names)
