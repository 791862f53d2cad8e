"""Bodies of every size and shape, with what each must end in."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hookgate.errors import ErrorKind

MEBIBYTE = 1024 * 1024
_HEAD = b'{"session_id":"s2","cwd":"/project","hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":'
_AFTER = b'{"session_id":"s2","hook_event_name":"PostToolUse","tool_name":"Bash","tool_input":{},"tool_response":'


@dataclass(frozen=True)
class Body:
    """One body, made when it is needed. `kind` is None where it is decided; `event` empty where it can't be told."""

    name: str
    make: Callable[[], bytes]
    kind: ErrorKind | None = None
    event: str = "PreToolUse"


def hook(**changes: Any) -> dict[str, Any]:
    """Gives a small payload, with keys changed or, by None, left out."""
    whole = {
        "session_id": "s2",
        "cwd": "/project",
        "hook_event_name": "PreToolUse",
        "tool_name": "Bash",
        "tool_input": {"command": "ls"},
        **changes,
    }
    return {key: value for key, value in whole.items() if value is not ...}


def text(**changes: Any) -> bytes:
    """Gives a small payload's bytes."""
    return json.dumps(hook(**changes)).encode()


def given(tool_input: bytes) -> bytes:
    """Gives a payload whose tool input is spelled as these bytes."""
    return _HEAD + tool_input + b"}"


