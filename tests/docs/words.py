"""What the tables say that the code can't: what to do about an error, what the client does, what a log event means."""

from hookgate.errors import ErrorKind

MENDS: dict[ErrorKind, str] = {
    ErrorKind.REQUEST_MALFORMED: "Look for a header over `limits.header_bytes`, a control character in an identity header, or "
    "a proxy in between that changes requests.",
    ErrorKind.REQUEST_FOREIGN: "The record's `error_detail` says which. Find the page or program; where clients reach Hookgate by a "
    "name, add it to `server.allowed_hosts`.",
    ErrorKind.PATH_UNKNOWN: "Make the hook's `url` end in `server.path`.",
    ErrorKind.METHOD_UNKNOWN: "Something other than the client speaks to the port; find out what.",
    ErrorKind.CONTENT_TYPE_UNSUPPORTED: "Send `Content-Type: application/json`, as the client does by itself; take out a "
    "header in the settings that overrides it.",
    ErrorKind.ENCODING_UNSUPPORTED: "Let no proxy in between compress or re-encode requests.",
    ErrorKind.BODY_INCOMPLETE: "Look at the network between client and service; a client that is stopped in mid-call causes "
    "it, too.",
    ErrorKind.PAYLOAD_TOO_LARGE: "Let the agent split the work; raise `limits.body_bytes` if such calls are everyday ones.",
    ErrorKind.PAYLOAD_TOO_COMPLEX: "As above, with `limits.values`.",
    ErrorKind.PAYLOAD_MALFORMED: "The record's `error_detail` says where. Broken UTF-8, a key given twice, a number beyond a "
    "double or nesting beyond 100 levels is not what the client sends.",
    ErrorKind.EVENT_INVALID: "Something other than the client sends hooks.",
    ErrorKind.TOOL_INVALID: "As above; or a newer client has changed its payload: see the tested versions.",
    ErrorKind.SCOPE_UNKNOWN: "Add the scope to `pdp.scopes`, or mend the header in the client's settings.",
    ErrorKind.IDENTITY_INVALID: "The record's `error_detail` says what is wrong, never the credential itself: [Identity](identity.md).",
    ErrorKind.IDENTITY_REQUIRED: "Set up a credential for this client: [Identity](identity.md).",
    ErrorKind.IDENTITY_UNAVAILABLE: "The log event `keys_failed` says why the issuer's keys can't be fetched.",
    ErrorKind.PDP_TOO_LARGE: "Raise the PDP's `server.advanced.grpc.maxRecvMsgSizeBytes` and `pdp.max_request_bytes` alike.",
    ErrorKind.PDP_INVALID: "The record's `error_detail` has the PDP's words.",
    ErrorKind.OVERLOADED: "Give the PDP more cores or raise `decision.max_in_flight`; find the caller that floods.",
    ErrorKind.DEADLINE_EXCEEDED: "Look at the load of the machine; raise `decision.deadline_seconds`.",
    ErrorKind.PDP_TIMEOUT: "Look at the PDP's load and at `hookgate_pdp_duration_seconds`; a policy may be slow on long inputs.",
    ErrorKind.INTERNAL: "Please report it, with the log event `internal` and the payload's form.",
    ErrorKind.PDP_UNAVAILABLE: "Start the PDP; compare `pdp.address` and `pdp.tls` with its configuration, and the rights on "
    "its socket.",
    ErrorKind.PDP_REFUSED: "The record's `error_detail` has the gRPC status and the PDP's words.",
    ErrorKind.PDP_NONSENSE: "Something other than a Cerbos PDP answers at `pdp.address`, or one of another version.",
    ErrorKind.POLICY_MISSING: "Bring the policy back; look at the kind's spelling, `pdp.scope` and `pdp.policy_version`.",
    ErrorKind.CANARY_WRONG: "`/readyz` and the log event `canary` say which question. Mend or roll back the policies; decisions "
    "go on within a second.",
    ErrorKind.AUDIT_UNAVAILABLE: "Make room on the disk of `audit.directory`; look at its rights and at the disk's health.",
}

_NOTHING = "Nothing: the client takes no denial here."
_NO_HTTP = "Nothing: the client does not send this event over http; [`hookgate hook`](settings.md#sessionstart-setup-and-older-clients-hookgate-hook) does."
_UNMEASURED = "Not measured."

