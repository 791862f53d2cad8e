"""Posts an allowed, a denied and a malformed hook, and says whether each was answered as it should be; `helm test` runs it."""

import http.client
import json
import os
import ssl
import sys
from urllib.parse import urlsplit

URL, MODE = os.environ["HOOK_URL"], os.environ["HOOK_MODE"]
#: Under which of these names clients come is the certificate's matter: one of them has to be in it.
NAMES = os.environ.get("HOOK_NAMES", "").split() or [urlsplit(URL).hostname]
HEADERS = {"content-type": "application/json", **json.loads(os.environ["HOOK_HEADERS"])}
if token := os.environ.get("HOOK_TOKEN", "").strip():
    HEADERS["authorization"] = f"Bearer {token}"


def context():
    authority = os.environ.get("HOOK_CA", "")
    # Without a file of its own: the authorities that the image knows.
    made = ssl.create_default_context(cafile=authority if os.path.exists(authority) else None)
    if folder := os.environ.get("HOOK_CLIENT"):
        made.load_cert_chain(f"{folder}/tls.crt", f"{folder}/tls.key")
    return made


def connected():
    """The client asks no proxy either: nor does this."""
    parts = urlsplit(URL)
    fault = None
    for name in NAMES:
        connection = http.client.HTTPConnection(parts.netloc, timeout=30)
        connection.connect()
        if parts.scheme == "http":
            return connection
        try:
            connection.sock = context().wrap_socket(connection.sock, server_hostname=name)
        except ssl.SSLCertVerificationError as error:
            connection.close()
            fault = error
        else:
            return connection
    raise fault


def post(body):
    connection = connected()
    try:
        connection.request("POST", urlsplit(URL).path, body.encode(), HEADERS)
        response = connection.getresponse()
        raw = response.read()
        if response.status != 200:
            raise ValueError(f"status {response.status}: {raw[:200]!r}")
        return json.loads(raw)
    finally:
        connection.close()


def says_no(answer):
    opinion = answer.get("hookSpecificOutput", {}).get("permissionDecision", answer.get("decision"))
    return opinion in ("deny", "block")


failed = 0
for name, body, wanted in (
    ("allowed", os.environ["HOOK_ALLOWED"], False),
    ("denied", os.environ["HOOK_DENIED"], True),
    ("malformed", '{"hook_event_name": "PreToolUse", "tool_name":', True),
):
    try:
        answer = post(body)
    except Exception as error:
        print(f"{name}: no answer: {error}")
        failed = 1
        continue
    # While it only observes, everything is let through; that it answers is all that can be seen.
    is_right = says_no(answer) == wanted if MODE == "enforce" else answer == {}
    print(f"{name}: {'as it should be' if is_right else 'WRONG'}: {json.dumps(answer)}")
    failed |= not is_right
sys.exit(failed)
