"""What became of calls: a denied one must not run, none with another input than the one judged, and none that nobody asked about.

All three happen when something else answers in our stead or beside us: a hook of the project that rewrites the input after our
answer, an answer that was lost on its way, a hook that was switched off. What is reported is certain: where it is not known
that every call of a prompt was heard of, none of its calls is said not to have been asked about.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from enum import StrEnum

import msgspec

from hookgate.audit.record import CallRecord

#: Calls, prompts and permission prompts remembered; beyond it the oldest is forgotten, and what becomes of it not compared.
_MAX_CALLS = 10_000
_MAX_ID_CHARACTERS = 256
#: The client itself completes these tools' input between PreToolUse and PostToolUse (2.1.330).
_COMPLETED_BY_CLIENT = frozenset({"AskUserQuestion", "SendMessage"})
_RAN = frozenset({"PostToolUse", "PostToolUseFailure"})


class Violation(StrEnum):
    """What does not add up."""

    #: A call ran although the client was told to deny it.
    ENFORCEMENT_VIOLATED = "enforcement_violated"
    #: A call ran with another input than the one that was judged.
    EXECUTED_DIFFERS = "executed_differs"
    #: A call ran, and nobody had asked about it.
    UNASKED = "unasked"


class Sighting(msgspec.Struct, frozen=True):
    """A hook request as far as others belong to it. Digests are keyed, of canonical JSON."""

    event: str
    decision_id: str
    #: Seconds since the epoch.
    at: float
    session_id: str = ""
    prompt_id: str = ""
    tool: str = ""
    tool_use_id: str = ""
    input_digest: str = ""
    #: Of the input that a policy put in its place.
    changed_digest: str = ""
    #: Whether the client was told to deny it.
    denied: bool = False
    ran_seconds: float | None = None
    calls: tuple[CallRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and the decision that it belongs to; none where nobody asked."""

    violation: Violation
    decision_id: str = ""


@dataclass(slots=True)
class _Call:
    decision_id: str
    denied: bool
    #: Of the input that may run; empty where that is not known.
    digest: str
    prompt: tuple[str, str]
    ended: bool = False


