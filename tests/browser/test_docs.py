"""The documentation pages in a real browser: with nothing from elsewhere, and an Authorize box that lets one in."""

from pathlib import Path

import pytest

from tests.browser.chromium import CHROMIUM, Page, page_of
from tests.e2e.front_door.conftest import Door

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.browser]

FIELDS = ".auth-container"
EXCHANGES = "#operations-exchanges-listExchanges"


async def test_the_browser_is_there() -> None:
    assert CHROMIUM.exists(), "these tests need Chromium: apt-get install chromium"


def from_elsewhere(page: Page, base: str) -> list[str]:
    return [url for url in page.requested if not url.startswith((base, "data:", "blob:", "about:"))]


async def test_the_authorize_box_lets_a_client_in(door: Door, tmp_path: Path) -> None:
    base = str(door.http.base_url).rstrip("/")
    async with page_of(tmp_path) as page:
        await page.open(f"{base}/docs")
        await page.wait_for(f"document.querySelector('{EXCHANGES}')")
        assert await page.evaluate("document.querySelectorAll('.opblock').length") >= len(door.document["paths"])

        await page.click(".authorize")
        await page.type(f"{FIELDS} [data-name=clientId]", door.forge.client_id)
        await page.type(f"{FIELDS} [data-name=clientSecret]", door.secret)
        await page.click(f"{FIELDS} [data-all=true]")
        await page.click(f"{FIELDS} .authorize")
        await page.wait_for(f"document.querySelector('{FIELDS}').innerText.includes('Authorized')")
        await page.click(".btn-done")

        await page.click(f"{EXCHANGES} .opblock-summary-control")
        await page.click(f"{EXCHANGES} .execute")
        await page.wait_for(f"document.querySelector('{EXCHANGES} .live-responses-table .response-col_status')")
        status = await page.evaluate(
            f"document.querySelector('{EXCHANGES} .live-responses-table tbody .response-col_status').innerText"
        )
        assert status.split()[0] == "200"
        assert "binance_futures" in await page.evaluate(f"document.querySelector('{EXCHANGES}').innerText")
        assert from_elsewhere(page, base) == []
        assert page.complaints == []


async def test_a_wrong_secret_is_told(door: Door, tmp_path: Path) -> None:
    base = str(door.http.base_url).rstrip("/")
    async with page_of(tmp_path) as page:
        await page.open(f"{base}/docs")
        await page.click(".authorize")
        await page.type(f"{FIELDS} [data-name=clientId]", door.forge.client_id)
        await page.type(f"{FIELDS} [data-name=clientSecret]", "wrong")
        await page.click(f"{FIELDS} .authorize")
        await page.wait_for(f"document.querySelector('{FIELDS} .errors')")
        assert "invalid_client" in await page.evaluate(f"document.querySelector('{FIELDS} .errors').innerText")
        assert "Authorized" not in await page.evaluate(f"document.querySelector('{FIELDS}').innerText")


async def test_a_code_leads_to_its_cure(door: Door, tmp_path: Path) -> None:
    base = str(door.http.base_url).rstrip("/")
    async with page_of(tmp_path) as page:
        await page.open(f"{base}/docs/errors#unsupported-interval")
        await page.wait_for("document.querySelector('h3:target')")
        assert "unsupported-interval" in await page.evaluate("document.querySelector('h3:target').innerText")
        assert await page.evaluate("document.fonts.size") == 0
        assert from_elsewhere(page, base) == []
        assert page.complaints == []
