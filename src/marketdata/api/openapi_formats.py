"""The formats of candle answers, as the OpenAPI document describes them."""

from typing import Any, Final

from marketdata.api.answers import CandleAnswer, CandleRow

type Document = dict[str, Any]

_COMPONENTS: Final = "#/components/schemas/"
_JSON: Final = f"{CandleAnswer.__name__}_{CandleRow.__name__}_"
_CCXT: Final = f"{CandleAnswer.__name__}_CcxtRow_"


def formats_content() -> Document:
    """What a successful answer holds, by media type."""
    return {
        "application/json": {"schema": {"anyOf": [{"$ref": f"{_COMPONENTS}{name}"} for name in (_JSON, _CCXT)]}},
        "text/csv": {
            "schema": {"type": "string", "description": "RFC 4180 with a header line; null is an empty field."}
        },
        "application/x-ndjson": {
            "schema": {"type": "string", "description": "A JSON object on each line, with the columns of CSV."}
        },
    }


def formats_headers() -> Document:
    """The headers of a successful answer."""
    described = {
        "Link": '`rel="next"`, where there is a next page.',
        "Marketdata-Complete": "CSV and NDJSON: `true` or `false`, JSON's `page.complete`.",
        "Marketdata-Page": 'CSV and NDJSON: `count=2, limit=500, order="asc"`.',
        "Marketdata-Meta": "CSV and NDJSON: JSON's `meta` without its gaps, as a structured dictionary (RFC 9651) of"
        " strings; `symbol`, `exchange_symbol` and `volume_unit` are percent-encoded UTF-8.",
        "Marketdata-Gaps": "CSV and NDJSON, where there are gaps: for each reason how many, how many candles are"
        " missing, and from where to where: `missing;count=2;missing=5;start=1767225600000;end=1767229200000`.",
        "Marketdata-Warnings": "CSV and NDJSON, where there are warnings: their codes, each with its `start`,"
        ' `end`, `count` and `detail`: `no-longer-served;start=1767225600000;end=1767229200000;detail="…"`.',
    }
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in described.items()}


def ccxt_schemas(schemas: Document) -> Document:
    """The envelope in `schemas` with ccxt's rows."""
    answer: Document = schemas[_JSON]
    rows = {"type": "array", "items": {"$ref": f"{_COMPONENTS}CcxtRow"}}
    number = {"type": "number"}
    return {
        "CcxtRow": {
            "title": "CcxtRow",
            "description": "Open time (epoch ms), open, high, low, close, volume: with the digits of the exchange.",
            "type": "array",
            "prefixItems": [{"type": "integer"}, *[number] * 5],
            "minItems": 6,
            "maxItems": 6,
        },
        _CCXT: {
            **answer,
            "title": "CandleAnswer[CcxtRow]",
            "description": "The envelope with the rows of `format=ccxt`.",
            "properties": {**answer["properties"], "data": rows},
        },
    }
