"""The contract as it is kept: the examples and the OpenAPI document. Whoever changes it changes these files too.

`make openapi` writes them anew; what became different is then seen in review.
"""

import json
from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest

import marketdata.api
from marketdata.api.app import create_app
from marketdata.api.examples import EXAMPLES_FILE
from marketdata.api.problems import PROBLEMS
from marketdata.api.settings import ApiSettings
from marketdata.core.clock import ManualClock
from marketdata.store.engine import Database
from tests.api.contract.asked import REQUEST_ID, Asker

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLES = Path(marketdata.api.__file__).with_name(EXAMPLES_FILE)
SNAPSHOT = Path(__file__).parents[3] / "docs" / "openapi.json"
HOW = "if that is meant, run `make openapi` and look at what changes"


def compare(path: Path, made: Any, *, renew: bool) -> None:
    text = json.dumps(made, ensure_ascii=False, indent=1) + "\n"
    if renew:
        path.write_text(text, encoding="utf-8")
    kept = path.read_text(encoding="utf-8")
    different = list(unified_diff(kept.splitlines(), text.splitlines(), "agreed", "now", lineterm="", n=2))
    assert not different, "\n".join((f"{path.name} is out of date: {HOW}", *different[:60]))


async def test_the_examples_are_what_the_product_answers(
    asker: Asker, monkeypatch: pytest.MonkeyPatch, *, renew: bool
) -> None:
    answers, problems = await asker.answers(), await asker.problems(monkeypatch)
    assert set(problems) == set(PROBLEMS)
    for code, document in problems.items():
        assert (document["code"], document["status"]) == (code, PROBLEMS[code][0])
        assert document["request_id"] == REQUEST_ID
    compare(EXAMPLES, {"answers": answers, "problems": problems}, renew=renew)


async def test_the_document_is_the_one_that_was_agreed_on(*, renew: bool) -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:9/nothing")
    document = create_app(nowhere, {}, ManualClock(0), ApiSettings()).openapi()
    compare(SNAPSHOT, document, renew=renew)