#: What the client does when it is told no, as measured (docs/client-measurements.md).
EFFECTS: dict[str, str] = {
    "PreToolUse": "The call does not run. The model reads the reason.",
    "PermissionRequest": "The prompt is withdrawn and the call does not run, unless a person has said yes first. The model "
    "reads the reason.",
    "PostToolUse": "The tool has run. The model reads the reason beside its output.",
    "PostToolUseFailure": "As for PostToolUse.",
    "PostToolBatch": "The calls have run. The turn ends before the next request to the model.",
    "PermissionDenied": _NOTHING,
    "UserPromptSubmit": "The model is not asked. The person reads the reason.",
    "UserPromptExpansion": "The model is not asked, and shell lines in the command do not run. The person reads the reason.",
    "Stop": "The agent goes on, with the reason as what to do.",
    "SubagentStop": "The subagent goes on.",
    "StopFailure": _NOTHING,
    "SubagentStart": "Nothing: deny the tool `Agent` on PreToolUse instead.",
    "Notification": _NOTHING,
    "SessionStart": _NO_HTTP,
    "SessionEnd": _NOTHING,
    "Setup": _NO_HTTP,
    "PreCompact": "The conversation is not compacted.",
    "PostCompact": _NOTHING,
    "PreModelSwitch": "The model is not switched. The person reads the reason.",
    "PostModelSwitch": _NOTHING,
    "TaskCreated": "The task is not made. The model reads the reason.",
    "TaskCompleted": "The task stays open. The model reads the reason.",
    "TeammateIdle": _UNMEASURED,
    "Elicitation": "The person is not asked; the MCP server is told `decline`.",
    "ElicitationResult": "The MCP server is told `decline`, whatever the person answered.",
    "ConfigChange": "The changed settings do not take effect in this session; the file stays changed for the next one.",
    "InstructionsLoaded": _NOTHING,
    "CwdChanged": _NOTHING,
    "FileChanged": _NOTHING,
    "DirectoryAdded": _NOTHING,
    "WorktreeCreate": "Not measured. Register no hook here: it would replace the making of the worktree.",
    "WorktreeRemove": _UNMEASURED,
    "MessageDisplay": _NOTHING,
}

#: Why a part of a policy's output is left out of an answer.
WHYS: dict[str, str] = {
    "evaluation_error": "The output's expression failed in the PDP; the record has its words.",
    "not_an_object": "The output is not an object.",
    "wrong_type": "The client demands another type there, and would throw the whole answer away.",
    "no_opinion": "A decision in none of the known words.",
    "no_defer": "`defer` where the client does not know it; read as `ask`.",
    "other_event": "`hookEventName` names another event; replaced by the one that fired.",
    "unknown_field": "The event has no such field.",
    "without_allow_or_ask": "`updatedInput` beside a denial or no opinion: a changed input travels only with a yes or a question.",
    "contradicts_itself": "Two different `updatedInput` in one output; the call is denied.",
    "no_effect": "`continue: true` says nothing.",
}

