"""Tags, conditional requests, compression and lengths, as they come out of the application and of the server."""

import asyncio
import gzip
import itertools
import re
from collections.abc import Callable, Mapping

import httpx2
import zstandard
from starlette.responses import PlainTextResponse

from marketdata.api.delivery import Delivery, is_known
from tests.api.conftest import Api
from tests.api.test_server import head, on_a_socket, raw

SYMBOLS = "/v1/symbols"
STRONG = re.compile(r'"[0-9a-f]{32}(-zstd|-gzip)?"')
OF_THE_REQUEST = (b"date:", b"x-request-id:", b"server-timing:", b"age:", b"ratelimit:")
UNPACK: Mapping[str, Callable[[bytes], bytes]] = {
    "zstd": zstandard.ZstdDecompressor().decompress,
    "gzip": gzip.decompress,
}


async def get(api: Api, path: str, headers: Mapping[str, str]) -> tuple[httpx2.Response, bytes]:
    """The answer and its body as it was sent."""
    asked = {"Accept-Encoding": "identity", "Authorization": f"Bearer {api.token()}", **headers}
    async with api.http.stream("GET", path, headers=asked) as answer:
        return answer, b"".join([piece async for piece in answer.aiter_raw()])


async def test_one_body_in_each_coding_with_a_tag_of_its_own(api: Api) -> None:
    paths = (SYMBOLS, "/v1/intervals", "/openapi.json", "/docs/errors", "/docs/assets/swagger-ui.css")
    for path, coding in itertools.product(paths, UNPACK):
        plain, body = await get(api, path, {})
        packed, sent = await get(api, path, {"Accept-Encoding": coding})
        assert "content-encoding" not in plain.headers
        assert packed.headers["content-encoding"] == coding
        assert UNPACK[coding](sent) == body
        assert int(plain.headers["content-length"]) == len(body) > 1024
        assert int(packed.headers["content-length"]) == len(sent) < len(body)
        for answer in (plain, packed):
            assert STRONG.fullmatch(answer.headers["etag"])
            assert answer.headers["vary"] == "Accept-Encoding"
        assert packed.headers["etag"] == f'{plain.headers["etag"][:-1]}-{coding}"'
        again, _ = await get(api, path, {"Accept-Encoding": coding})
        assert again.headers["etag"] == packed.headers["etag"]


async def test_what_is_small_is_sent_as_it_is_unless_that_is_refused(api: Api) -> None:
    path = "/v1/symbols/coinbase/BTC-USD"
    small, body = await get(api, path, {"Accept-Encoding": "zstd, gzip"})
    assert len(body) <= 1024
    assert "content-encoding" not in small.headers
    forced, sent = await get(api, path, {"Accept-Encoding": "gzip, identity;q=0"})
    assert forced.headers["content-encoding"] == "gzip"
    assert gzip.decompress(sent) == body
    nothing, sent = await get(api, SYMBOLS, {"Accept-Encoding": "br, *;q=0"})
    assert nothing.status_code == 200
    assert "content-encoding" not in nothing.headers


async def test_the_bound_is_a_kibibyte(api: Api) -> None:
    sizes = {}
    for limit in range(1, 5):
        answer, _ = await get(api, f"{SYMBOLS}?limit={limit}", {"Accept-Encoding": "zstd"})
        _, body = await get(api, f"{SYMBOLS}?limit={limit}", {})
        sizes[len(body)] = "content-encoding" in answer.headers
    assert sizes == {size: size > 1024 for size in sizes}
    assert set(sizes.values()) == {False, True}


async def test_an_image_is_not_compressed_again(api: Api) -> None:
    answer, body = await get(api, "/docs/assets/favicon-32x32.png", {"Accept-Encoding": "gzip, *;q=0"})
    assert "content-encoding" not in answer.headers
    assert body.startswith(b"\x89PNG")


async def test_large_public_files_are_compressed_once(api: Api) -> None:
    path = "/docs/assets/swagger-ui-bundle.js"
    answers = await asyncio.gather(*(get(api, path, {"Accept-Encoding": "zstd"}) for _ in range(3)))
    later, sent = await get(api, path, {"Accept-Encoding": "zstd"})
    assert {body for _, body in answers} == {sent}
    assert len(UNPACK["zstd"](sent)) > 1_000_000
    assert "last-modified" not in later.headers  # a file is delivered as everything else


async def test_who_has_it_is_not_sent_it_again(api: Api) -> None:
    for coding in ("identity", "zstd", "gzip"):
        first, _ = await get(api, SYMBOLS, {"Accept-Encoding": coding})
        tag = first.headers["etag"]
        for known in (tag, f"W/{tag}", "*", f'"other", {tag}', f'"a,b" , W/{tag},'):
            second, body = await get(api, SYMBOLS, {"Accept-Encoding": coding, "If-None-Match": known})
            assert (second.status_code, body) == (304, b""), known
            must_carry = ("cache-control", "etag", "vary", "age", "marketdata-generation", "x-request-id")
            assert all(second.headers[name] for name in must_carry)
            for name in ("cache-control", "etag", "vary", "marketdata-generation"):
                assert second.headers[name] == first.headers[name]
            assert not [
                name for name in second.headers if name.startswith("content-") and name != "content-security-policy"
            ]


