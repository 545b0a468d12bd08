"""What the declarative models of all tables are made of.

Outside SQL a number is decimal text and a time is epoch milliseconds, as in the canonical model; `Decimals` and
`EpochMs` convert inside the database, where both are exact.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    BindParameter,
    CheckConstraint,
    ColumnElement,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    cast,
    extract,
    func,
    literal_column,
    type_coerce,
)
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import UserDefinedType


class Decimals(UserDefinedType[str]):
    """NUMERIC, read and written as text, digit for digit; NUMERIC prints plain notation and keeps trailing zeros."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The type's name in PostgreSQL."""
        return "NUMERIC"

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Read as text."""
        return cast(column, Text)

    def bind_expression(self, bindvalue: BindParameter[str]) -> ColumnElement[Any]:
        """Write from text."""
        return cast(type_coerce(bindvalue, Text), Numeric)


class EpochMs(UserDefinedType[int]):
    """TIMESTAMP WITH TIME ZONE, read and written as integer epoch milliseconds."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The type's name in PostgreSQL."""
        return "TIMESTAMP WITH TIME ZONE"

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Read as milliseconds; EXTRACT gives an exact NUMERIC."""
        return cast(extract("epoch", column) * 1000, BigInteger)

    def bind_expression(self, bindvalue: BindParameter[int]) -> ColumnElement[Any]:
        """Write from milliseconds."""
        return timestamp(type_coerce(bindvalue, BigInteger))


def timestamp(epoch_ms: ColumnElement[int]) -> ColumnElement[Any]:
    """The SQL expression for a timestamp from one for epoch milliseconds."""
    return func.to_timestamp(epoch_ms / literal_column("1000.0"))


def one_of(column: str, words: Iterable[str]) -> CheckConstraint:
    """A check, named after the column, that it holds one of our words."""
    return CheckConstraint(f"{column} IN ({', '.join(f"'{word}'" for word in words)})", name=column)


def array_of(column: str, words: Iterable[str]) -> CheckConstraint:
    """A check, named after the column, that an array holds only our words."""
    return CheckConstraint(f"{column} <@ ARRAY[{', '.join(f"'{word}'" for word in words)}]", name=column)


class Row(DeclarativeBase):
    """The root of the declarative models: how Python types map to columns and how constraints are named."""

    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {str: Text, int: BigInteger, bytes: LargeBinary}


def table_of(row: type[Row]) -> Table:
    """The Core table of a declarative model, typed as what it is."""
    table = row.__table__
    if not isinstance(table, Table):
        raise TypeError(row.__name__)
    return table
