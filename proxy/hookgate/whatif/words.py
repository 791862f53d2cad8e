"""How what is counted is called where people read it."""

from collections.abc import Mapping

from hookgate.whatif.asked_again import Why
from hookgate.whatif.change import Change

CHANGES: Mapping[str, str] = {
    Change.NEWLY_DENIED: "newly denied",
    Change.NEWLY_ASKED: "newly asked",
    Change.NEWLY_ALLOWED: "newly allowed",
    Change.NEWLY_MATCHED: "newly spoken of, and let through",
    Change.NEWLY_UNMATCHED: "spoken of no more, and let through",
    Change.UNCHANGED: "unchanged",
}
WHYS: Mapping[str, str] = {
    Why.REDACTED: "a secret was taken out of what the policies read",
    Why.CUT: "what the policies read was cut, or left out for its size",
    Why.METADATA: "only metadata was recorded, and the policies read more",
    Why.NOT_RECORDED: "the policies read what is not recorded at this level, such as a prompt or what a tool answered",
    Why.FACTS_VERSION: "its facts are those of another version of Hookgate",
    Why.SCOPE: "the record does not say in which scope was asked",
    Why.SURROUNDINGS: "the policies read the time, a token or the PDP's globals",
    Why.NO_REQUEST: "it failed before the request was understood, or the record can't be read",
    Why.NO_ANSWER: "the PDP gave no answer to it",
}
