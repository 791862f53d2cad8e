"""Secrets planted in hook payloads: fifty kinds, in every field of every event. None of them stands in the repository."""

import json
import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hookgate.recorded import Recorded, recorded

_RANDOM = random.Random(7)
_ALNUM = string.ascii_letters + string.digits
#: Without them a request would be no such event any more.
_KEPT = frozenset({"hook_event_name", "permission_mode"})
#: With a longer name, a request is none that can be decided about.
_SHORT = frozenset({"tool_name"})
#: As much of a secret as nobody may find; shorter parts of texts occur by chance.
_TELLING_CHARACTERS = 8


def _some(length: int, alphabet: str = _ALNUM) -> str:
    return "".join(_RANDOM.choices(alphabet, k=length))


def _hex(length: int) -> str:
    return _some(length, "0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Plant:
    """A secret as it is given in a text, and the part of the text that must not be written."""

    kind: str
    text: str
    secret: str

    @property
    def pieces(self) -> tuple[str, ...]:
        """What must be found nowhere: the secret, its lines, and its first half."""
        lines = [line for line in (self.secret, *self.secret.split("\n")) if line]
        half = self.secret[: max(_TELLING_CHARACTERS, len(self.secret) // 2)]
        return tuple(dict.fromkeys((*lines, half)))


def _plants() -> Iterator[Plant]:
    upper = string.ascii_uppercase
    for kind, form, secret in [
        ("aws key id", "aws s3 ls --profile {}", "AKIA" + _some(16, upper)),
        ("aws secret", "export AWS_SECRET_ACCESS_KEY={}", _some(40)),
        ("github", "git clone with {}", "ghp_" + _some(36)),
        ("github fine", "{}", "github_pat_" + _some(40)),
        ("gitlab", "curl x?private={}", "glpat-" + _some(20)),
        ("slack", "post {}", "xoxb-" + _some(24)),
        ("slack hook", "curl https://hooks.slack.com/services/{}", "T0/B0/" + _some(24)),
        ("discord", "https://discord.com/api/webhooks/{}", "123456789/" + _some(40)),
        ("telegram", "bot {}", "123456789:AA" + _some(33)),
        ("anthropic", "{}", "sk-ant-" + _some(40)),
        ("openai", "key is {}", "sk-proj-" + _some(40)),
        ("stripe", "{}", "sk_live_" + _some(24)),
        ("google", "{}", "AIza" + _some(35)),
        ("google oauth", "{}", "ya29." + _some(40)),
        ("npm", "//registry:_authToken={}", "npm_" + _some(36)),
        ("pypi", "twine {}", "pypi-" + _some(60)),
        ("docker", "{}", "dckr_pat_" + _some(27)),
        ("hugging face", "{}", "hf_" + _some(34)),
        ("sendgrid", "{}", "SG." + _some(22) + "." + _some(43)),
        ("mailgun", "{}", "key-" + _hex(32)),
        ("twilio", "{}", "SK" + _hex(32)),
        ("shopify", "{}", "shpat_" + _hex(32)),
        ("digitalocean", "{}", "dop_v1_" + _hex(64)),
        ("databricks", "{}", "dapi" + _hex(32)),
        ("linear", "{}", "lin_api_" + _some(40)),
        ("notion", "{}", "ntn_" + _some(43)),
        ("figma", "{}", "figd_" + _some(40)),
        ("new relic", "{}", "NRAK-" + _some(27, upper)),
        ("grafana", "{}", "glsa_" + _some(40)),
        ("vault", "{}", "hvs." + _some(24)),
        ("terraform", "{}", _some(14) + ".atlasv1." + _some(60)),
        ("planetscale", "{}", "pscale_tkn_" + _some(43)),
        ("supabase", "{}", "sbp_" + _hex(40)),
        ("jwt", "curl -H x:{}", "eyJ" + _some(20) + ".eyJ" + _some(20) + "." + _some(30)),
        ("age", "{}", "AGE-SECRET-KEY-1" + _some(58, upper)),
        ("pem", "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----", _some(64)),
        ("pem without end", "-----BEGIN PRIVATE KEY-----\n{}", _some(64)),
        ("openssh", "-----BEGIN OPENSSH PRIVATE KEY-----\\n{}", _some(64)),
        ("azure account", "AccountName=x;AccountKey={};", _some(60)),
        ("azure sas", "https://x.blob/y?sv=1&sig={}", _some(43)),
        ("signed url", "https://b.s3/y?X-Amz-Signature={}", _hex(64)),
        ("url", "psql postgres://bob:{}@db/x", _some(12)),
        ("basic auth", "Authorization: Basic {}", _some(24)),
        ("bearer", "curl -H 'Authorization: Bearer {}' x", _some(32)),
        ("json header", '{{"Authorization": "token {}"}}', _some(32)),
        ("cookie", "Cookie: session={}", _some(32)),
        ("curl -u", "curl -u bob:{} https://x", _some(12)),
        ("netrc", "machine x login bob password {}", _some(12)),
        ("option", "mysql --password {} -u root", _some(12)),
        ("mysql -p", "mysql -u root -p{} shop", _some(12)),
        ("sshpass", "sshpass -p {} ssh bob@x", _some(12)),
        ("docker login", "docker login -u bob -p {} registry.example", _some(12)),
        ("redis-cli", "redis-cli -h x -a {} ping", _some(12)),
        ("option =", "tool --api-key={}", _some(12)),
        ("quoted", 'DB_PASSWORD="{}" ./run', _some(6) + " " + _some(6)),
        ("yaml", "client_secret: {}", _some(24)),
        ("json", '{{"apiKey": "{}"}}', _some(24)),
        ("here-document", "cat <<EOF > .env\nMY_TOKEN={}\nEOF", _some(24)),
        ("ruby hash", ":password => '{}'", _some(14)),
    ]:
        yield Plant(kind, form.format(secret), secret)


PLANTS: tuple[Plant, ...] = tuple(_plants())


def events() -> tuple[Recorded, ...]:
    """One recorded request of each event, the one with most fields: tools' input and response among them."""
    best: dict[str, Recorded] = {}
    for one in recorded():
        if one.event not in best or _count(one.body) > _count(best[one.event].body):
            best[one.event] = one
    return tuple(best.values())


def planted(body: dict[str, Any], give: Callable[[], str]) -> dict[str, Any]:
    """Gives a payload with what `give` gives in each of its texts, and nested input of an MCP tool besides."""
    found = {key: value if key in _KEPT | _SHORT else _with(value, give) for key, value in body.items()}
    for key in _SHORT & body.keys():
        found[key] = next(text for text in iter(give, None) if len(text) < 500)
    if "tool_input" in body:
        found["tool_input"] |= {
            "nested": {"servers": [{"env": {"A": give()}}, {"args": ["run", give()]}], give(): "as a name"},
            "text": json.dumps({"inner": give()}),
        }
    return found


def payloads(plant: Plant) -> Iterator[tuple[str, dict[str, Any]]]:
    """Gives each event's name and payload with one secret in every field of it."""
    for one in events():
        yield one.event, planted(one.body, lambda: plant.text)


def all_payloads() -> Iterator[dict[str, Any]]:
    """Gives payloads with all secrets, each kind in turn in the fields of each event; some on the place of the cut."""
    at = 0

    def give() -> str:
        nonlocal at
        at += 1
        plant = PLANTS[at % len(PLANTS)]
        if at % 3:
            return plant.text
        # Around the 2000th character, where long texts are cut.
        return "x" * (2000 - len(plant.text) + at % (len(plant.text) + 4)) + "\n" + plant.text + " " + "y" * 9000

    for one in events():
        yield planted(one.body, give)


def traces(text: str) -> list[str]:
    """Gives the kinds of secrets of which anything stands in a text."""
    return [plant.kind for plant in PLANTS if any(piece in text for piece in plant.pieces)]


def _with(value: Any, give: Callable[[], str]) -> Any:
    if isinstance(value, str):
        return give()
    if isinstance(value, dict):
        return {key: _with(item, give) for key, item in value.items()}
    if isinstance(value, list):
        return [_with(item, give) for item in value]
    return value


def _count(value: Any) -> int:
    if isinstance(value, dict):
        return sum(_count(item) + 1 for item in value.values())
    if isinstance(value, list):
        return sum(_count(item) for item in value)
    return 1
