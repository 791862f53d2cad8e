"""`hookgate policies`: look through a directory of policies before they decide anything."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from hookgate.binaries import BinaryError, find_cerbos
from hookgate.commands.fault import stop_with
from hookgate.commands.follow import follow
from hookgate.errors import GateError
from hookgate.harmless import harmless
from hookgate.pdp.process import CerbosError
from hookgate.policies.finding import Finding
from hookgate.policies.report import Report, report_on
from hookgate.policies.strictness import Comparison

app = typer.Typer(help="Look through a directory of policies.", no_args_is_help=True)
app.command()(follow)

_UNUSABLE, _WARNED = 1, 3
_SHOWN = 20


@app.callback()
def policies() -> None:
    """Look through a directory of policies."""


@app.command()
def check(
    directory: Annotated[Path, typer.Argument(help="The directory of policies.")] = Path("policies"),
    fail_on_warnings: Annotated[
        bool, typer.Option("--fail-on-warnings", help="Exit 3 if there is anything to look at.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Compile a directory of policies, run their tests, and say what bites.

    Warned of are rules that read what some of their actions lack, denials that a second role escapes, outputs that
    disagree with their effect or that the client would not take, and more; and the recorded calls that come out otherwise
    under strict evaluation are shown.

    Exit 0 when they can be used, 1 when they do not compile, a test fails or the directory is missing, 3 with
    --fail-on-warnings when there are warnings.
    """
    if not directory.is_dir():
        stop_with(f"{directory}: no such directory of policies")
    try:
        report = report_on(find_cerbos(say=_say).path, directory)
    except (BinaryError, CerbosError) as error:
        stop_with(str(error))
    except GateError as error:
        stop_with(f"the PDP that was started for the check did not answer: {error}")
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        _show(report)
    if not report.usable:
        raise typer.Exit(_UNUSABLE)
    if report.warnings and fail_on_warnings:
        raise typer.Exit(_WARNED)


def _show(report: Report) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if not report.usable:
        what = "a test fails" if report.compilation.compiles else "the policies do not compile"
        console.print(Text(f"{report.directory}: {what}", style="bold red"))
        console.print(Text("\n".join(harmless(line) for line in report.compilation.text.splitlines())))
    if not report.compilation.compiles:
        return
    for finding in report.findings:
        console.print(_lines(finding))
    if report.comparison is not None:
        _show_comparison(console, report.comparison)
    if report.usable:
        tests = report.compilation.text.strip().splitlines()[-1:]
        console.print(
            Text(f"{report.directory}: compiles; {tests[0] if tests else 'no tests'}; {_count(report.warnings)}")
        )


def _lines(finding: Finding) -> Text:
    text = Text()
    place = f"{finding.file}:{finding.line}" if finding.file else ""
    text.append(" ".join(part for part in (place, finding.rule) if part), style="bold")
    text.append(f"  {finding.kind.value}\n" if place else f"{finding.kind.value}\n", style="yellow")
    text.append(f"  {harmless(finding.message)}\n")
    text.append(f"  mend: {harmless(finding.mend)}\n", style="green")
    return text


def _show_comparison(console: Console, comparison: Comparison) -> None:
    differences = comparison.differences
    if differences:
        console.print(Text("Recorded calls that strict evaluation changes", style="bold"))
    for difference in differences[:_SHOWN]:
        console.print(
            Text(f"  {difference.request}: {difference.lenient} becomes {difference.strict}", style="yellow").append(
                harmless(f"  as {', '.join(difference.roles)}"), style="dim"
            )
        )
    if len(differences) > _SHOWN:
        console.print(Text(f"  and {len(differences) - _SHOWN} more (see --json)"))
    if comparison.asked and not differences:
        console.print(
            Text(f"{comparison.asked} recorded calls asked, strictly and not: the same answers.", style="dim")
        )


def _count(warnings: int) -> str:
    return {0: "no warnings", 1: "1 warning"}.get(warnings, f"{warnings} warnings")


def _say(line: str) -> None:
    typer.echo(f"hookgate: {line}", err=True)
