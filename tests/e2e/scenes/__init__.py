"""How to bring each event about in the real client, and what then shows whether an answer had an effect."""

from tests.e2e.scenes import calls, session
from tests.e2e.scenes.stage import Scene, Sight, Stage

__all__ = ["SCENES", "Scene", "Sight", "Stage"]

SCENES: dict[str, Scene] = {
    "PreToolUse": calls.pre_tool_use,
    "PermissionRequest": calls.permission_request,
    "PermissionDenied": calls.permission_denied,
    "PostToolUse": calls.post_tool_use,
    "PostToolUseFailure": calls.post_tool_use_failure,
    "PostToolBatch": calls.post_tool_batch,
    "UserPromptSubmit": session.user_prompt_submit,
    "UserPromptExpansion": session.user_prompt_expansion,
    "Stop": session.stop,
    "StopFailure": session.stop_failure,
    "SessionEnd": session.session_end,
    "SubagentStart": calls.subagent_start,
    "SubagentStop": calls.subagent_stop,
    "PreCompact": session.pre_compact,
    "PostCompact": session.post_compact,
    "PreModelSwitch": session.pre_model_switch,
    "PostModelSwitch": session.post_model_switch,
    "TaskCreated": calls.task_created,
    "TaskCompleted": calls.task_completed,
    "Elicitation": calls.elicitation,
    "ElicitationResult": calls.elicitation_result,
    "Notification": calls.notification,
    "InstructionsLoaded": session.instructions_loaded,
    "CwdChanged": session.cwd_changed,
    "FileChanged": session.file_changed,
    "DirectoryAdded": session.directory_added,
    "MessageDisplay": session.message_display,
    "ConfigChange": session.config_change,
}
