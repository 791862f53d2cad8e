"""What secrets look like: well-known forms, and places where one is usually given.

Patterns are RE2's, so that no text takes more than linear time. Group 1 is what is replaced; a pattern without a group is
replaced whole. None demands an end that a cut text could lack.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Form:
    """One form of secrets. `kind` stands in the mark that replaces it."""

    kind: str
    pattern: str


#: Words in a name that say that its value is secret.
_NAMED = (
    r"(?:passw(?:or)?d|passphrase|passwd|pwd|secret|token|api[_-]?key|apikey|access[_-]?key|account[_-]?key|private[_-]?key|"
    r"signing[_-]?key|encryption[_-]?key|credentials?|auth[_-]?key)"
)
_VALUE = r"""(?:\\?"([^"\\]{1,})|\\?'([^'\\]{1,})|([^\s"'\\$&|;<>(){}\[\],][^\s"'\\&|;<>,)}\]]*))"""

FORMS: tuple[Form, ...] = (
    Form(
        "private_key",
        r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
    ),
    Form("age_key", r"AGE-SECRET-KEY-1[0-9A-Z]{10,}"),
    Form("jwt", r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,4}"),
    Form("aws_key_id", r"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{12,}"),
    Form("github_token", r"\b(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,})"),
    Form("gitlab_token", r"\bgl(?:pat|oas|dt|rt|ptt|ft|soat|cbt|agent|imt)-[A-Za-z0-9_.-]{12,}"),
    Form("slack_token", r"\bxox[abeoprs]-[A-Za-z0-9-]{8,}|\bxapp-[A-Za-z0-9-]{8,}"),
    Form("slack_webhook", r"hooks\.slack\.com/(?:services|workflows)/([A-Za-z0-9/_-]{8,})"),
    Form("discord_webhook", r"discord(?:app)?\.com/api/webhooks/([0-9]+/[A-Za-z0-9_-]{8,})"),
    Form("telegram_token", r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{30,}"),
    Form("anthropic_key", r"\bsk-ant-[A-Za-z0-9_-]{8,}"),
    Form("openai_key", r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{16,}"),
    Form("stripe_key", r"\b(?:sk|rk|pk|whsec)_(?:live_|test_)?[A-Za-z0-9]{14,}"),
    Form("google_key", r"\bAIza[0-9A-Za-z_-]{30,}"),
    Form("google_oauth", r"\bya29\.[0-9A-Za-z_-]{16,}|\bGOCSPX-[0-9A-Za-z_-]{16,}"),
    Form("npm_token", r"\bnpm_[A-Za-z0-9]{30,}"),
    Form("pypi_token", r"\bpypi-[A-Za-z0-9_-]{16,}"),
    Form("crates_token", r"\bcio[A-Za-z0-9]{32}"),
    Form("rubygems_key", r"\brubygems_[0-9a-f]{32,}"),
    Form("docker_token", r"\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{16,}"),
    Form("hugging_face_token", r"\bhf_[A-Za-z0-9]{16,}"),
    Form("sendgrid_key", r"\bSG\.[A-Za-z0-9_-]{16,}(?:\.[A-Za-z0-9_-]*)?"),
    Form("mailgun_key", r"\bkey-[0-9a-f]{32}"),
    Form("mailchimp_key", r"\b[0-9a-f]{32}-us[0-9]{1,2}\b"),
    Form("twilio_key", r"\bSK[0-9a-f]{32}\b"),
    Form("shopify_token", r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{24,}"),
    Form("square_token", r"\b(?:EAAA|sq0(?:atp|csp)-)[A-Za-z0-9_-]{20,}"),
    Form("digitalocean_token", r"\bdo[opr]_v1_[0-9a-f]{32,}"),
    Form("databricks_token", r"\bdapi[0-9a-f]{30,}"),
    Form("atlassian_token", r"\bATATT3[A-Za-z0-9_=-]{20,}|\bATCTT3[A-Za-z0-9_=-]{20,}"),
    Form("linear_key", r"\blin_(?:api|oauth)_[A-Za-z0-9]{16,}"),
    Form("notion_token", r"\b(?:ntn|secret)_[A-Za-z0-9]{30,}"),
    Form("figma_token", r"\bfig[dou]_[A-Za-z0-9_-]{16,}"),
    Form("new_relic_key", r"\bNRAK-[A-Z0-9]{20,}|\bNRJS-[0-9a-f]{16,}"),
    Form("grafana_token", r"\bgl(?:sa|c)_[A-Za-z0-9_=]{20,}"),
    Form("sentry_token", r"\bsntry[su]_[A-Za-z0-9_=+/-]{20,}"),
    Form("datadog_key", r"\bdd(?:a|p)_[A-Za-z0-9]{30,}"),
    Form("vault_token", r"\bhv[sbr]\.[A-Za-z0-9_-]{16,}"),
    Form("terraform_token", r"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{20,}"),
    Form("doppler_token", r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{20,}"),
    Form("planetscale_token", r"\bpscale_(?:pw|tkn|oauth)_[A-Za-z0-9_.-]{16,}"),
    Form("supabase_token", r"\bsb(?:p|_secret)_[A-Za-z0-9_-]{16,}"),
    Form("heroku_key", r"\bHRKU-[A-Za-z0-9_-]{20,}"),
    Form("postman_key", r"\bPMAK-[A-Za-z0-9-]{20,}"),
    Form("okta_token", r"(?i)\bSSWS\s+([A-Za-z0-9_-]{16,})"),
    Form("azure_storage_key", r"(?i)(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/=]{16,})"),
    Form("azure_sas", r"(?i)[?&]sig=([A-Za-z0-9%+/=_-]{16,})"),
    Form("signed_url", r"(?i)[?&](?:X-Amz-Signature|X-Goog-Signature|Signature)=([A-Za-z0-9%+/=_-]{16,})"),
    Form("url_credentials", r"""[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@"'\\]*:([^\s/@"'\\]+)@"""),
    Form(
        "authorization",
        r"""(?i)\bauthorization\\?["']?\s*[:=]\s*\\?["']?(?:(?:bearer|basic|token|digest|negotiate|apikey)\s+)?([^\s"'\\,;]{6,})""",
    ),
    Form("bearer", r"(?i)\bbearer\s+([A-Za-z0-9._~+/=-]{8,})"),
    Form("cookie", r"""(?i)\b(?:set-)?cookie\\?["']?\s*:\s*\\?["']?([^"'\\\r\n]{4,})"""),
    Form("login", r"""(?:^|\s)(?:-u|--user|--proxy-user)(?:\s+|=)\\?["']?[^\s:"'\\]+:([^\s"'\\]+)"""),
    Form(
        "client_password",
        r"""(?:(?:\bmysql|\bmariadb)[a-z_-]*\s(?:[^|;&\n]*?\s)?-p|(?:\bsshpass|\b(?:docker|podman)\s+login)\s(?:[^|;&\n]*?\s)?-p\s*|"""
        r"""\bredis-cli\s(?:[^|;&\n]*?\s)?-a\s*)\\?["']?([^\s"'\\]{3,})""",
    ),
    Form("netrc", r"(?i)\b(?:machine\s+\S+|default)\s+login\s+\S+\s+password\s+(\S+)"),
    Form("option", rf"(?i)(?:^|\s)--?[a-z0-9-]*{_NAMED}[a-z0-9-]*(?:=|\s+){_VALUE}"),
    Form("named", rf"""(?i)[a-z0-9_.-]*{_NAMED}[a-z0-9_]*\\?["']?\s*(?:=|:|=>)\s*{_VALUE}"""),
)

#: A name of a field whose value is secret whatever it looks like.
SECRET_NAME = rf"(?i)(?:^|[^a-z]|_){_NAMED}s?$|^(?:authorization|cookie|set-cookie|bearer|jwt|pin|otp)$|{_NAMED}$"

#: Text without any of these holds none of the forms, also where JSON has escaped its quotes and line ends: most records
#: need no second look.
HINT = (
    r"(?i)passw|passphrase|pwd|secret|token|api[_-]?key|(?:access|account|private|signing|encryption|auth)[_-]?key|credential|"
    r"authorization|bearer|cookie|ssws|://[^/]*@|[?&](?:sig|signature|x-amz-signature|x-goog-signature)=|webhooks?/|"
    r"hooks\.slack|PRIVATE KEY|AGE-SECRET|eyJ[a-z0-9_-]{8}|(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{12}|gh[pousr]_|github_pat_|"
    r"gl[a-z]{2,5}-|xox[a-z]-|xapp-|:AA[a-z0-9_-]{30}|sk-|[srp]k_|whsec_|AIza|ya29\.|GOCSPX|npm_|pypi-|cio[a-z0-9]{32}|rubygems_|"
    r"dckr_|hf_|SG\.|key-[0-9a-f]{32}|[0-9a-f]{32}-us|SK[0-9a-f]{32}|shp[a-z]{2}_|EAAA|sq0|do[opr]_v1|dapi[0-9a-f]{30}|AT[AC]TT3|lin_|"
    r"ntn_|fig[dou]_|NRAK|NRJS|gl(?:sa|c)_|sntry|dd[ap]_|hv[sbr]\.|atlasv1|dp\.[a-z]+\.|pscale_|sb(?:p|_secret)_|HRKU|PMAK|"
    r"""(?:AccountKey|SharedAccessKey)=|mysql|mariadb|sshpass|redis-cli|(?:docker|podman)\s+login|\s(?:-u|--user|--proxy-user)[\s=]|password|"(?:jwt|pin|otp)\\?["]"""
)


def named_forms(names: Sequence[str]) -> tuple[Form, ...]:
    """Gives the forms in which values of these names are given in a text; parts of names count, in any case."""
    if not names:
        return ()
    named = name_pattern(names)
    return (
        Form("option", rf"(?i)(?:^|\s)--?[a-z0-9-]*{named}[a-z0-9-]*(?:=|\s+){_VALUE}"),
        Form("named", rf"""(?i)[a-z0-9_.-]*{named}[a-z0-9_.-]*\\?["']?\s*(?:=|:|=>)\s*{_VALUE}"""),
    )


def name_pattern(names: Sequence[str]) -> str:
    """Gives the pattern of these names, in any case."""
    return f"(?i:{'|'.join(re.escape(name) for name in names)})"
