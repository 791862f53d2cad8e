"""How the lines of the journal are kept: small, and always as they were, byte for byte."""

import zlib

from hookgate.audit.chain import digest, taken_apart

#: What most lines hold, so that the first bytes of each are short, too. Never to be changed: another one is another form.
_USUAL = (
    b'"duration_ms","questions":[{"question":"description":"pattern":"path":"url":"https://query":"prompt":"subagent_type":'
    b'"old_string":"new_string":"content":"limit":"offset":"replace_all":false,"run_in_background":"timeout":120000,'
    b"resource.PermissionRequest.vdefault#rule-resource.PostToolUse.vdefault#rule-resource.PreToolUse.vdefault#rule-"
    b'{"hookSpecificOutput":{"hookEventName":"PermissionRequest","decision":{"behavior":"deny"}}}'
    b'{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"deny","permissionDecisionReason":"'
    b'"type":"checkpoint","id":"","time":"2026-","detail":{"instance":"","key_id":"","covers_seq":,"covers_hash":"","signature":"'
    b'"type":"start","detail":{"version":"0.1.0","mode":"enforce"}}"host":"","labels":{},"attributes":{},'
    b'"transcript_path":"/home//.claude/projects/.jsonl","mcp_server":"","mcp_source":"","level":"redacted","body_digest":"",'
    b'"input_digest":"","cut":[],"response_bytes":0,"response_digest":"","failed":null,"interrupted":false,"ran_seconds":null,'
    b'"calls":[],"content":{},"content_bytes":{},"policy_version":"default"'
    b'{"version":1,"type":"decision","id":"01a2","time":"2026-11-22T","outcome":"no_match","mode":"observe","outcome":"deny",'
    b'"mode":"enforce","outcome":"allow","mode":"enforce","user":"","roles":["engineer"],"source":"header","verified":false,'
    b'"remote":"127.0.0.1","event":"PostToolUse","tool":"Grep","event":"PreToolUse","tool":"Bash","tool":"Edit","tool":"Read",'
    b'"session_id":"","prompt_id":"","tool_use_id":"toolu_01","agent_id":"","agent_type":"","permission_mode":"default","cwd":"/home/'
    b'","input":{"file_path":"/home/","input":{"command":"","description":""},"facts":{"version":1,"paths":[{"path":"/home/",'
    b'"written":"/home/","folded":"/home/","home":"~/","access":"read","inside_project":true,"recursive":false}],"hosts":[],'
    b'"commands":[],"inside_project":true,"opaque":false,"opaque_reasons":[],"altered":false,"dropped":[],"truncated":[]},'
    b'"body_bytes":,"effect":"EFFECT_DENY","effect":"EFFECT_ALLOW","policy":"resource.PreToolUse.vdefault","scope":"","outputs":[],'
    b'"dropped":[],"contradictions":[],"reason":"","error":"","error_detail":"","call_id":"","answer":{},"would_answer":null,'
    b'"unenforceable":false,"pdp_seconds":0.001,"total_seconds":0.002}'
)
#: 8 KiB without a header: most lines are shorter, and a larger window takes three times as long to make.
_WINDOW = -13
_PLAIN, _ZLIB = b"\x00", b"\x01"
#: Of one line; no record is longer, and nothing larger is unpacked.
_MAX_BYTES = 64 * 1024 * 1024


def packed(body: bytes) -> bytes:
    """Gives bytes in the form that the store keeps."""
    squeezer = zlib.compressobj(6, zlib.DEFLATED, _WINDOW, zdict=_USUAL)
    small = squeezer.compress(body) + squeezer.flush()
    return _ZLIB + small if len(small) < len(body) else _PLAIN + body


def unpacked(kept: bytes) -> bytes:
    """Gives the bytes again. Raises ValueError where they are damaged."""
    if kept[:1] == _PLAIN:
        return kept[1:]
    if kept[:1] != _ZLIB:
        raise ValueError("kept in a form that this version does not know")
    opener = zlib.decompressobj(_WINDOW, zdict=_USUAL)
    try:
        found = opener.decompress(kept[1:], _MAX_BYTES)
    except zlib.error as error:
        raise ValueError("damaged") from error
    if not opener.eof:
        raise ValueError("damaged")
    return found


def parts(line: bytes) -> tuple[bytes, bytes, bytes]:
    """Gives what is kept of a line: the hash before it and its own (32 bytes each), and its packed body. Of what is not a
    line of the chain, such as a record that was made smaller on its way, the hashes are empty and the body is all of it."""
    taken = taken_apart(line)
    if taken is None or not taken.holds:
        return b"", b"", packed(line)
    return bytes.fromhex(taken.prev.decode()), bytes.fromhex(taken.hash.decode()), packed(taken.body)


def line_of(seq: int, prev: bytes, own: bytes, kept: bytes) -> tuple[bytes, str]:
    """Gives the line again, and the hash of what it holds: another one than the journal's where the store was changed, none
    for a record that was made smaller on its way. Raises ValueError where it is damaged."""
    body = unpacked(kept)
    if not prev:
        return body, ""
    before = prev.hex().encode()
    line = b'{"seq":%d,"prev":"%b","hash":"%b",%b' % (seq, before, own.hex().encode(), body[1:])
    return line, digest(before, seq, body).decode()