def filled(unit: bytes, size_bytes: int) -> bytes:
    """Gives a payload with a command of so many bytes of this."""
    return given(b'{"command":"' + unit * (size_bytes // len(unit)) + b'"}')


def repeated(begin: bytes, unit: bytes, end: bytes, size_bytes: int) -> bytes:
    """Gives a body of nearly so many bytes."""
    return begin + unit * ((size_bytes - len(begin) - len(end)) // len(unit)) + end


def nested(levels: int, opening: bytes, closing: bytes) -> bytes:
    """Gives a payload of so many levels in all."""
    return given(b'{"a":' + opening * (levels - 2) + b"1" + closing * (levels - 2) + b"}")


MALFORMED, COMPLEX = ErrorKind.PAYLOAD_MALFORMED, ErrorKind.PAYLOAD_TOO_COMPLEX
LARGE, PDP_LARGE = ErrorKind.PAYLOAD_TOO_LARGE, ErrorKind.PDP_TOO_LARGE
EVENT, TOOL = ErrorKind.EVENT_INVALID, ErrorKind.TOOL_INVALID
_MOST = 32 * MEBIBYTE

#: No JSON, or JSON that two readers take differently.
BROKEN = [
    Body("nothing", lambda: b"", MALFORMED, ""),
    Body("blanks", lambda: b" \r\n\t", MALFORMED, ""),
    Body("null", lambda: b"null", MALFORMED, ""),
    Body("a list", lambda: b"[" + text() + b"]", MALFORMED),
    Body("a number", lambda: b"1", MALFORMED, ""),
    Body("a string", lambda: b'"PreToolUse"', MALFORMED, ""),
    Body("true", lambda: b"true", MALFORMED, ""),
    Body("no JSON", lambda: b"tool_name=Bash&command=ls", MALFORMED, ""),
    Body("markup", lambda: b"<hook_event_name>PreToolUse</hook_event_name>", MALFORMED, ""),
    Body("half of it", lambda: text()[:90], MALFORMED),
    Body("all but its end", lambda: text()[:-1], MALFORMED),
    Body("something behind it", lambda: text() + b"x", MALFORMED),
    Body("a NUL behind it", lambda: text() + b"\0", MALFORMED),
    Body("twice", lambda: text() * 2, MALFORMED),
    Body("a comment before it", lambda: b"/* */" + text(), MALFORMED),
    Body("a trailing comma", lambda: text()[:-1] + b",}", MALFORMED),
    Body("single quotes", lambda: text().replace(b'"', b"'"), MALFORMED, ""),
    Body("UTF-16", lambda: text().decode().encode("utf-16"), MALFORMED, ""),
    Body("UTF-16 without a mark", lambda: text().decode().encode("utf-16-le"), MALFORMED, ""),
    Body("UTF-32", lambda: text().decode().encode("utf-32"), MALFORMED, ""),
    Body("a byte order mark", lambda: b"\xef\xbb\xbf" + text(), MALFORMED),
    Body("invalid UTF-8", lambda: given(b'{"command":"\xff"}'), MALFORMED),
    Body("a surrogate in UTF-8", lambda: given(b'{"command":"\xed\xa0\x80"}'), MALFORMED),
    Body("an overlong slash", lambda: given(b'{"command":"\xc0\xaf"}'), MALFORMED),
    Body("a raw NUL", lambda: given(b'{"command":"a\0b"}'), MALFORMED),
    Body("a raw newline", lambda: given(b'{"command":"a\nb"}'), MALFORMED),
    Body("an escape that is none", lambda: given(b'{"command":"\\x41"}'), MALFORMED),
    Body("a leading zero", lambda: given(b'{"timeout":01}'), MALFORMED),
    Body("NaN", lambda: given(b'{"timeout":NaN}'), MALFORMED),
    Body("Infinity", lambda: given(b'{"timeout":Infinity}'), MALFORMED),
    Body("-Infinity", lambda: given(b'{"timeout":-Infinity}'), MALFORMED),
    Body("1e999", lambda: given(b'{"timeout":1e999}'), MALFORMED),
    Body("an integer of 400 digits", lambda: given(b'{"timeout":' + b"9" * 400 + b"}"), MALFORMED),
    Body("an integer of 4 MB", lambda: given(b'{"timeout":' + b"9" * 4_000_000 + b"}"), MALFORMED),
    Body("a double of 4 MB", lambda: given(b'{"timeout":' + b"9" * 4_000_000 + b".5}"), MALFORMED),
    Body("101 levels of lists", lambda: nested(101, b"[", b"]"), MALFORMED),
    Body("101 levels of objects", lambda: nested(101, b'{"a":', b"}"), MALFORMED),
    Body("100,000 levels", lambda: nested(100_000, b"[", b"]"), MALFORMED),
    Body("100,000 levels of objects", lambda: nested(100_000, b'{"a":', b"}"), MALFORMED),
    Body("100,000 levels that do not end", lambda: b"[" * 100_000, MALFORMED, ""),
    Body("a key twice", lambda: given(b'{"command":"ls","command":"rm"}'), MALFORMED),
    Body("a key twice, once escaped", lambda: given(b'{"command":"ls","comm\\u0061nd":"rm"}'), MALFORMED),
    Body("tool_input twice", lambda: given(b'{},"tool_input":{}'), MALFORMED),
    Body("tool_name twice, once escaped", lambda: given(b'{},"tool_nam\\u0065":"Read"'), MALFORMED),
    Body("two keys that differ by a lone surrogate", lambda: given(b'{"\\ud800":1,"\\udfff":2}'), MALFORMED),
    Body("the event twice", lambda: given(b'{},"hook_event_name":"Notification"'), MALFORMED),
    Body(
        "another event first",
        lambda: text(hook_event_name="Stop")[:-1] + b',"hook_event_name":"PreToolUse"}',
        MALFORMED,
        "",
    ),
    Body(
        "another event first, this one escaped",
        lambda: text(hook_event_name="Stop")[:-1] + b',"hook_event\\u005fname":"PreToolUse"}',
        MALFORMED,
        "",
    ),
    Body(
        "another event in the input of an escaped one",
        lambda: (
            b'{"hook_event\\u005fname":"PreToolUse","tool_name":"Bash","tool_input":{"hook_event_name":"SessionEnd","a":NaN}}'
        ),
        MALFORMED,
        "",
    ),
]

#: JSON, but not what the client sends.
WRONG = [
    Body("an empty object", lambda: b"{}", EVENT, ""),
    Body("no event", lambda: text(hook_event_name=...), EVENT, ""),
    Body("an event of null", lambda: text(hook_event_name=None), EVENT, ""),
    Body("an event that is a number", lambda: text(hook_event_name=5), EVENT, ""),
    Body("an event that is a list", lambda: text(hook_event_name=["PreToolUse"]), EVENT, ""),
    Body("an event that is empty", lambda: text(hook_event_name=""), EVENT, ""),
    Body("an event with a blank", lambda: text(hook_event_name="PreToolUse "), EVENT, ""),
    Body("an event with a NUL", lambda: text(hook_event_name="PreToolUse\0"), EVENT, ""),
    Body("an event with a dot", lambda: text(hook_event_name="Pre.Tool"), EVENT, ""),
    Body("an event beyond ASCII", lambda: text(hook_event_name="Prä"), EVENT, ""),
    Body("an event of a mebibyte", lambda: text(hook_event_name="P" * MEBIBYTE), EVENT, ""),
    Body("no tool", lambda: text(tool_name=...), TOOL),
    Body("a tool of null", lambda: text(tool_name=None), TOOL),
    Body("an empty tool", lambda: text(tool_name=""), TOOL),
    Body("a tool that is a number", lambda: text(tool_name=5), TOOL),
    Body("a tool that is an object", lambda: text(tool_name={"name": "Bash"}), TOOL),
    Body("a tool of 513 characters", lambda: text(tool_name="T" * 513), TOOL),
    Body("an input that is a string", lambda: text(tool_input="ls"), TOOL),
    Body("an input that is a list", lambda: text(tool_input=["ls"]), TOOL),
    Body("an input that is a number", lambda: text(tool_input=5), TOOL),
    Body("an input that is false", lambda: text(tool_input=False), TOOL),
    Body(
        "a prompt that is a list",
        lambda: text(hook_event_name="UserPromptSubmit", prompt=["x"]),
        MALFORMED,
        "UserPromptSubmit",
    ),
    Body("an empty key", lambda: text(**{"": 1}), ErrorKind.PDP_INVALID),
]

#: More than there is room for.
GREAT = [
    Body("one byte too many", lambda: filled(b"x", _MOST)[:_MOST] + b"x", LARGE),
    Body("48 MiB", lambda: filled(b"x", 48 * MEBIBYTE), LARGE),
    Body("a command of 32 MiB", lambda: filled(b"x", _MOST - 200), PDP_LARGE),
    Body("a command of 5 MiB", lambda: filled(b"x", 5 * MEBIBYTE), PDP_LARGE),
    Body("a session of 2 MiB", lambda: text(session_id="s" * (2 * MEBIBYTE)), PDP_LARGE),
    Body("blanks of 32 MiB", lambda: repeated(b"", b" ", text(), _MOST), PDP_LARGE, ""),
    Body("backslashes of 32 MiB", lambda: filled(b"\\\\", _MOST - 200), PDP_LARGE),
    Body("a string of 32 MiB that does not end", lambda: repeated(text()[:-3], b"\\", b"", _MOST), PDP_LARGE),
    Body("32 MiB of small values", lambda: repeated(_HEAD + b'{"a":[', b"0,", b"0]}}", _MOST), COMPLEX),
    Body("32 MiB of empty lists", lambda: repeated(_HEAD + b'{"a":[', b"[],", b"0]}}", _MOST), COMPLEX),
    Body("32 MiB of empty strings", lambda: repeated(_HEAD + b'{"a":[', b'"",', b"0]}}", _MOST), COMPLEX),
    Body("32 MiB of strings without commas", lambda: repeated(_HEAD + b"[", b'""', b"]}", _MOST), COMPLEX),
    Body("32 MiB of quotes", lambda: repeated(b"", b'"', b"", _MOST), COMPLEX, ""),
    Body("32 MiB of commas", lambda: repeated(b"{", b",", b"}", _MOST), COMPLEX, ""),
    Body("32 MiB of opening brackets", lambda: repeated(_HEAD, b"[", b"", _MOST), MALFORMED),
    Body("32 MiB of closing brackets", lambda: repeated(_HEAD, b"]", b"", _MOST), MALFORMED),
    Body("32 MiB of closing braces", lambda: repeated(b"{", b"}", b"", _MOST), MALFORMED, ""),
    Body("20,001 values", lambda: text(tool_input={"a": list(range(20_001))}), COMPLEX),
    Body(
        "a tool's response of 30 MiB of small values",
        lambda: repeated(_AFTER + b"[", b"0,", b"0]}", 30 * MEBIBYTE),
        COMPLEX,
        "PostToolUse",
    ),
]

#: Strange or heavy, but sound: the PDP is asked.
SOUND = [
    Body("100 levels of lists", lambda: nested(100, b"[", b"]")),
    Body("100 levels of objects", lambda: nested(100, b'{"a":', b"}")),
    Body("lone surrogates", lambda: given(b'{"command":"\\ud800 \\udc00\\ud800"}')),
    Body("surrogates in keys", lambda: given(b'{"\\ud800":1}')),
    Body("pairs of surrogates", lambda: given(b'{"command":"\\ud83d\\ude00"}')),
    Body("an integer of 300 digits", lambda: given(b'{"timeout":' + b"9" * 300 + b"}")),
    Body("13,000 integers of 300 digits", lambda: given(b'{"a":[' + b",".join([b"9" * 300] * 13_000) + b"]}")),
    Body("a fraction of 4 MB", lambda: given(b'{"timeout":0.' + b"1" * 4_000_000 + b"}")),
    Body("odd numbers", lambda: given(b'{"a":[-0,-0.0,1E2,1e-999,9007199254740993,1e308]}')),
    Body("an escaped NUL", lambda: given(b'{"command":"a\\u0000b"}')),
    Body("facts of its own", lambda: text(facts={"inside_project": True, "opaque": False})),
    Body("an input of null", lambda: text(tool_input=None)),
    Body("no input", lambda: text(tool_input=...)),
    Body("keys that JavaScript knows", lambda: text(__proto__={"a": 1}, constructor="x", toString=1)),
    Body("an empty key in the input", lambda: text(tool_input={"": {"": ""}})),
    Body("blanks around it", lambda: b" \r\n\t" + text() + b"\r\n"),
    Body("escapes in the event's name", lambda: text().replace(b"PreToolUse", b"\\u0050reToolUse")),
    Body("both directions of writing", lambda: text(tool_input={"command": "ls \u202e\u2066 \u2069 \u200f"})),
    Body(
        "invisible characters",
        lambda: text(tool_input={"command": "\ufeff\u200b\u2060\U000e0041\u00ad\uffff\U0010ffff"}),
    ),
    Body("combining characters", lambda: text(tool_name="Read", tool_input={"file_path": "\u0315\u0300" * 2048})),
    Body("a ligature of 18 letters, often", lambda: text(tool_name="Read", tool_input={"file_path": "\ufdfa" * 4096})),
    Body(
        "a directory of 3.9 MB",
        lambda: json.dumps(
            hook(cwd="/" + "\ufdfa" * 1_300_000, tool_name="Read", tool_input={"file_path": "a"}), ensure_ascii=False
        ).encode(),
    ),
    Body(
        "a directory of 3.9 MB of slashes",
        lambda: text(cwd="/a" * 1_950_000, tool_name="Read", tool_input={"file_path": "a"}),
    ),
    Body("a pattern of 3.9 MB", lambda: text(tool_name="Glob", tool_input={"pattern": "../" * 1_300_000})),
    Body("a tool like a pattern", lambda: text(tool_name="*")),
    Body("a tool with a NUL", lambda: text(tool_name="a\0\n:b")),
    Body("a tool of 512 characters", lambda: text(tool_name="\U0001f600" * 512)),
    Body(
        "identifiers of 100 kB",
        lambda: text(session_id="s" * 100_000, tool_use_id="t" * 100_000, prompt_id="p" * 100_000),
    ),
    Body("identifiers that are no text", lambda: text(session_id=5, tool_use_id=[], cwd=None, permission_mode={})),
    Body("a key of a mebibyte", lambda: text(tool_input={"k" * MEBIBYTE: 1})),
    Body("a command of 3.9 MB", lambda: filled(b"x", 3_900_000)),
    Body("a command of 3.9 MB of newlines", lambda: filled(b"\\n", 3_900_000)),
    Body("a command of 3.9 MB of lone surrogates", lambda: filled(b"\\ud800", 3_900_000)),
    Body("a command of 3.9 MB of key=value", lambda: filled(b"A=", 3_900_000)),
    Body("a command of 3.9 MB of As", lambda: filled(b"A", 3_900_000)),
    Body("a command of 3.9 MB of dashes", lambda: filled(b"-", 3_900_000)),
    Body("a command of 3.9 MB of dots and at signs", lambda: filled(b"a.b@", 3_900_000)),
    Body("19,000 strings", lambda: text(tool_input={"a": ["y" * 180] * 19_000})),
    Body("9,000 keys", lambda: text(tool_input={f"key {number}": {} for number in range(9000)})),
    Body("60 KiB of empty objects", lambda: text(tool_input={"a": {f"{number:x}": {} for number in range(6000)}})),
    Body("650 strings full of passwords", lambda: text(tool_input={"a": ["password=hunter22 " * 333] * 650})),
    Body("2,000 short passwords", lambda: text(tool_input={"a": ["password=hunter22"] * 2000})),
    Body("650 strings full of addresses", lambda: text(tool_input={"a": ["https://u:p@h/ " * 400] * 650})),
    Body("650 strings full of key ids", lambda: text(tool_input={"a": ["AKIAABCDEFGHIJKLMNOP " * 285] * 650})),
    Body(
        "650 strings full of tokens",
        lambda: text(tool_input={"a": ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOjF9.abcdef " * 140] * 650}),
    ),
    Body(
        "9,000 keys named passwords",
        lambda: text(tool_input={f"password{number}": "a" * 100 for number in range(9000)}),
    ),
    Body("64 KiB of small values", lambda: text(tool_input={"a": [0] * 16_000})),
    Body(
        "a tool's response of 31 MiB", lambda: repeated(_AFTER + b'"', b"x", b'"}', 31 * MEBIBYTE), None, "PostToolUse"
    ),
    Body(
        "a tool's response of 31 MiB of escapes",
        lambda: repeated(_AFTER + b'"', b"a\\n", b'"}', 31 * MEBIBYTE),
        None,
        "PostToolUse",
    ),
    Body(
        "a tool's response of 31 MiB of backslashes",
        lambda: repeated(_AFTER + b'"', b"\\\\", b'"}', 31 * MEBIBYTE),
        None,
        "PostToolUse",
    ),
    Body(
        "a tool's response of 31 MiB of quotes",
        lambda: repeated(_AFTER + b'"', b'\\"', b'"}', 31 * MEBIBYTE),
        None,
        "PostToolUse",
    ),
]

REFUSED = BROKEN + WRONG + GREAT
ALL = REFUSED + SOUND
