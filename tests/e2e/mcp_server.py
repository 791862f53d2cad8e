"""A small MCP server on standard input and output, run by the client under test.

Tools: `touch` makes a file, `ask` asks the person a question (an elicitation) and gives back the answer. One prompt: `hello`.
Only the standard library is used, so that any Python runs it.
"""

import json
import pathlib
import sys
from typing import Any

_TOOLS: list[dict[str, Any]] = [
    {
        "name": "touch",
        "description": "Make an empty file",
        "inputSchema": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    },
    {"name": "ask", "description": "Ask which environment", "inputSchema": {"type": "object", "properties": {}}},
]
_QUESTION: dict[str, Any] = {
    "message": "Which environment?",
    "requestedSchema": {
        "type": "object",
        "properties": {"env": {"type": "string", "enum": ["dev", "prod"]}},
        "required": ["env"],
    },
}


def _send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0"} | message) + "\n")
    sys.stdout.flush()


def _receive() -> dict[str, Any] | None:
    line = sys.stdin.readline()
    if not line:
        return None
    message: dict[str, Any] = json.loads(line)
    return message


def _ask() -> str:
    """Puts the question to the client and gives its answer as JSON."""
    _send({"id": "question", "method": "elicitation/create", "params": _QUESTION})
    while (message := _receive()) is not None:
        if message.get("id") == "question":
            return json.dumps(message.get("result") or message.get("error"))
    return "the client went away"


def _call(params: dict[str, Any]) -> dict[str, Any]:
    if params["name"] == "touch":
        path = pathlib.Path(params["arguments"]["path"])
        path.touch()
        text = f"made {path.name}"
    else:
        text = _ask()
    return {"content": [{"type": "text", "text": text}]}


def _result(method: str, params: dict[str, Any]) -> dict[str, Any]:
    if method == "initialize":
        return {
            "protocolVersion": params.get("protocolVersion", "2025-06-18"),
            "capabilities": {"tools": {}, "prompts": {}},
            "serverInfo": {"name": "demo", "version": "1.0"},
        }
    if method == "tools/list":
        return {"tools": _TOOLS}
    if method == "prompts/list":
        arguments = [{"name": "who", "required": False}]
        return {"prompts": [{"name": "hello", "description": "Greets", "arguments": arguments}]}
    if method == "prompts/get":
        who = (params.get("arguments") or {}).get("who", "")
        return {"messages": [{"role": "user", "content": {"type": "text", "text": f"hello {who}"}}]}
    return _call(params) if method == "tools/call" else {}


def main() -> None:
    while (message := _receive()) is not None:
        if "id" in message and "method" in message:
            _send({"id": message["id"], "result": _result(message["method"], message.get("params") or {})})


if __name__ == "__main__":
    main()
