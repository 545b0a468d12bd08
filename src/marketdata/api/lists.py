"""The envelope of lists."""

from typing import Annotated

from pydantic import BaseModel, Field


class ListPage(BaseModel):
    """Where an answer stands in its list."""

    count: Annotated[int, Field(description="How many items this answer holds.")]
    limit: Annotated[int | None, Field(description="How many were asked for at most; null: the list is always whole.")]
    complete: Annotated[
        bool,
        Field(
            description="False while an exchange whose items belong here has not been read yet, so that some may be"
            " missing: ask again later. Each page speaks for its own moment."
        ),
    ]
    next: Annotated[str | None, Field(description="Path and query of the next page; null: this is the last.")]


class Listed[Item](BaseModel):
    """A list, or one page of it."""

    data: list[Item]
    page: ListPage


def whole[Item](items: list[Item], *, complete: bool = True) -> Listed[Item]:
    """All of a list at once; `complete`: whether every exchange that belongs into it has been read."""
    return Listed(data=items, page=ListPage(count=len(items), limit=None, complete=complete, next=None))
