"""What no hook can see, as a report says it: a trail without an entry is no proof that nothing happened there."""

UNSEEN = (
    (
        "What never becomes a call: files mentioned with @, commands that a person types behind an exclamation mark, "
        "shell lines inside skills and slash commands, and whatever a person does in another terminal."
    ),
    (
        "What an approved command does in turn: scripts, make, package managers, git hooks and aliases. Only the "
        "command as the client announced it is recorded."
    ),
    (
        "Background work that goes on after its approval, and a file or link that is changed between the check and "
        "the use."
    ),
    "What a call prints by the way: a search over a folder can show lines of a file inside it that it does not name.",
    (
        "A person's yes in a dialog: a call that was asked about may have run although no record says so, unless the "
        "client reported its end."
    ),
    "Who the person is, wherever the identity was not verified: a header can be made up.",
    (
        "Other clients: another program, an older version, or a client that was started under settings that nobody "
        "manages. What is not sent to Hookgate is not in its trail."
    ),
    "What the client starts by itself: status line, key helpers, local MCP servers and language servers.",
    "What an MCP server does behind its tools, and a project's own server that bears a trusted name.",
    (
        "Whoever has more rights than Hookgate: root on its machine can stop it, replace it, or have it record "
        "nothing from then on. What was recorded before stays provable against a checkpoint that was kept elsewhere."
    ),
    "Whoever holds a stolen credential of a client: such calls stand under that client's name.",
    "Changed settings that take effect in the next session only: denying such a change protects the running session.",
)
