"""Whether the process is up, and whether it can serve."""

from typing import Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from marketdata.api.dependencies import ServicesNeeded, check_query, never_keep
from marketdata.api.openapi import problems
from marketdata.api.problems import not_ready

router = APIRouter(prefix="/health", tags=["health"], dependencies=[Depends(check_query), Depends(never_keep)])


class Liveness(BaseModel):
    """The process answers."""

    status: Literal["live"] = "live"


class Readiness(BaseModel):
    """The service can answer from its metadata; without the database it goes on with what it holds."""

    status: Literal["ready"] = "ready"
    database: Literal["ok", "unreachable"]


@router.get("/live", operation_id="getLiveness", summary="Is the process up?", responses=problems())
async def get_liveness() -> Liveness:
    """Answers as long as the process does; asks nothing of database or exchanges."""
    return Liveness()


@router.get("/ready", operation_id="getReadiness", summary="Can it serve?", responses=problems("metadata-not-ready"))
async def get_readiness(services: ServicesNeeded) -> Readiness:
    """Ready means: metadata of at least one exchange is held, and the process is not about to end.

    The database may be away meanwhile; the body says so.
    """
    if services.is_stopping or not services.catalogue.is_ready:
        why = "This process is stopping" if services.is_stopping else "No exchange's instruments have been read yet"
        problem = not_ready(why)
        problem.members["database"] = services.database_condition
        raise problem
    return Readiness(database=services.database_condition)
