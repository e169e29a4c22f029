"""The states of deliveries, of the outbox, and of the ledger, and who moves them; docs/state-machine.md draws them.

The database refuses a move that is not here (migrations, `check_transition`): an alarm, as the code makes no other.
"""

from typing import NamedTuple

from services.webhooks.domain import DeliveryState
from services.webhooks.ledger import EffectState, PublicationState


class Transition(NamedTuple):
    """One arrow: from (empty: the row begins), to (empty: it is deleted), and who makes it for which reason."""

    source: str
    target: str
    who: str


_D, _P, _E = DeliveryState, PublicationState, EffectState

DELIVERIES = (
    Transition("", _D.RECEIVED, "intake: a signed request of ours, before it is answered"),
    Transition(_D.RECEIVED, _D.PROCESSED, "worker: the event is in the outbox, written in the same transaction"),
    Transition(_D.RECEIVED, _D.IGNORED, "worker: understood, and nothing to do"),
    Transition(_D.RECEIVED, _D.FAILED, "worker: it can't be read, a bug of ours, or its attempts are spent"),
    Transition(_D.FAILED, _D.RECEIVED, "intake: the host sends it again; or a person"),
    Transition(_D.PROCESSED, _D.RECEIVED, "a person"),
    Transition(_D.IGNORED, _D.RECEIVED, "a person"),
    Transition(_D.PROCESSED, "", "pruning: after 30 days"),
    Transition(_D.IGNORED, "", "pruning: after 30 days"),
    Transition(_D.FAILED, "", "pruning: after 90 days"),
)
OUTBOX = (
    Transition("", "UNSENT", "worker or sweep: in the transaction of the cause"),
    Transition("UNSENT", "SENT", "relay: the bus has confirmed it"),
    Transition("SENT", "UNSENT", "relay: asked, the receiver does not have it"),
    Transition("SENT", "", "relay: asked, the receiver has it"),
)
PUBLICATIONS = (
    Transition("", _P.OPEN, "Publish: the first call of a run freezes what is posted"),
    Transition(_P.OPEN, _P.PUBLISHED, "Publish: every effect is on the host"),
    Transition(_P.OPEN, _P.SUPERSEDED, "Publish: closed, another head or base, and nothing of it is visible"),
    Transition(_P.OPEN, _P.REJECTED, "Publish: the host refuses for good"),
)
EFFECTS = (
    Transition("", _E.PLANNED, "Publish: before anything is done"),
    Transition(_E.PLANNED, _E.IN_DOUBT, "Publish: before the call to the host"),
    Transition(_E.PLANNED, _E.POSTED, "Publish: its mark is found on the host"),
    Transition(_E.PLANNED, _E.REJECTED, "Publish: another plan, the end of the publication, or no line is taken"),
    Transition(_E.IN_DOUBT, _E.POSTED, "Publish: the host has answered, or its mark is found there"),
    Transition(_E.IN_DOUBT, _E.PLANNED, "Publish: the host said no, or another plan has the same part"),
    Transition(_E.IN_DOUBT, _E.REJECTED, "Publish: another plan, or the end as superseded: none of it can be seen"),
    Transition(_E.REJECTED, _E.PLANNED, "Publish: another plan has it again"),
    Transition(_E.REJECTED, _E.POSTED, "Publish: found on the host after all, by its id"),
    Transition(_E.POSTED, _E.PLANNED, "Publish: found by another run, then gone from the host; planned anew"),
    Transition(_E.POSTED, _E.REJECTED, "Publish: found by another run, then gone from the host; another plan"),
)
