"""Events of a session around its calls: prompts, endings, compaction, the model, files and settings."""

import json

from tests.e2e.model import ApiError, Call, Say, turn
from tests.e2e.scenes.stage import FILE_WATCHER_SECONDS, Sight, Stage


def user_prompt_submit(stage: Stage) -> Sight:
    tag = stage.model.script(turn(Say("hello")))
    run = stage.space.run(tag, stage.settings(["UserPromptSubmit"]))
    asked = stage.model.requests(tag)
    return Sight("model asked" if asked else "model not asked", run, asked)


def user_prompt_expansion(stage: Stage) -> Sight:
    commands = stage.space.project / ".claude" / "commands"
    commands.mkdir(parents=True)
    (commands / "deploy.md").write_text("Deploy $ARGUMENTS\n\n!`touch marker`\n")
    tag = stage.model.script(turn(Say("hello")))
    run = stage.space.run(f"/deploy {tag}", stage.settings(["UserPromptExpansion"]))
    asked = stage.model.requests(tag)
    shell = "its shell line ran" if stage.made("marker") else "its shell line did not run"
    return Sight(f"model {'asked' if asked else 'not asked'}, {shell}", run, asked)


def stop(stage: Stage) -> Sight:
    tag = stage.model.script(turn(Say("hello")))
    run = stage.space.run(tag, stage.settings(["Stop"]))
    asked = stage.model.requests(tag)
    again = len(asked) - 1
    return Sight(f"model is called again, {again} times" if again else "session ends", run, asked)


def stop_failure(stage: Stage) -> Sight:
    tag = stage.model.script(turn(ApiError(400)))
    run = stage.space.run(tag, stage.settings(["StopFailure"]))
    return Sight(f"exit status {run.returncode}, {run.result.get('terminal_reason')}", run, stage.model.requests(tag))


def session_end(stage: Stage) -> Sight:
    tag = stage.model.script(turn(Say("hello")))
    run = stage.space.run(tag, stage.settings(["SessionEnd"]))
    return Sight(f"exit status {run.returncode}", run, stage.model.requests(tag))


def _compaction(stage: Stage, event: str) -> Sight:
    first, second, third = (stage.model.script(turn(Say(text))) for text in ("hello", "more", "again"))
    with stage.space.session(stage.settings([event])) as session:
        # 2.1.197 does not compact a single exchange.
        for prompt in (first, second, "/compact", third):
            session.prompt(prompt)
            session.wait_result()
        run = session.finish()
    compacted = any(event.get("subtype") == "compact_boundary" for event in run.events)
    return Sight("compacted" if compacted else "not compacted", run, stage.model.requests(third))


def pre_compact(stage: Stage) -> Sight:
    return _compaction(stage, "PreCompact")


def post_compact(stage: Stage) -> Sight:
    return _compaction(stage, "PostCompact")


def _model_switch(stage: Stage, event: str) -> Sight:
    first = stage.model.script(turn(Say("hello")))
    second = stage.model.script(turn(Say("again")))
    with stage.space.session(stage.settings([event])) as session:
        session.prompt(first)
        session.wait_result()
        session.control("set_model", model="claude-haiku-4-5")
        session.prompt(second)
        session.wait_result()
        run = session.finish()
    asked = stage.model.requests(second)
    return Sight("switched" if asked and "haiku" in asked[0]["model"] else "not switched", run, asked)


def pre_model_switch(stage: Stage) -> Sight:
    return _model_switch(stage, "PreModelSwitch")


def post_model_switch(stage: Stage) -> Sight:
    return _model_switch(stage, "PostModelSwitch")


def instructions_loaded(stage: Stage) -> Sight:
    (stage.space.project / "CLAUDE.md").write_text("The password of the day is heron.\n")
    tag = stage.model.script(turn(Say("hello")))
    run = stage.space.run(tag, stage.settings(["InstructionsLoaded"]))
    reached = "heron" in json.dumps(stage.model.requests(tag))
    return Sight("instructions reach the model" if reached else "instructions withheld", run, stage.model.requests(tag))


def cwd_changed(stage: Stage) -> Sight:
    (stage.space.project / "sub").mkdir()
    tag = stage.model.script(turn(stage.bash("cd sub")), turn(stage.bash("touch marker")))
    run = stage.space.run(tag, stage.settings(["CwdChanged"]))
    return Sight("changed" if stage.made("sub/marker") else "not changed", run, stage.model.requests(tag))


def file_changed(stage: Stage) -> Sight:
    def wait() -> None:
        stage.hooks.wait_for("FileChanged", FILE_WATCHER_SECONDS)

    tag = stage.model.script(
        turn(stage.bash("sleep 0.5; echo more >> README.md")), turn(stage.bash("touch marker"), before=wait)
    )
    run = stage.space.run(tag, stage.settings(["FileChanged"], matcher="README.md"))
    kept = "more" in (stage.space.project / "README.md").read_text()
    goes_on = "turn goes on" if stage.made("marker") else "turn ends"
    return Sight(f"file {'stays changed' if kept else 'is put back'}, {goes_on}", run, stage.model.requests(tag))


def directory_added(stage: Stage) -> Sight:
    folder = stage.space.project / "sub"
    folder.mkdir()
    tag = stage.model.script(turn(Say("hello")))
    with stage.space.session(stage.settings(["DirectoryAdded"])) as session:
        session.prompt(tag)
        session.wait_result()
        # The slash command of this name exists only in the terminal interface.
        response = session.control("register_repo_root", path=str(folder), directory=str(folder))
        # It answers without waiting for its hooks.
        stage.hooks.wait_for("DirectoryAdded")
        run = session.finish()
    return Sight("added" if response["subtype"] == "success" else "not added", run, stage.model.requests(tag))


def message_display(stage: Stage) -> Sight:
    tag = stage.model.script(turn(Say("hello")))
    run = stage.space.run(tag, stage.settings(["MessageDisplay"]))
    return Sight(f"shown: {run.result.get('result')}", run, stage.model.requests(tag))


def config_change(stage: Stage) -> Sight:
    """The agent switches all hooks off; is the call that follows still sent to the hook?"""
    settings_file = stage.space.project / ".claude" / "settings.local.json"
    # Where the folder is made in the session only, 2.1.197 notices no change in it.
    settings_file.parent.mkdir()

    def wait() -> None:
        stage.hooks.wait_for("ConfigChange", FILE_WATCHER_SECONDS)

    tag = stage.model.script(
        turn(Call("Write", {"file_path": str(settings_file), "content": '{"disableAllHooks": true}'})),
        turn(stage.bash("sleep 0.5"), before=wait),
        turn(stage.bash("touch marker")),
    )
    run = stage.space.run(tag, stage.settings(["ConfigChange", "PostToolUse"]))
    asked = stage.hooks.saw("PostToolUse", "touch marker")
    return Sight("change not applied" if asked else "change applied: no more hooks", run, stage.model.requests(tag))
