"""Posts an allowed, a denied and a malformed hook, and says whether each was answered as it should be; `helm test` runs it."""

import json
import os
import ssl
import sys
import urllib.request

URL, MODE = os.environ["HOOK_URL"], os.environ["HOOK_MODE"]
HEADERS = {"content-type": "application/json", **json.loads(os.environ["HOOK_HEADERS"])}


def context():
    if not URL.startswith("https:"):
        return None
    made = ssl.create_default_context(cafile=os.environ.get("HOOK_CA"))
    if folder := os.environ.get("HOOK_CLIENT"):
        made.load_cert_chain(f"{folder}/tls.crt", f"{folder}/tls.key")
    return made


def post(body):
    request = urllib.request.Request(URL, data=body.encode(), headers=HEADERS, method="POST")
    # No proxy of the environment: the client asks none for this either.
    handlers = [urllib.request.ProxyHandler({})]
    if made := context():
        handlers.append(urllib.request.HTTPSHandler(context=made))
    with urllib.request.build_opener(*handlers).open(request, timeout=30) as response:
        return json.load(response)


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
