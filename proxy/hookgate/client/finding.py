"""What can be wrong with a client's settings."""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Self


class Severity(StrEnum):
    """How bad it is."""

    #: A call can run without being asked about, or under another name.
    HOLE = "hole"
    #: It works, and could be made to hold better.
    WARNING = "warning"


class Kind(StrEnum):
    """The name of a finding; `severity`, `meaning` and `mend` say more."""

    def __new__(cls, value: str, severity: Severity = Severity.HOLE, meaning: str = "", mend: str = "") -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.severity = severity
        member.meaning = meaning
        member.mend = mend
        return member

    severity: Severity
    meaning: str
    mend: str

    NO_HOOKS = (
        "no_hooks",
        Severity.HOLE,
        "No http hook is set for PreToolUse anywhere: nothing is asked.",
        "Push what `hookgate settings` writes.",
    )
    FILE_UNREADABLE = (
        "file_unreadable",
        Severity.HOLE,
        "The file can't be read, or is no JSON object. A managed one keeps the client from starting; of another, everything in it is lost.",
        "Mend the file.",
    )
    ENTRY_INVALID = (
        "entry_invalid",
        Severity.HOLE,
        "A hook's entry is not valid: the client drops all hooks of the file in silence, and does not start with a managed one.",
        "Mend the entry.",
    )
    NOT_MANAGED = (
        "not_managed",
        Severity.HOLE,
        "The hooks are in settings that the agent can change: it can switch them off in mid-session.",
        "Push them as managed settings.",
    )
    HOOKS_DISABLED = (
        "hooks_disabled",
        Severity.HOLE,
        "disableAllHooks switches these hooks off.",
        "Take disableAllHooks out.",
    )
    EVENT_MISSING = (
        "event_missing",
        Severity.HOLE,
        "No hook for an event that decides.",
        "Add the event, as `hookgate settings` does.",
    )
    EVENT_UNTOLD = (
        "event_untold",
        Severity.WARNING,
        "No hook for an event that tells what became of a call.",
        "Add the event, as `hookgate settings` does.",
    )
    EVENT_UNSUITABLE = (
        "event_unsuitable",
        Severity.WARNING,
        (
            "A hook for an event that has no http hooks (SessionStart, Setup), whose work the hook would replace (WorktreeCreate, "
            "WorktreeRemove), or that fires for each piece of text (MessageDisplay)."
        ),
        "Take the event out.",
    )
    FAILS_OPEN = (
        "fails_open",
        Severity.HOLE,
        "onFailure is not block: the call runs when Hookgate can't be reached.",
        'Set "onFailure": "block".',
    )
    VERSION_NOT_REQUIRED = (
        "version_not_required",
        Severity.HOLE,
        "Clients before 2.1.295, which ignore onFailure without a word, are not kept from starting.",
        'Set "requiredMinimumVersion": "2.1.295" in managed settings.',
    )
    MATCHER_NARROW = (
        "matcher_narrow",
        Severity.HOLE,
        "The matcher is not *: other tools are not asked about, and an invalid expression never matches.",
        'Set "matcher": "*", and let policies decide.',
    )
    CONDITIONAL = (
        "conditional",
        Severity.HOLE,
        "The hook has an `if`, which calls slip past (bash -c '…').",
        "Take `if` out, and let policies decide.",
    )
    NAME_IS_PRIVATE = (
        "name_is_private",
        Severity.HOLE,
        "The URL's host is a name that resolves to a private address: the client refuses it.",
        "Write the literal address, or 127.0.0.1 with Hookgate beside the client.",
    )
    NAME_UNKNOWN = (
        "name_unknown",
        Severity.HOLE,
        "The URL's host does not resolve here.",
        "Write the literal address, or mend the name.",
    )
    LOCALHOST = (
        "localhost",
        Severity.WARNING,
        "The URL says localhost, which may also be ::1, where anybody may listen.",
        "Write 127.0.0.1.",
    )
    URL_PLAIN = (
        "url_plain",
        Severity.WARNING,
        "The hook goes over a network without TLS: anybody on the way reads it and can answer it.",
        "Use https, or Hookgate on loopback.",
    )
    URL_NOT_ALLOWED = (
        "url_not_allowed",
        Severity.HOLE,
        "allowedHttpHookUrls does not name the hook's URL: the client does not ask it.",
        "Add the URL to allowedHttpHookUrls.",
    )
    TIMEOUT_UNSUITABLE = (
        "timeout_unsuitable",
        Severity.WARNING,
        "The hook's timeout is missing (the client's own is 600 s) or not longer than a decision may take (2 s by default).",
        'Set "timeout": 10.',
    )
    PROXIED = (
        "proxied",
        Severity.HOLE,
        (
            "A proxy is set and NO_PROXY does not exempt the hook's host: the proxy is asked, loopback included, and can answer in "
            "Hookgate's stead."
        ),
        "Name the host in NO_PROXY and no_proxy, in the env of managed settings.",
    )
    PROXY_NOT_PINNED = (
        "proxy_not_pinned",
        Severity.HOLE,
        "Managed settings leave a proxy variable to others: the agent can set it, and divert the next hook.",
        "Set NO_PROXY and no_proxy in the env of managed settings, and every *_PROXY to an empty text or to your proxy, in both cases.",
    )
    SHELL_NOT_PINNED = (
        "shell_not_pinned",
        Severity.HOLE,
        "Managed settings leave a variable to others that makes approved commands run foreign code.",
        "Set PATH and SHELL, and empty the others, in the env of managed settings.",
    )
    ENV_STEERS = (
        "env_steers",
        Severity.HOLE,
        "Settings that are not managed set a variable that steers what runs or whom the client asks.",
        "Take it out, and find out who wrote it.",
    )
    TLS_UNCHECKED = (
        "tls_unchecked",
        Severity.HOLE,
        "NODE_TLS_REJECT_UNAUTHORIZED is 0: any server is taken for Hookgate.",
        "Set it to 1 in the env of managed settings.",
    )
    VARIABLE_NOT_ALLOWED = (
        "variable_not_allowed",
        Severity.HOLE,
        "A header uses a variable that allowedEnvVars (or httpHookAllowedEnvVars) does not list: it arrives empty.",
        "List it.",
    )
    VARIABLE_UNFILLABLE = (
        "variable_unfillable",
        Severity.HOLE,
        (
            "A header uses a variable in a form that the client never fills in: names are of capitals, digits and _, without a default, and no "
            "Anthropic credentials."
        ),
        "Use another variable.",
    )
    VARIABLE_UNSET = (
        "variable_unset",
        Severity.WARNING,
        "A header uses a variable that is not set here: it arrives empty.",
        "Set it, best in the env of managed settings.",
    )
    SECRET_IN_HEADER = (
        "secret_in_header",
        Severity.HOLE,
        "A header holds a credential as it is: every user of the machine can read settings.",
        "Name a variable, and list it in allowedEnvVars.",
    )
    MENTIONS_OPEN = (
        "mentions_open",
        Severity.WARNING,
        "No permission rule denies reading anything: `@file` mentions go to the model without a hook.",
        'Add rules such as "Read(**/.env)" to permissions.deny of managed settings.',
    )
    BRIDGE_EXPOSED = (
        "bridge_exposed",
        Severity.HOLE,
        "`hookgate hook` is not run by a Python with an absolute path, -I and a list of `args`: the environment says what runs in its stead.",
        'Set "command": "/opt/hookgate/bin/python", "args": ["-I", "-m", "hookgate", "hook"].',
    )
    OTHERS_HOOKS = (
        "others_hooks",
        Severity.HOLE,
        "allowManagedHooksOnly is not set in managed settings: hooks of projects and plugins can rewrite a call after it was judged.",
        'Set "allowManagedHooksOnly": true in managed settings.',
    )
    OTHER_HOOK = (
        "other_hook",
        Severity.WARNING,
        "A hook that is not Hookgate's.",
        "Make sure that you want it: it can change a call's input.",
    )
    BYPASS_ALLOWED = (
        "bypass_allowed",
        Severity.WARNING,
        "Sessions without any prompt (bypassPermissions) are allowed.",
        'Set "permissions": {"disableBypassPermissionsMode": "disable"} in managed settings.',
    )
    SKILL_SHELL_ALLOWED = (
        "skill_shell_allowed",
        Severity.WARNING,
        "Shell lines in skills and commands run, and no hook sees them.",
        'Set "disableSkillShellExecution": true in managed settings.',
    )
    WRITABLE = (
        "writable",
        Severity.HOLE,
        "This user could change a file that the guard rests on.",
        "Give it to root or to Hookgate's user, and take the right to write away.",
    )
    SIGNALABLE = (
        "signalable",
        Severity.HOLE,
        "This user could stop a process of Hookgate's or the PDP's.",
        "Run it as a user of its own.",
    )
    RUN_AS_ROOT = (
        "run_as_root",
        Severity.WARNING,
        "Doctor runs as root, whom nothing keeps from anything.",
        "Run it as the user that runs the client.",
    )
    UNREACHABLE = (
        "unreachable",
        Severity.HOLE,
        "The test hook got no answer.",
        "Start Hookgate; compare the URL, the certificate and the user's network.",
    )
    ANSWER_WRONG = (
        "answer_wrong",
        Severity.HOLE,
        "What answered the test hook is not a Hookgate that can decide.",
        "Look at what listens there, and at the reason.",
    )
    NOT_ENFORCED = (
        "not_enforced",
        Severity.WARNING,
        "This user's calls are observed only; nothing is denied.",
        "Set mode: enforce, or a rollout rule, once the policies fit.",
    )
    USER_UNVERIFIED = (
        "user_unverified",
        Severity.WARNING,
        "Nothing verifies who this user is: the name can be made up.",
        "Set up a verified source of identity.",
    )
    USER_UNKNOWN = (
        "user_unknown",
        Severity.WARNING,
        "The service was told no user, and judges by the default one.",
        "Send a credential or X-Claude-User.",
    )
    SLOW = (
        "slow",
        Severity.WARNING,
        "The test hook took longer than a second.",
        "Look at the load of the service and the PDP.",
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """One of them, with its place (a file and a key, or what else it is about) and, where there is more to say, a detail."""

    kind: Kind
    place: str
    detail: str = ""


class Exit(Enum):
    """What a run ends with."""

    CLEAN = 0
    WARNINGS = 3
    HOLES = 4


def exit_of(findings: list[Finding]) -> Exit:
    """Gives the exit code's meaning."""
    severities = {finding.kind.severity for finding in findings}
    if Severity.HOLE in severities:
        return Exit.HOLES
    return Exit.WARNINGS if severities else Exit.CLEAN
