"""A Chromium without a window, driven through its DevTools protocol."""

import asyncio
import itertools
import json
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from websockets.asyncio.client import ClientConnection, connect

CHROMIUM = Path("/usr/bin/chromium")
"""Where Debian's package `chromium` puts it."""

_PATIENCE_S = 60.0
_LOOK_S = 0.05
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # tests run as root in containers; the page is ours
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
)


class Page:
    """One page, what it asked for and what it complained about."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.requested: list[str] = []
        self.complaints: list[str] = []

    async def listen(self) -> None:
        """Take what the browser tells, until it is gone."""
        async for text in self._connection:
            message = json.loads(text)
            match message.get("method"):
                case None:
                    self._waiting.pop(message["id"]).set_result(message)
                case "Network.requestWillBeSent":
                    self.requested.append(message["params"]["request"]["url"])
                case "Log.entryAdded":
                    entry = message["params"]["entry"]
                    if entry["level"] in {"error", "warning"}:
                        self.complaints.append(f"{entry['text']} {entry.get('url', '')}")
                case "Runtime.exceptionThrown":
                    self.complaints.append(str(message["params"]["exceptionDetails"]))
                case _:
                    pass

    async def do(self, method: str, **params: object) -> Any:
        """The result of a command of the protocol."""
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._connection.send(json.dumps({"id": number, "method": method, "params": params}))
        answer = await asyncio.wait_for(self._waiting[number], _PATIENCE_S)
        assert "error" not in answer, answer
        return answer["result"]

    async def open(self, url: str) -> None:
        """Go to a page, recording from its first request on."""
        for domain in ("Network", "Log", "Runtime", "Page"):
            await self.do(f"{domain}.enable")
        await self.do("Page.navigate", url=url)

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        result = await self.do("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def wait_for(self, expression: str) -> None:
        """Return when an expression has become true."""
        async with asyncio.timeout(_PATIENCE_S):
            while not await self.evaluate(f"Boolean({expression})"):
                await asyncio.sleep(_LOOK_S)

    async def click(self, selector: str) -> None:
        """Click an element once it is there."""
        found = f"document.querySelector({json.dumps(selector)})"
        await self.wait_for(found)
        await self.evaluate(f"{found}.click()")

    async def type(self, selector: str, text: str) -> None:
        """Type a text into an element once it is there."""
        found = f"document.querySelector({json.dumps(selector)})"
        await self.wait_for(found)
        await self.evaluate(f"{found}.focus()")
        await self.do("Input.insertText", text=text)


@asynccontextmanager
async def page_of(folder: Path) -> AsyncIterator[Page]:
    """A new page while the block runs; `folder`: for the browser's own files."""
    process = await asyncio.create_subprocess_exec(
        CHROMIUM, *_OPTIONS, f"--user-data-dir={folder}", "about:blank", stdout=DEVNULL, stderr=DEVNULL
    )
    try:
        url = await asyncio.wait_for(_address(folder), _PATIENCE_S)
        async with connect(url, max_size=None) as connection:
            page = Page(connection)
            listening = asyncio.create_task(page.listen())
            yield page
            await page.do("Browser.close")
            listening.cancel()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _address(folder: Path) -> str:
    """Where the page is spoken to, as the browser tells it."""
    told = folder / "DevToolsActivePort"
    while not (told.exists() and told.read_text().count("\n")):
        await asyncio.sleep(_LOOK_S)
    port = told.read_text().splitlines()[0]
    async with httpx2.AsyncClient(trust_env=False) as http:
        targets = (await http.get(f"http://127.0.0.1:{port}/json/list")).json()
    return str(next(target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page"))