class Calls:
    """The calls heard of lately, by session and tool use id. `detect_unasked`: whether to look for those that nobody asked
    about."""

    def __init__(self, *, detect_unasked: bool = True) -> None:
        self._detect_unasked = detect_unasked
        self._calls: OrderedDict[tuple[str, str], _Call] = OrderedDict()
        #: Those that may still run, by prompt and input: a PermissionRequest names no call.
        self._open: dict[tuple[tuple[str, str], str], list[_Call]] = {}
        #: Permission prompts for calls that PreToolUse did not ask about.
        self._permissions: OrderedDict[tuple[tuple[str, str], str], _Call] = OrderedDict()
        #: Prompts known from when they were submitted, with that time: since then every call of theirs was heard of.
        self._prompts: OrderedDict[tuple[str, str], float] = OrderedDict()

    def saw(self, sighting: Sighting) -> Finding | None:
        """Takes note of a request that is answered; gives what is wrong with the call that it is about."""
        longest = max(len(sighting.session_id), len(sighting.prompt_id), len(sighting.tool_use_id))
        if not sighting.session_id or longest > _MAX_ID_CHARACTERS:
            return None
        match sighting.event:
            case "UserPromptSubmit":
                self._submitted(sighting)
            case "PreToolUse" if sighting.tool_use_id:
                self._judged(sighting)
            case "PermissionRequest":
                self._permitted(sighting)
            case "PostToolBatch":
                self._settled(sighting)
            case event if event in _RAN and sighting.tool_use_id:
                return self._ran(sighting)
        return None

    def missed(self) -> None:
        """Takes note that a call may have been let through unheard: of no prompt so far are all calls known."""
        self._prompts.clear()

    def _submitted(self, sighting: Sighting) -> None:
        if sighting.prompt_id:
            self._prompts[sighting.session_id, sighting.prompt_id] = sighting.at
            if len(self._prompts) > _MAX_CALLS:
                self._prompts.popitem(last=False)

    def _judged(self, sighting: Sighting) -> None:
        key = (sighting.session_id, sighting.tool_use_id)
        if (former := self._calls.pop(key, None)) is not None:
            self._close(former)
        call = _call(sighting)
        self._remember(key, call)
        if not call.denied:
            self._open.setdefault((call.prompt, call.digest), []).append(call)

    def _permitted(self, sighting: Sighting) -> None:
        """The prompt belongs to the one call with this input that may still run; with several of them nobody can tell."""
        permission = _call(sighting)
        waiting = self._open.get((permission.prompt, sighting.input_digest), [])
        if not waiting:
            self._permissions[permission.prompt, sighting.input_digest] = permission
            if len(self._permissions) > _MAX_CALLS:
                (prompt, _), _ = self._permissions.popitem(last=False)
                self._prompts.pop(prompt, None)
        elif len(waiting) == 1:
            call = waiting[0]
            self._close(call)
            call.digest, call.denied = permission.digest, permission.denied
            if call.denied:
                call.decision_id = permission.decision_id
            else:
                self._open.setdefault((call.prompt, call.digest), []).append(call)
        elif sighting.changed_digest:
            for call in waiting:
                call.digest = ""
            del self._open[permission.prompt, sighting.input_digest]

    def _settled(self, sighting: Sighting) -> None:
        """A batch tells that its calls are over, but not how: calls that were denied or invalid are in it, and invalid ones
        were never asked about (measured, 2.1.330). So nothing in it is a violation by itself."""
        for one in sighting.calls:
            call = self._calls.get((sighting.session_id, one.tool_use_id))
            if call is not None:
                self._close(call)

    def _ran(self, sighting: Sighting) -> Finding | None:
        key = (sighting.session_id, sighting.tool_use_id)
        call = self._calls.get(key)
        if call is None:
            asked = self._permissions.get(((sighting.session_id, sighting.prompt_id), sighting.input_digest))
            if asked is None:
                return self._unasked(sighting)
            call = replace(asked)
            self._remember(key, call)
        if call.ended:
            return None
        self._close(call)
        call.ended = True
        if call.denied:
            return Finding(Violation.ENFORCEMENT_VIOLATED, call.decision_id)
        differs = call.digest and sighting.input_digest and call.digest != sighting.input_digest
        if differs and sighting.tool not in _COMPLETED_BY_CLIENT:
            return Finding(Violation.EXECUTED_DIFFERS, call.decision_id)
        return None

    def _unasked(self, sighting: Sighting) -> Finding | None:
        submitted = self._prompts.get((sighting.session_id, sighting.prompt_id))
        began = sighting.at - (sighting.ran_seconds or 0.0)
        if not self._detect_unasked or submitted is None or began < submitted:
            return None
        self._remember((sighting.session_id, sighting.tool_use_id), replace(_call(sighting), ended=True))
        return Finding(Violation.UNASKED)

    def _remember(self, key: tuple[str, str], call: _Call) -> None:
        self._calls[key] = call
        if len(self._calls) > _MAX_CALLS:
            _, oldest = self._calls.popitem(last=False)
            self._close(oldest)
            # Now there is a call of this prompt that is not known any more.
            self._prompts.pop(oldest.prompt, None)

    def _close(self, call: _Call) -> None:
        waiting = self._open.get((call.prompt, call.digest), [])
        kept = [one for one in waiting if one is not call]
        if kept:
            self._open[call.prompt, call.digest] = kept
        else:
            self._open.pop((call.prompt, call.digest), None)


def _call(sighting: Sighting) -> _Call:
    return _Call(
        sighting.decision_id,
        sighting.denied,
        sighting.changed_digest or sighting.input_digest,
        (sighting.session_id, sighting.prompt_id),
    )
