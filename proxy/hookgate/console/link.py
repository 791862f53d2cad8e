"""The link that lets somebody on this machine in, once: it lies in a file that only this user can read."""

import hmac
import secrets
from contextlib import suppress
from pathlib import Path

from hookgate.audit.draft import write_whole

FILE_NAME = "console.url"


def link_path(directory: Path) -> Path:
    """Gives where the link is, in the journal's directory."""
    return directory / FILE_NAME


class Link:
    """The link that counts now; when it is used, another one takes its place."""

    def __init__(self, directory: Path, base: str) -> None:
        self._path = link_path(directory)
        self._base = base
        self._token = ""

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def make(self) -> str:
        """Puts a new link there, and gives it. Raises OSError."""
        self._token = secrets.token_urlsafe(32)
        url = f"{self._base}/login?link={self._token}"
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self._path, url.encode() + b"\n")
        return url

    def use(self, token: str) -> bool:
        """Whether it is the link's token, which is then used up. Raises OSError where no other can be made."""
        if not self._token or not hmac.compare_digest(token.encode("utf-8", "surrogatepass"), self._token.encode()):
            return False
        self._token = ""
        self.make()
        return True

    def remove(self) -> None:
        """Takes the link away."""
        self._token = ""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