async def test_who_has_something_else_is(api: Api) -> None:
    first, whole = await get(api, SYMBOLS, {})
    packed, _ = await get(api, SYMBOLS, {"Accept-Encoding": "gzip"})
    tag = first.headers["etag"]
    others = (
        '"other"',
        tag.strip('"'),
        f"{tag}x",
        f"w/{tag}",
        tag.upper(),
        "W/*",
        '"*"',
        "",
        packed.headers["etag"],
        '"',
        '"' * 999,
    )
    for known in others:
        answer, body = await get(api, SYMBOLS, {"If-None-Match": known})
        assert (answer.status_code, body) == (200, whole), known


def test_a_tag_is_compared_whole() -> None:
    assert is_known('"x", "ab"', '"ab"')
    assert not is_known('"xab", "abx", "a b"', '"ab"')


async def test_another_body_has_another_tag(api: Api) -> None:
    tags = {(await get(api, f"{SYMBOLS}?limit={limit}", {}))[0].headers["etag"] for limit in (1, 2, 3)}
    tags.add((await get(api, "/v1/symbols/coinbase/BTC-USD", {}))[0].headers["etag"])
    assert len(tags) == 4


async def test_errors_and_what_is_of_the_moment_have_no_tag_and_are_not_kept(api: Api) -> None:
    paths = ("/v1/symbols?limit=0", "/v1/nothing", "/v1/symbols/coinbase/NO", "/health/live", "/health/ready")
    for path in paths:
        answer, _ = await get(api, path, {"If-None-Match": "*"})
        assert answer.status_code != 304
        assert "etag" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"
    token = await api.http.post("/v1/token", data={"grant_type": "client_credentials"})
    assert (token.status_code, token.headers["cache-control"]) == (401, "no-store")
    good = await api.http.post(
        "/v1/token", data={"grant_type": "client_credentials"}, auth=(api.client_id, api.client_secret)
    )
    assert (good.status_code, good.headers["cache-control"]) == (200, "no-store")
    assert "etag" not in good.headers


async def test_an_answer_to_a_post_is_not_kept_unless_it_says_so() -> None:
    for said, told in (({}, "no-store"), ({"Cache-Control": "max-age=1"}, "max-age=1")):
        app = Delivery(PlainTextResponse("a" * 2000, headers=said))
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://api") as http:
            answer = await http.post("/")
        assert answer.headers["cache-control"] == told
        assert not {"etag", "content-encoding"} & set(answer.headers)


async def test_what_needs_a_token_is_private_and_what_does_not_is_public(api: Api) -> None:
    for path in (
        SYMBOLS,
        "/v1/exchanges",
        "/v1/intervals",
        "/v1/status",
        "/v1/syncs",
        "/v1/resolve?name=x",
        "/v1/events",
    ):
        answer, _ = await get(api, path, {})
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, no-cache"), path
    for path in ("/.well-known/jwks.json", "/openapi.json", "/docs", "/docs/errors"):
        answer, _ = await get(api, path, {})
        assert answer.headers["cache-control"] == "public, max-age=300"
        assert STRONG.fullmatch(answer.headers["etag"])


async def test_metadata_in_memory_is_a_hit_and_what_was_is_not(api: Api) -> None:
    now, _ = await get(api, SYMBOLS, {})
    assert now.headers["cache-status"] == "marketdata; hit"
    api.clock.advance(10_000)
    then, _ = await get(api, f"{SYMBOLS}?as_of={api.clock.now_ms() - 5000}", {})
    assert then.status_code == 200
    assert "cache-status" not in then.headers


async def test_a_head_has_the_headers_of_the_get(api: Api) -> None:
    async with on_a_socket(api) as url:
        for more in (["Accept-Encoding: gzip"], ["Accept-Encoding: zstd", "If-None-Match: *"], []):
            answers = [await raw(url, head(api, method, SYMBOLS, *more)) for method in ("GET", "HEAD")]
            heads = [answer.partition(b"\r\n\r\n")[0].split(b"\r\n") for answer in answers]
            alike = [[line for line in lines if not line.startswith(OF_THE_REQUEST)] for lines in heads]
            assert alike[0] == alike[1]
            assert answers[1].endswith(b"\r\n\r\n")
            if b"304" not in heads[0][0]:
                length = next(int(line[15:]) for line in heads[0] if line.startswith(b"content-length:"))
                assert length == len(answers[0].partition(b"\r\n\r\n")[2]) > 0
            else:
                assert not any(line.startswith((b"content-length", b"transfer-encoding")) for line in heads[0])
