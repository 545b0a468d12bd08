"""Every place of every request that takes a text: in the path, the query, a header, the body."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from json import dumps
from typing import Any, Final
from urllib.parse import quote, urlencode

from tests.e2e.front_door.conftest import Door
from tests.e2e.front_door.operations import REQUESTS
from tests.e2e.front_door.raw import Answer, RawClient

HEADERS: Final = ("Accept", "Accept-Encoding", "Content-Type", "Cookie", "If-None-Match", "Origin", "User-Agent")
"""Headers that are read somewhere or might be, beside those that say who asks."""

_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"


@dataclass(frozen=True)
class Slot:
    """One place of one operation, and all else that makes its request good."""

    operation: str
    method: str
    template: str
    place: str
    """`path`, `query`, `header`, `form` or `json`."""
    name: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]
    json: Mapping[str, object] | None

    def __str__(self) -> str:
        return f"{self.operation} {self.place} {self.name}"

    async def ask(self, client: RawClient, value: str, *headers: tuple[bytes, bytes]) -> Answer:
        """The answer to the request with `value` in this place."""
        path, query, form, json = dict(self.path), dict(self.query), dict(self.form), dict(self.json or {})
        places: dict[str, dict[str, Any]] = {"path": path, "query": query, "form": form, "json": json, "header": {}}
        places[self.place][self.name] = value
        url = self.template.format(**{name: quote(text, safe="") for name, text in path.items()})
        if query:
            url += "?" + urlencode(query, quote_via=quote)
        sent = [*headers]
        if self.place == "header":
            sent.append((self.name.encode(), value.encode()))
        if not form and self.json is None:
            return await client.ask(url, sent, method=self.method)
        if self.name != "Content-Type":
            sent.append((b"Content-Type", (_FORM if form else _JSON).encode()))
        body = urlencode(form) if form else dumps(json)
        return await client.ask(url, sent, method=self.method, body=body.encode())


def slots(door: Door) -> Iterator[Slot]:
    """All of them, from the OpenAPI document."""
    for template, methods in door.document["paths"].items():
        for method, operation in methods.items():
            yield from _slots(door, template, method.upper(), operation)


def _slots(door: Door, template: str, method: str, operation: Mapping[str, Any]) -> Iterator[Slot]:
    parameters, request = operation["parameters"], REQUESTS[operation["operationId"]]
    form = {**(request.form or {})}
    if form:
        form |= {"client_id": door.forge.client_id, "client_secret": door.secret}
    bodies = operation.get("requestBody", {"content": {}})["content"]
    places = [(parameter["in"], parameter["name"]) for parameter in parameters]
    for media_type, content in bodies.items():
        places += [("form" if media_type == _FORM else "json", name) for name in content["schema"]["properties"]]
    places += [("header", name) for name in HEADERS]
    for place, name in places:
        yield Slot(
            operation=operation["operationId"],
            method=method,
            template=template,
            place=place,
            name=name,
            path=_examples(parameters, "path"),
            query=_examples(parameters, "query"),
            form=form,
            json=request.document or ({} if _JSON in bodies else None),
        )


def _examples(parameters: list[Mapping[str, Any]], place: str) -> dict[str, str]:
    return {one["name"]: str(one["example"]) for one in parameters if one["in"] == place and one["required"]}
