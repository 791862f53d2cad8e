"""`hookgate doctor`: what a client's settings leave open, and whom the service takes this user for."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from hookgate.client.examine import Settings, examine
from hookgate.client.finding import Exit, Finding, Severity, exit_of
from hookgate.client.power import GUARD_FILES, power_over
from hookgate.client.probe import Probed, findings_of, harmless_hook, probe
from hookgate.client.reading import Scope, SettingsFile, read, settings_files
from hookgate.harmless import harmless

_STYLE = {Severity.HOLE: "red", Severity.WARNING: "yellow"}
_TOLD = ("user", "roles", "source", "verified", "outcome", "error", "mode", "decision")


def doctor(
    *,
    settings: Annotated[
        list[Path] | None,
        typer.Option(
            help="A settings file to look at, as if it were managed; may be repeated. Default: all that a client here reads."
        ),
    ] = None,
    project: Annotated[Path, typer.Option(help="The project whose settings count.")] = Path(),
    url: Annotated[
        str, typer.Option(help="The hook's URL. Default: that of the hooks whose path is /ext/claude.")
    ] = "",
    guard: Annotated[
        list[Path] | None, typer.Option(help="A further file or directory that the guard rests on; may be repeated.")
    ] = None,
    no_send: Annotated[bool, typer.Option("--no-send", help="Send no test hook.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look at the settings that Claude Code would use here, say what they leave open, and send a harmless test hook with the very
    headers: whom the service takes this user for, what it decides, and how long it takes. Run it as the user that runs Claude Code.

    Exit 0 if nothing is wrong, 3 with warnings, 4 with open holes.
    """
    environ = dict(os.environ)
    files = [read(Scope.MANAGED, path) for path in settings] if settings else settings_files(project, environ)
    found = Settings(files, environ, url=url)
    findings = examine(found)
    guarded = [] if settings else [file.path for file in files if file.is_managed]
    guarded += [Path(word) for hook in found.ours for word in hook.words if word.startswith("/")]
    findings += power_over([*guarded, *GUARD_FILES, *(guard or ())])
    probed = None if no_send else _probe(found, project)
    if probed is not None and found.asking is not None:
        findings += findings_of(probed, found.asking.url)
    findings.sort(key=lambda finding: (finding.kind.severity is Severity.WARNING, finding.kind.value, finding.place))
    if as_json:
        typer.echo(json.dumps(_as_json(files, findings, probed), indent=2))
    else:
        _show(files, findings, probed)
    raise typer.Exit(exit_of(findings).value)


def _probe(settings: Settings, project: Path) -> Probed | None:
    hook = settings.asking
    if hook is None or not hook.url:
        return None
    return probe(hook.url, settings.headers(hook), settings.env, harmless_hook(str(project.resolve())))


def _as_json(files: list[SettingsFile], findings: list[Finding], probed: Probed | None) -> dict[str, Any]:
    return {
        "files": [{"path": str(file.path), "scope": file.scope.name.lower()} for file in files],
        "findings": [
            {
                "name": finding.kind.value,
                "severity": finding.kind.severity.value,
                "place": finding.place,
                "detail": finding.detail,
                "meaning": finding.kind.meaning,
                "mend": finding.kind.mend,
            }
            for finding in findings
        ],
        "test": None
        if probed is None
        else {
            "status": probed.status,
            "seconds": round(probed.seconds, 4),
            "fault": probed.fault,
            "answer": probed.answer,
            **{name: probed.told.get(name, "") for name in _TOLD},
        },
        "exit": exit_of(findings).value,
    }


def _show(files: list[SettingsFile], findings: list[Finding], probed: Probed | None) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for file in files:
        console.print(Text(f"read      {harmless(str(file.path))} ({file.scope.name.lower()})", style="dim"))
    if not files:
        console.print(Text("read      no settings file", style="dim"))
    for finding in findings:
        kind = finding.kind
        style = _STYLE[kind.severity]
        console.print(Text(f"{kind.severity.value:<9} ", style=style).append(kind.value, style=f"bold {style}"))
        detail = f" ({harmless(finding.detail)})" if finding.detail else ""
        console.print(Text(f"          {harmless(finding.place)}{detail}"))
        console.print(Text(f"          {kind.meaning} {kind.mend}", style="dim"))
    if probed is not None and probed.told:
        told = probed.told
        verified = "verified" if told.get("verified") == "true" else "not verified"
        console.print(
            Text(
                harmless(
                    f"test hook {told.get('user', '')} (roles {told.get('roles', '')}; by {told.get('source', '')}, {verified}): "
                    f"{told.get('outcome', '')} {told.get('error', '')} in {probed.seconds * 1000:.0f} ms, decision "
                    f"{told.get('decision', '')}"
                )
            )
        )
    summary = {Exit.CLEAN: "Nothing is wrong.", Exit.WARNINGS: "Warnings only.", Exit.HOLES: "Open holes."}
    console.print(summary[exit_of(findings)])
