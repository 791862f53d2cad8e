"""Programs that run another one whose words follow on their own line."""

from typing import NamedTuple


class Wrapper(NamedTuple):
    """How the inner command is found: options that take a value, operands before it, and whether it follows `--` or the like."""

    values: frozenset[str] = frozenset()
    skip: int = 0
    behind: str = ""
    only: frozenset[str] = frozenset()


def _w(values: str = "", skip: int = 0, behind: str = "", only: str = "") -> Wrapper:
    return Wrapper(frozenset(values.split()), skip, behind, frozenset(only.split()))


_NONE = _w()
_CONTAINER = (
    "-e --env -v --volume -w --workdir -u --user -p --publish --name --network --net -l --label --mount --entrypoint --env-file -h "
    "--hostname --add-host --cpus -m --memory --platform --pull --restart --runtime --ulimit --cap-add --cap-drop --device --security-opt "
    "--gpus --ipc --pid --shm-size --tmpfs --volumes-from --detach-keys --index"
)

#: By program. `only`: the sub-commands that run something.
WRAPPERS: dict[str, Wrapper] = {
    "sudo": _w("-u -g -h -p -C -r -t -T -U -D -R --user --group --host --prompt --chdir --close-from"),
    "doas": _w("-u -C"),
    "env": _w("-u --unset -C --chdir"),
    "nice": _w("-n --adjustment"),
    "ionice": _w("-c -n -p -P -u --class --classdata"),
    "timeout": _w("-s -k --signal --kill-after", 1),
    "gtimeout": _w("-s -k --signal --kill-after", 1),
    "time": _w("-f -o --format --output"),
    "watch": _w("-n --interval"),
    "xargs": _w(
        "-I -n -P -L -d -a -s -E --max-args --max-procs --delimiter --arg-file --replace --max-lines --max-chars"
    ),
    "stdbuf": _w("-i -o -e --input --output --error"),
    "exec": _w("-a"),
    "strace": _w("-o -e -s -p -E -u -a -b -I -O -P -S -X"),
    "ltrace": _w("-o -e -s -p -u -a -n -l -x -F -A -D"),
    "choom": _w("-n -p --adjust --pid"),
    "taskset": _w("-p --pid", 1),
    "chrt": _w("-T -P -D -p", 1),
    "flock": _w("-w -E --timeout", 1),
    "chroot": _w("--userspec --groups", 1),
    "unshare": _w("-S -G -R -w"),
    "nsenter": _w("-t -S -G --target"),
    "firejail": _w(""),
    "bwrap": _w("", 0, "--"),
    "sshpass": _w("-p -f -d -P -e"),
    "start-stop-daemon": _w("-p -n -u -g -c -d -r -N -s --pidfile --name --user", 0),
    "script": _w("-I -O -B -T -o"),
    "gosu": _w("", 1),
    "su-exec": _w("", 1),
    "direnv": _w("", 2, "", "exec"),
    "faketime": _w("-f", 1),
    "cgexec": _w("-g"),
    "systemd-run": _w("-u -p -E -t -M --unit --property --slice --uid --gid --setenv"),
    "pkexec": _w("--user"),
    "run0": _w("-u --user"),
    "dosbox": _w("-conf"),
    "torify": _NONE,
    "torsocks": _NONE,
    "proxychains": _w("-f"),
    "proxychains4": _w("-f"),
    "docker": _w(_CONTAINER, 2, "", "exec run"),
    "podman": _w(_CONTAINER, 2, "", "exec run"),
    "nerdctl": _w(_CONTAINER, 2, "", "exec run"),
    "kubectl": _w(
        "-n --namespace -c --container --context --kubeconfig --as --cluster -s --server -f --filename",
        2,
        "--",
        "exec run debug",
    ),
    "oc": _w("-n --namespace -c --container --context --kubeconfig --as", 2, "--", "exec rsh"),
    "uv": _w("--with --python -p --project --directory --extra --group --env-file --with-requirements", 1, "", "run"),
    "poetry": _w("-C", 1, "", "run"),
    "pipenv": _w("", 1, "", "run"),
    "hatch": _w("", 1, "", "run"),
    "rye": _w("", 1, "", "run"),
    "bundle": _w("", 1, "", "exec"),
    "cabal": _w("--project-file", 1, "", "exec"),
    "stack": _w("", 1, "", "exec"),
    "mise": _w("", 1, "--", "exec x"),
    "npx": _w("-p --package -c --call", 0),
    "bunx": _w("-p --package", 0),
    "lxc": _w("", 2, "", "exec"),
    "docker-compose": _w(_CONTAINER, 2, "", "exec run"),
    "pnpx": _w("-p --package -c"),
    "npm": _w("-p --package -c --call -w --workspace", 1, "", "exec x"),
    "pnpm": _w("-C --dir -F --filter --package -c", 1, "", "exec dlx"),
    "yarn": _w("--cwd -p --package", 1, "", "exec dlx"),
    "bun": _w("--cwd", 1, "", "x"),
    "perf": _w("-e -o -p -F -C", 1, "", "stat record trace"),
    "logsave": _w("", 1),
    "setpriv": _w("--reuid --regid --groups --inh-caps --ambient-caps --bounding-set"),
    "numactl": _w("-m -N -C -i -p"),
    "doppler": _w("-p -c -t --project --config --token", 1, "--", "run"),
    "op": _w("--env-file --account", 1, "--", "run"),
    "infisical": _w("--env --path", 1, "--", "run"),
    "dotenv": _w("-e -f -v", 0, "--"),
    "aws-vault": _w("-d --duration --region", 2, "--", "exec"),
    "chamber": _w("", 2, "--", "exec"),
    "conda": _w("-n --name -p --prefix", 1, "", "run"),
    "mamba": _w("-n --name -p --prefix", 1, "", "run"),
    "pdm": _w("-p --project", 1, "", "run"),
    "pixi": _w("-e --environment", 1, "", "run"),
    "rbenv": _w("", 1, "", "exec"),
    "pyenv": _w("", 1, "", "exec"),
    "asdf": _w("", 1, "", "exec"),
    "devbox": _w("", 1, "--", "run"),
    "heroku": _w("-a --app -s --size", 1, "--", "run run:detached"),
    "hyperfine": _w(
        "-w -r -m -M -p -c -s -n -N -u --warmup --runs --min-runs --max-runs --export-json --export-markdown --export-csv --command-name"
    ),
    "multipass": _w("", 2, "--", "exec"),
    "crictl": _w("-r", 2, "", "exec"),
    "wsl": _w("-d -u --distribution --user"),
    "watchexec": _w("-e -w -f -i --exts --watch", 0, "--"),
    "entr": _NONE,
    "coproc": _NONE,
    "ld.so": _w("--library-path --preload --argv0 --audit --inhibit-rpath"),
    "runuser": _w("-u --user -g --group -G --supp-group", 0, "--"),
    "screen": _w("-S -c -e -h -p -t -T -r -x -X -R -ls -s -Logfile"),
}
WRAPPERS |= dict.fromkeys(
    [
        "nohup",
        "setsid",
        "command",
        "builtin",
        "busybox",
        "toybox",
        "grc",
        "caffeinate",
        "ssh-agent",
        "dbus-run-session",
        "xvfb-run",
        "eatmydata",
        "unbuffer",
        "rlwrap",
        "proxy-ns",
        "noglob",
        "nocorrect",
        "aoss",
        "aa-exec",
        "multitime",
        "pexec",
        "prlimit",
        "shx",
        "valgrind",
        "fakeroot",
        "setarch",
        "i386",
        "cpulimit",
    ],
    _NONE,
)
#: Options with which a wrapper only looks something up.
LOOKS = {"command": {"-v", "-V"}, "sudo": {"-l", "--list", "-v", "-k", "-K"}, "builtin": set[str]()}
