"""Which versions of which npm packages may be fetched, and the digest that each of them must have.

A digest is the `dist.integrity` of the npm registry: `npm view NAME@VERSION dist.integrity` prints it.
"""

import platform
import sysconfig
from dataclasses import dataclass

from hookgate.binaries.error import BinaryError

CERBOS_VERSION = "0.55.0"
CLAUDE_VERSION = "2.1.330"
#: Of PostgreSQL, a release; what comes behind it is the package's own.
POSTGRES_VERSION = "17.10"
_POSTGRES_PACKAGE_VERSION = "17.10.0-beta.17"

_CERBOS_SHA512 = {
    "0.55.0": {
        "linux-x64": "eLZUycJfaQWK0XTRgH/Oz2E3XiNCUavDd1LhzFxhUpZ3s5CuQqmqG327ta0On8YOTxuZO/19cG4kvfC22r03/Q==",
    },
}

_CLAUDE_SHA512 = {
    "2.1.330": {
        "linux-x64": "9Gn+V7DtJ8M1nztP9CeDVl9g3RtrepI7rOFTyPRRnZe8D6zebIHKmC7OvBauucuAP0X0k85SDN/LPVZyjsGezQ==",
        "linux-arm64": "V4yanAY5EA5UpwwRPtjSfqDbNqAlUJeVn3NYZw2AgmRHjdpSsLtHAzbxRXfkAnbjwTXzE0uedjQxUY02ARPcsA==",
        "darwin-x64": "XenTNj2zXaFrnLmf47n25vChfFhlfeyaAR/vW5SFsEnLGwd2U1vDUY97+5etHBZu3xWBnlK8HhBVxzRi9YTUDw==",
        "darwin-arm64": "rgzAjrRJJsIdZXGF9CCFFbURxKuJNobRr+krV3dNmqNJWIws74rLD0CABe4+nXlx/9WwRECTrveprWB96mubqw==",
    },
    "2.1.295": {
        "linux-x64": "nC9RZ6ZArEavyAiFdEtGK6/XPhjfE79tP2tCh+PjmRUxSO/6W3IuXv/rmo8c6u2UzHyvgKodRj1z6UcBGlbnyA==",
        "linux-arm64": "JgQigCZCbsTnJQMLBjzeIpx001jlw+QlSR08SsAW7p0hjUR73DczX4NpO2lq/+RPm8w48KhM8DxJqhUmAMV5+Q==",
        "darwin-x64": "tmxIaD+X7GRatzp6yrgB3Gwg9zRmBdZOMf1imwLrISco2eiCBQbillVg5t//xO3F6tpRx/wsYXq/6CmeZx3HgQ==",
        "darwin-arm64": "qGetxxeqaqHR7Ev5AfTFfYuze0S99d27DV2IuFfjXigY9CKkLUy2jf3cCXjt8y4BAlGyNrqwKmIdrCjwtjAe8g==",
    },
    "2.1.197": {
        "linux-x64": "rIlKmrY0QMyHgPRX/MYWNj039vbypICvI9jVe3rs9Xy2RnNklySjyPxqh62QadznzoftEO23uYQ1tFePcQ//bg==",
        "linux-arm64": "sx6SoGj3MNR5CV+YDkNtbLHXa1tn3G8qcYFgm1gnvOi9ODQUKbhiPfankJfkTMDVekOvnKJhm6i9hGFIPzp7cQ==",
        "darwin-x64": "DOPeGTQqJWVENJsxwMxJtLOx+7OBINEDg9trQldlJR1nBssaYzNj1WWxp37JYSBRjeYLhqLipvDqEA0LMglL7A==",
        "darwin-arm64": "1FOVhJzkKGWgOEEsvaK3ylCEmjKeJiXwfKl7RtNEbiDj7OxhRQ1G1CLN0HGDTTq1QwY+Dm2x1Yscdv5NfobAxQ==",
    },
}

_POSTGRES_SHA512 = {
    "linux-x64": "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
    "linux-arm64": "mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig==",
    "darwin-x64": "gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg==",
    "darwin-arm64": "E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ==",
}

CLAUDE_VERSIONS = tuple(_CLAUDE_SHA512)

_MACHINES = {"x86_64": "x64", "amd64": "x64", "arm64": "arm64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Package:
    """One npm package that holds one program: `member` is the program's path in it, `sha512` is in base64.

    A program that needs files beside it names the folder that is kept with it, `tree`, and a file in it that lists the links
    that npm packages can't hold: `[{"source": …, "target": …}]`.
    """

    name: str
    version: str
    member: str
    sha512: str
    tree: str = ""
    links: str = ""

    @property
    def spec(self) -> str:
        """The package as npm is asked for it."""
        return f"{self.name}@{self.version}"


def here() -> str:
    """Give this machine as npm packages name it, `linux-x64` for example; where that is unknown, as Python names it."""
    system, machine = platform.system().lower(), platform.machine().lower()
    return f"{system}-{_MACHINES.get(machine, machine)}"


def cerbos_package() -> Package:
    """Give the package with the Cerbos PDP for this machine; BinaryError where no digest is known for it."""
    sha512 = _CERBOS_SHA512[CERBOS_VERSION].get(here())
    if sha512 is None:
        image = " or CERBOS_IMAGE to a container image that has it," if here().startswith("linux-") else ""
        raise BinaryError(
            f"cerbos {CERBOS_VERSION}: no package of known digest for {here()}:"
            f" put that version on PATH, or set CERBOS_BIN to its path,{image} and start again"
        )
    return Package(f"@cerbos/cerbos-{here()}", CERBOS_VERSION, f"package/cerbos-{here()}", sha512)


def claude_package(version: str) -> Package:
    """Give the package with that version of Claude Code for this machine; BinaryError where no digest is known for it."""
    if version not in _CLAUDE_SHA512:
        known = ", ".join(CLAUDE_VERSIONS)
        raise BinaryError(f"Claude Code {version}: no digest is known of that version: use one of {known}")
    libc = "-musl" if "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE")) else ""
    sha512 = _CLAUDE_SHA512[version].get(here() + libc)
    if sha512 is None:
        known = ", ".join(_CLAUDE_SHA512[version])
        raise BinaryError(
            f"Claude Code {version}: no package of known digest for {here()}{libc} (there are {known}):"
            " leave the tests with the client out with `make test CLIENT=no`"
        )
    return Package(f"@anthropic-ai/claude-code-{here()}", version, "package/claude", sha512)


def postgres_package() -> Package:
    """Give the package with PostgreSQL for this machine; BinaryError where no digest is known for it."""
    libc = "-musl" if "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE")) else ""
    sha512 = _POSTGRES_SHA512.get(here() + libc)
    if sha512 is None:
        raise BinaryError(
            f"PostgreSQL {POSTGRES_VERSION}: no package of known digest for {here()}{libc}:"
            " put `postgres` and `initdb` on PATH (on Debian and Ubuntu the package postgresql)"
        )
    return Package(
        f"@embedded-postgres/{here()}",
        _POSTGRES_PACKAGE_VERSION,
        "package/native/bin/postgres",
        sha512,
        tree="package/native",
        links="package/native/pg-symlinks.json",
    )
