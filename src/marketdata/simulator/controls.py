"""What steers a simulator while it runs, for tests that hold it in their hands; others have `/_control`."""

from dataclasses import dataclass, field

from marketdata.simulator.faults import Faults
from marketdata.simulator.journal import Journal


@dataclass(frozen=True, slots=True)
class Controls:
    """The faults that one simulator plays, and its journal."""

    faults: Faults = field(default_factory=Faults)
    journal: Journal = field(default_factory=Journal)