#: Log events by name.
LOG_EVENTS: dict[str, str] = {
    "collect_listening": "A [collector](fleet.md) takes records, and where.",
    "collect_stopping": "A collector was told to end: it stores what it has read.",
    "collect_enrolled": "A journal was enrolled with a collector, under which name and `how`.",
    "collect_finding": "Something is wrong with a `journal`, for the first time: which [kind](fleet.md#what-is-found), and how far the journal is.",
    "collect_store_failed": "A collector's store does not take or give something, or `collect.expected` can't be read, and why; it is tried again.",
    "policies_reloaded": "The PDP has read its policies again (`hookgate policies follow`). It says so of some broken ones, too: check them before.",
    "policies_reload_failed": "The PDP has not taken changed policies, or can't be reached; the old rules are in force. It is asked again until it does.",
    "no_tls": "Hooks come without TLS, and the address is not loopback.",
    "tls_refused": "A TLS handshake failed, with the address and OpenSSL's reason; `untold` others were refused before without a line of "
    "their own.",
    "identity_file_taken": "A file of tokens, keys or users has changed, and counts.",
    "identity_file_refused": "A file of tokens, keys, users or certificates has changed, and is broken: what it held before still counts.",
    "identity_header_empty": "A header came whose variable the client had not filled in. At most every 10 minutes for each header.",
    "keys_failed": "An issuer's keys could not be fetched, and why. Once for each reason in a row.",
    "keys_fetched": "An issuer's keys can be fetched again.",
    "started": "The listeners are open; with their addresses and the version.",
    "exposed": "Others can write what Hookgate rests on, or it runs as a user that it should not run as; also at `/readyz`, under `warnings`.",
    "stopping": "SIGTERM or Ctrl-C has come.",
    "stopped": "The end, with the number of requests that could not be answered any more (0, unless the grace period ran out).",
    "decision": "One decision: a warning with `error` and `detail` where none could be made; info for a denial or question; "
    "debug for the rest. Has the decision id, never the tool's input.",
    "canary": "What the canary finds has changed.",
    "policy_lost": "An event that had a policy has none any more.",
    "pdp_transport_fell_back": "Hookgate's own client of the PDP has met what it does not know, and why: grpcio has taken over until the next "
    "start. Decisions go on as before, somewhat slower.",
    "audit_unavailable": "A record could not be written.",
    "journal_gap": "The journal can be written again; with the period, and the counts of what is missing.",
    "journal_not_flushed": "What was written could not be flushed to the disk: a power cut would lose it. Once for a series.",
    "journal_held_up": "No record can be written any more, and why. Once, until it goes on.",
    "journal_goes_on": "Records can be written again.",
    "journal_locked": "Another Hookgate still has the journal; it is waited for as long as one may take to end.",
    "journal_removed": "Old segments were removed; an error where they had to make room before every shipper had them: `missed` "
    "counts what each had not got.",
    "journal_not_removed": "Old segments could not be removed, and why. Once for each reason in a row.",
    "earlier_records": "A `records.jsonl` of an earlier version lies in `audit.directory`; it stays as it is.",
    "output_field_dropped": "A field of a policy's output was left out of an answer; once for each rule, field and why.",
    "undelivered": "The client had gone before its answer was sent.",
    "enforcement_violated": "A call ran although its client was told to deny it.",
    "executed_differs": "A call ran with another input than the one that was judged.",
    "unasked": "A call ran that nobody had asked about.",
    "calls_forgotten": "The journal could not be read at the start: what ran meanwhile is not compared with what was judged before.",
    "settings_not_kept": "The settings' digests could not be kept: the next start can't tell what has changed.",
    "ship_started": "The shipping process has taken the journal; with its shippers.",
    "ship_ended": "It ends: `left` counts the lines that each shipper has not delivered, `shipped` those that it has.",
    "ship_waiting": "Another process still ships this journal; it takes over when that one ends.",
    "ship_listening": "The address of the metrics of a `hookgate ship` that runs by itself.",
    "ship_process_ended": "The shipping process has ended, could not be started, or hung and was killed; it is started again.",
    "ship_failed": "A sink did not take a batch, and what it said. The first of a row, then one a minute.",
    "ship_recovered": "The sink takes records again; with how often and how long it did not.",
    "ship_lagging": "A shipper is more than a minute behind. Once, until it has caught up.",
    "ship_refused": "A sink will never take a record: `shipped` is `reduced` where it took metadata and digest instead, or `nothing`.",
    "ship_skipped": "Lines that a shipper has not delivered and never will: `removed` before it came to them, or `damaged`.",
    "ship_restarted": "A shipper begins again: its cursor does not fit the journal (`new_chain`, `rewritten`) or is damaged "
    "(`cursor_damaged`), or its store was removed or emptied (`sink_empty`).",
    "ship_not_closed": "A sink could not be closed in order. Nothing is lost by it.",
    "cursor_not_saved": "How far a shipper has come could not be written down: what it delivers comes again after a restart. Once for "
    "a series.",
    "note_not_left": "What a shipper has to say in the chain could not be written; the log has it.",
    "notes_not_read": "What shippers have to say in the chain could not be read; it is tried again.",
    "note_unreadable": "A file in `notes/` is no note; it was removed.",
    "journal_not_read": "The shipping process can't read the journal, so that the lag is not known.",
    "traces_lost": "The collector did not take a batch of spans. The first of a row; the metric counts the spans.",
    "traces_sent": "The collector takes spans again.",
    "internal": "A fault of Hookgate's own, with the traceback or the exception's type.",
    "library": "A library warned; only its name and the exception's type are kept.",
    "console_listening": "The pages over the audit trail are served: with the address, and the file that holds the link that lets somebody in, "
    "where there is one.",
    "console_failed": "They can't be served, and why; it is tried again every 5 s. Shipping goes on.",
    "config_changed": "A changed configuration counts from here on; with the settings that have changed, and those that wait for a restart.",
    "config_refused": "A changed configuration has faults, and all stays as it was.",
    "config_unchanged": "SIGHUP has come, or the file was written again, and nothing in it has changed.",
    "no_reload": "SIGHUP has come, but there is no file to read again.",
}

