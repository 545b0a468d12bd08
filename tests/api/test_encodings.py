"""What `Accept-Encoding` chooses, and that what is compressed is the same again when it is unpacked."""

import gzip

import pytest
import zstandard

from marketdata.api.encodings import Choice, Coding, choose_coding, compress

CHROME = "gzip, deflate, br, zstd"


@pytest.mark.parametrize(
    "accept,coding",
    [
        ("", "identity"),
        (CHROME, "zstd"),
        ("gzip, deflate", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        (" zstd ; q=0.5 ,gzip;q=0.9", "gzip"),
        ("gzip;q=0.5, zstd;q=0.5", "zstd"),
        ("*", "gzip"),
        ("*;q=0.1, gzip;q=0", "identity"),
        ("*;q=0", "identity"),
        ("zstd;q=0, *", "gzip"),
        ("br", "identity"),
        ("identity", "identity"),
        ("identity, gzip;q=0.5", "identity"),
        ("identity;q=0.5, gzip", "gzip"),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("gzip;q=0.001", "gzip"),
        ("gzip;q=0", "identity"),
        ("gzip;q=0.000, zstd;q=0.", "identity"),
        ("gzip;q=nonsense", "gzip"),
        (",,;;q=1,=", "identity"),
        ("gzip" + "," * 1000, "identity"),
    ],
)
def test_the_best_coding_that_we_have(accept: str, coding: Coding) -> None:
    assert choose_coding(accept) == Choice(coding, is_plain_refused=False)


@pytest.mark.parametrize(
    "accept,coding,refused",
    [
        ("gzip, identity;q=0", "gzip", True),
        ("zstd, *;q=0", "zstd", True),
        ("zstd, *;q=0, identity", "zstd", False),
        ("zstd;q=0.1, identity;q=0.0", "zstd", True),
        ("identity;q=0", "identity", False),
        ("br, *;q=0", "identity", False),
    ],
)
def test_where_plain_is_refused(accept: str, coding: str, *, refused: bool) -> None:
    assert tuple(choose_coding(accept)) == (coding, refused)


@pytest.mark.parametrize("size", [0, 1, 1025, 100_000])
def test_unpacked_it_is_the_same_again(size: int) -> None:
    body = (b'{"open_time":1767225600000,"open":"42000.10"}' * (size // 40 + 1))[:size]
    assert compress(body, "identity") == body
    assert gzip.decompress(compress(body, "gzip")) == body
    assert zstandard.ZstdDecompressor().decompress(compress(body, "zstd")) == body


def test_equal_bytes_are_compressed_to_equal_bytes() -> None:
    body = b"1767225600000,42000.10\r\n" * 1000
    for coding in ("zstd", "gzip"):
        assert compress(body, coding) == compress(bytes(bytearray(body)), coding)
    assert compress(body, "gzip")[4:8] == bytes(4)  # no time in gzip's head
