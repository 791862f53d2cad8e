"""Asks a collector without a credential, and says whether it is turned away; `helm test` runs it."""

import http.client
import os
import ssl
import sys
from urllib.parse import urlsplit

URL = urlsplit(os.environ["COLLECTOR_URL"])
#: Under which of these names machines come is the certificate's matter: one of them has to be in it.
NAMES = os.environ["COLLECTOR_NAMES"].split()
AUTHORITY = os.environ.get("COLLECTOR_CA", "")


def connected(name):
    connection = http.client.HTTPConnection(URL.netloc, timeout=30)
    connection.connect()
    if URL.scheme == "https":
        # Without a file of its own: the authorities that the image knows.
        context = ssl.create_default_context(cafile=AUTHORITY if os.path.exists(AUTHORITY) else None)
        connection.sock = context.wrap_socket(connection.sock, server_hostname=name)
    return connection


fault = "nobody was asked"
for name in NAMES:
    try:
        connection = connected(name)
        connection.request("GET", "/v1/position")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        fault = f"no answer: {error}"
        continue
    is_right = status in (401, 403)
    print(f"collector: {'as it should be' if is_right else 'WRONG'}: status {status}")
    sys.exit(not is_right)
print(f"collector: {fault}")
sys.exit(1)