#: Records about the service, by type.
SERVICE_RECORDS: dict[str, str] = {
    "tls_refused": "A connection ended in the TLS handshake: from where, and OpenSSL's reason; `untold` others before it have no record, as "
    "five a second are recorded.",
    "chain_start": "The first line of a chain: its id, its key's id and the public key (32 bytes in hexadecimal).",
    "key_changed": "From here on another key signs. `signature` is the announcement by the key before; without one, verification finds "
    "`new_key`, unless the key is trusted.",
    "journal_repair": "At a start, `cut_bytes` of a torn last line were cut; `damaged_lines` at the end do not hold and were left.",
    "gap": "In that period nothing could be written: `answers` counts the hook requests that were answered without a record, by outcome; "
    "`records` what else is missing, by type.",
    "checkpoint": "A signature that vouches for every line up to `covers_seq`.",
    "retention": "All lines up to `last_seq` were removed, by `age` or for want of room on the `disk`; `last_hash` is the hash of the "
    "last of them, `missed` counts what each shipper had not got. Signed by itself.",
    "start": "Hookgate has started. `config_digest`: keyed digest of all its settings.",
    "config_changed": "Settings that are not what they were, at the last start or before the file was changed: their paths, without "
    "values; none where it can't be told any more what they were. `waits_for_restart`: those that don't count yet.",
    "config_refused": "A changed configuration has faults and does not count. `settings`: where they are.",
    "stop": "Hookgate ends. `unanswered`: requests that were cut off.",
    "canary": "What the canary finds has changed, or which version of the policies the PDP evaluates (`policies`, as [the canary's policy](failure.md#the-canary) says).",
    "policy_lost": "An event that had a policy has none any more.",
    "undelivered": "The client of that decision had gone before its answer was sent: whether the call ran is not known.",
    "answer": "Follows a decision's record that was not written in time: `answer` is what was really sent.",
    "enforcement_violated": "The call of that decision ran although it was denied.",
    "executed_differs": "The call of that decision ran with another input than the one judged.",
    "unasked": "A call ran that nobody had asked about: its hook was switched off, or failed and let it through.",
    "console_viewed": "Somebody was shown records on the [pages](console.md): which page, what was asked for, and how many records.",
    "console_taken": "An auditor had the journal verified, or a report made or handed out (`what`).",
    "console_login": "Somebody came in to the pages, `by` a link, an identity provider (`oidc`) or a bearer token.",
    "console_logout": "Somebody went out again.",
    "console_refused": "Somebody could not come in.",
    "shipper_refused": "A sink will never take the record with that number and hash. `shipped`: `reduced` where it took metadata and "
    "digest instead, or `nothing`.",
    "shipper_skipped": "Lines that a shipper will never deliver: `removed` before it came to them, or `damaged`.",
    "shipper_restarted": "A shipper that had come to `last_seq` begins again at `first_seq`: this is another chain (`new_chain`), its "
    "last line is not there any more (`rewritten`), its cursor can't be read (`cursor_damaged`), or its store was removed or "
    "emptied (`sink_empty`).",
    "fleet_code": "A collector's operator has made a code to enrol `name` with.",
    "fleet_enrolled": "A journal was enrolled with a collector: its chain's id, its name in the fleet, the key that counts, and `how` (`code`, "
    "`certificate`).",
    "fleet_revoked": "A journal was revoked: nothing more is taken from it.",
    "fleet_finding": "Something is wrong with what a journal sent to a collector: which [kind](fleet.md#what-is-found), at which line, and `what`. "
    "Once for each; the store counts how often it is seen again.",
}

#: Labels of the metrics that are always 1 and only say something; their labels are set when the service starts.
INFO_LABELS: dict[str, tuple[str, ...]] = {
    "hookgate_build_info": ("version",),
    "hookgate_config_info": ("mode", "on_error", "no_match"),
}

#: Values of the metrics' labels.
LABELS: dict[str, str] = {
    "source": "Where the [identity](identity.md) comes from, `none` where nobody could be made out.",
    "verified": "`true` where something vouches for the user, else `false`.",
    "event": "The event's name; `unknown` if it is not in the [list](events.md#the-events), `none` if it could not be read.",
    "tool": "A tool of the client; `mcp:SERVER` for the first 50 MCP servers, then `mcp:other`; `other`; empty for an event "
    "without a tool.",
    "record": "The type of a [record](audit.md).",
    "kind": "An [error kind](failure.md#the-kinds).",
    "shipper": "The name of a shipper.",
    "status": "The answer's HTTP status.",
    "finding": "What is [wrong with a journal](fleet.md#what-is-found).",
    "result": "Of lines that came to a collector: `new` or `known`; of a changed configuration: `taken`, `refused` because of faults, or `unchanged`; of a fetch: `ok` or `failed`.",
    "reason": "Why segments were removed: `age`, or `disk` to make room.",
    "why": "Why a field was [dropped](events.md#what-is-dropped).",
}
