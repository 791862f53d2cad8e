"""A collector to ship to: a process of its own, which can be frozen, killed and started again with what it had.

Run as a program it listens, and appends each record that it takes to a file. It reads bodies as strictly as it can, and what a
test puts in its way is in `Trouble`s, which it meets one request at a time.
"""

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from tests.support.wait import free_port, until

ROOT = Path(__file__).resolve().parents[2]
#: A document with this text is refused by the index, one with the other is put off once.
REFUSED, PUT_OFF = "never-in-this-index", "not-yet-in-this-index"


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one request: answered with a status, nothing being taken, or `taken` first; or cut off."""

    status: int = 0
    body: str = ""
    taken: bool = False
    cut: bool = False
    location: str = ""


class Collector:
    """One collector process. Paths: /ndjson, /array, /hec, /index/_bulk, /v1/logs, /v1/traces."""

    def __init__(self, directory: Path, certificate: Path | None = None) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="collector-", dir=directory))
        self._certificate = certificate
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, path: str, user: str = "") -> str:
        """Gives the address of a path."""
        scheme = "https" if self._certificate else "http"
        return f"{scheme}://{user + '@' if user else ''}127.0.0.1:{self._port}{path}"

    def start(self) -> "Collector":
        """Starts it and waits until it listens."""
        ready = self._directory / "ready"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.support.collectors", str(self._directory), str(self._port)]
        if self._certificate:
            command.append(str(self._certificate))
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}/proxy:{ROOT}"}
        self._process = subprocess.Popen(command, env=environment, cwd=ROOT)
        until(ready.exists, seconds=30, what="the collector to listen")
        return self

    def meets(self, *troubles: Trouble) -> None:
        """What the next requests meet."""
        draft = self._directory / "troubles.draft"
        draft.write_bytes(msgspec.json.encode(troubles))
        draft.replace(self._directory / "troubles")

    @property
    def met(self) -> bool:
        """Whether all of that has been met."""
        return not (self._directory / "troubles").exists()

    @property
    def records(self) -> list[dict[str, Any]]:
        """What it has taken, in order: `id`, `path`, `headers`, `document`."""
        path = self._directory / "records"
        return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []

    @property
    def ids(self) -> Counter[str]:
        """How often it has each record."""
        return Counter(record["id"] for record in self.records)

    def forget(self) -> None:
        """Lets it have nothing, and meet nothing."""
        for name in ("records", "troubles"):
            (self._directory / name).unlink(missing_ok=True)

    def freeze(self) -> None:
        """Stops it without ending it: connections are still taken, by the kernel, and nothing is answered."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it go on."""
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        """Ends it at once."""
        if self._process is not None:
            self._send(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


class _Server:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._records = directory / "records"
        self._put_off: set[str] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        trouble = self._next_trouble()
        if trouble is not None and not trouble.taken:
            return await self._troubled(request, trouble)
        answer = self._take(request, await request.read())
        return answer if trouble is None else await self._troubled(request, trouble)

    def _next_trouble(self) -> Trouble | None:
        path = self._directory / "troubles"
        if not path.exists():
            return None
        first, *others = msgspec.json.decode(path.read_bytes(), type=list[Trouble])
        if others:
            path.write_bytes(msgspec.json.encode(others))
        else:
            path.unlink()
        return first

    async def _troubled(self, request: web.Request, trouble: Trouble) -> web.StreamResponse:
        if trouble.cut:
            # In the middle of the body, or behind it where that was taken.
            assert request.transport is not None
            request.transport.abort()
        else:
            await request.read()
        headers = {"Location": trouble.location} if trouble.location else {}
        echo = trouble.body.replace("{headers}", json.dumps(dict(request.headers)) + str(request.url))
        return web.Response(status=trouble.status or 200, text=echo, headers=headers)

    def _take(self, request: web.Request, body: bytes) -> web.Response:
        headers = dict(request.headers)
        path = request.path
        if path == "/ndjson":
            assert body.endswith(b"\n")
            self._keep(path, headers, [_identified(json.loads(line)) for line in body[:-1].split(b"\n")])
            return web.Response()
        if path == "/array":
            self._keep(path, headers, [_identified(item) for item in json.loads(body)])
            return web.Response(status=202)
        if path == "/hec":
            return self._take_events(path, headers, body)
        if path == "/v1/logs":
            return self._take_logs(path, headers, body)
        if path == "/v1/traces":
            return self._take_traces(path, headers, body)
        return self._take_operations(path, headers, body)

    def _take_events(self, path: str, headers: dict[str, str], body: bytes) -> web.Response:
        decoder, text, events = json.JSONDecoder(), body.decode().strip(), []
        while text:
            event, end = decoder.raw_decode(text)
            if set(event) - {"time", "host", "source", "sourcetype", "index", "event", "fields"}:
                return web.json_response({"text": "Invalid data format", "code": 6}, status=400)
            events.append(event)
            text = text[end:].lstrip()
        self._keep(path, headers, [(event["fields"]["record_id"], event) for event in events])
        return web.json_response({"text": "Success", "code": 0})

    def _take_operations(self, path: str, headers: dict[str, str], body: bytes) -> web.Response:
        assert body.endswith(b"\n")
        lines = [json.loads(line) for line in body[:-1].split(b"\n")]
        there = {record["id"] for record in map(json.loads, self._lines()) if record["path"] == path}
        items, new = [], []
        for action, document in zip(lines[::2], lines[1::2], strict=True):
            (name,) = action
            assert name == "create"
            assert "@timestamp" in document
            identity, said = action[name]["_id"], json.dumps(document)
            if identity in there:
                status, error = 409, {"type": "version_conflict_engine_exception", "reason": "document already exists"}
            elif REFUSED in said:
                status, error = 400, {"type": "document_parsing_exception", "reason": f"failed to parse {said[:100]}"}
            elif PUT_OFF in said and identity not in self._put_off:
                self._put_off.add(identity)
                status, error = 429, {"type": "es_rejected_execution_exception", "reason": "queue is full"}
            else:
                status, error = 201, {}
                there.add(identity)
                new.append((identity, {**document, "_index": action[name].get("_index")}))
            items.append({name: {"_id": identity, "status": status, **({"error": error} if error else {})}})
        self._keep(path, headers, new)
        return web.json_response(
            {"took": 1, "errors": any("error" in item["create"] for item in items), "items": items}
        )

    def _take_logs(self, path: str, headers: dict[str, str], body: bytes) -> web.Response:
        # As a collector reads it, and stricter: no field that the protocol does not have.
        from google.protobuf import json_format
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

        request = json_format.Parse(body, ExportLogsServiceRequest())
        found, rejected = [], 0
        for resource_logs in json_format.MessageToDict(request)["resourceLogs"]:
            for log in resource_logs["scopeLogs"][0]["logRecords"]:
                if REFUSED in log["body"]["stringValue"]:
                    rejected += 1
                    continue
                attributes = {one["key"]: one["value"] for one in log["attributes"]}
                document = {**log, "attributes": attributes, "resource": resource_logs["resource"]}
                found.append((attributes["log.record.uid"]["stringValue"], document))
        self._keep(path, headers, found)
        partial = {"rejectedLogRecords": str(rejected), "errorMessage": "too strange"} if rejected else {}
        return web.json_response({"partialSuccess": partial} if partial else {})

    def _take_traces(self, path: str, headers: dict[str, str], body: bytes) -> web.Response:
        from google.protobuf import json_format
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        found = []
        for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = json_format.MessageToDict(resource_spans.resource)
            for span in (span for scope in resource_spans.scope_spans for span in scope.spans):
                document = {
                    **json_format.MessageToDict(span),
                    "traceId": span.trace_id.hex(),
                    "spanId": span.span_id.hex(),
                    "parentSpanId": span.parent_span_id.hex(),
                    "links": [link.trace_id.hex() for link in span.links],
                    "attributes": {one.key: one.value.string_value for one in span.attributes},
                    "resource": {one["key"]: one["value"].get("stringValue", "") for one in resource["attributes"]},
                }
                found.append((span.span_id.hex(), document))
        self._keep(path, headers, found)
        return web.Response(content_type="application/x-protobuf")

    def _lines(self) -> list[bytes]:
        return self._records.read_bytes().splitlines() if self._records.exists() else []

    def _keep(self, path: str, headers: dict[str, str], records: list[tuple[str, Any]]) -> None:
        lines = [json.dumps({"id": i, "path": path, "headers": headers, "document": d}) for i, d in records]
        with self._records.open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))


def _identified(document: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return document.get("id") or document["metadata"]["uid"], document


async def _serve(directory: Path, port: int, certificate: Path | None) -> None:
    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.router.add_post("/{path:.*}", _Server(directory).handle)
    runner = web.AppRunner(application)
    await runner.setup()
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context, reuse_address=True).start()
    (directory / "ready").touch()
    await asyncio.Event().wait()


if __name__ == "__main__":
    where, number, *pem = sys.argv[1:]
    asyncio.run(_serve(Path(where), int(number), Path(pem[0]) if pem else None))
