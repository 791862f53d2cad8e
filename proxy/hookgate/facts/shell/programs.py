"""What programs do with the words on their line: one row a program, easy to extend."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from hookgate.facts.model import Access

READ, WRITE, DELETE, EXECUTE, RIGHTS, SEARCH = (
    Access.READ,
    Access.WRITE,
    Access.DELETE,
    Access.EXECUTE,
    Access.RIGHTS,
    Access.SEARCH,
)


class Program(NamedTuple):
    """What a program does with its operands; `first` are operands that are no paths, `last` what is done with the last one where
    there are two or more, `options` what is done with the value of an option. `literal`: words are only text to it."""

    operands: Access | None = None
    first: int = 0
    last: Access | None = None
    options: Mapping[str, Access] = MappingProxyType({})
    recursive: bool = False
    literal: bool = False


def _rows(names: str, program: Program) -> dict[str, Program]:
    return dict.fromkeys(names.split(), program)


PROGRAMS: dict[str, Program] = (
    _rows(
        "cat tac nl less more most head tail bat batcat strings od hexdump hd base64 base32 base58 wc uniq cut paste diff cmp comm file "
        "rev fold fmt pr column expand tsort zcat bzcat xzcat zless zmore view md5sum sha1sum sha256sum sha512sum cksum sum b2sum gpg "
        "readelf objdump nm type get-content gc iconv join look ul uuencode cpio dialog efax gzip bzip2 xz zstd pg page",
        Program(READ),
    )
    | _rows("xxd", Program(READ, last=WRITE))
    | _rows("sort", Program(READ, options={"-o": WRITE, "--output": WRITE}))
    | _rows("shuf", Program(READ, options={"-o": WRITE, "--output": WRITE}))
    | _rows("date", Program(None, options={"-f": READ, "--file": READ}))
    | _rows("wall", Program(READ))
    | _rows("rimraf trash trash-put", Program(DELETE, recursive=True))
    | _rows("stat ls du tree realpath readlink basename dirname dir vdir exa eza lsattr getfacl namei", Program(SEARCH))
    | _rows(
        "grep egrep fgrep zgrep rg ag ack ugrep select-string",
        Program(READ, 1, options={"-f": READ, "--file": READ, "--exclude-from": READ, "--include-from": READ}),
    )
    | _rows("sed gsed", Program(READ, 1, options={"-f": READ}))
    | _rows("awk gawk mawk nawk", Program(READ, 1, options={"-f": EXECUTE}))
    | _rows("jq yq", Program(READ, 1, options={"-f": READ}))
    | _rows("vi vim nvim nano emacs ed ex joe pico micro code subl kate gedit", Program(WRITE))
    | _rows("cp", Program(READ, last=WRITE, options={"-t": WRITE, "--target-directory": WRITE}))
    | _rows("install copy-item", Program(READ, last=WRITE, options={"-t": WRITE, "--target-directory": WRITE}))
    | _rows("mv move-item", Program(DELETE, last=WRITE, options={"-t": WRITE, "--target-directory": WRITE}))
    # A link's target is as good as opened: what is done with the link is done with it.
    | _rows("ln link mklink", Program(READ, last=WRITE, options={"-t": WRITE}))
    | _rows("scp rsync", Program(READ, last=WRITE, options={"-i": READ, "--files-from": READ}))
    | _rows("rm rmdir unlink shred srm wipe remove-item ri rd del erase", Program(DELETE))
    | _rows("tee touch mkdir mkfifo mktemp truncate set-content add-content fallocate", Program(WRITE))
    | _rows("chmod chown chgrp chattr setcap chcon", Program(RIGHTS, 1))
    | _rows("setfacl", Program(RIGHTS, options={"-M": READ}))
    | _rows("source .", Program(EXECUTE))
    | _rows(
        "curl",
        Program(
            options={
                "-o": WRITE,
                "--output": WRITE,
                "-T": READ,
                "--upload-file": READ,
                "-K": READ,
                "--config": READ,
                "-b": READ,
                "-c": WRITE,
                "-E": READ,
                "--cert": READ,
                "--key": READ,
                "-D": WRITE,
                "--netrc-file": READ,
            }
        ),
    )
    | _rows(
        "wget",
        Program(
            options={
                "-O": WRITE,
                "--output-document": WRITE,
                "-i": READ,
                "--input-file": READ,
                "--post-file": READ,
                "--body-file": READ,
                "-P": WRITE,
                "-o": WRITE,
            }
        ),
    )
    | _rows("git", Program(options={"--output": WRITE}))
    | _rows(
        "openssl", Program(None, options={"-in": READ, "-out": WRITE, "-key": READ, "-inkey": READ, "-passin": READ})
    )
    | _rows("sh bash zsh dash ksh ash fish", Program(EXECUTE, options={"--rcfile": EXECUTE, "--init-file": EXECUTE}))
    | _rows("find", Program(SEARCH, recursive=True))
    | _rows(
        "tar bsdtar",
        Program(READ, options={"-C": SEARCH, "-T": READ, "-X": READ, "--exclude-from": READ, "--files-from": READ}),
    )
    | _rows("zip 7z 7za rar", Program(READ))
    | _rows("unzip gunzip bunzip2 unxz unrar", Program(READ))
    | _rows("split csplit", Program(READ))
    | _rows("strace ltrace", Program(None, options={"-o": WRITE, "-F": READ}))
    # Their words are text, not files.
    | _rows(
        "echo printf true false : test [ [[ exit return export read set unset shift local let expr seq sleep cal type which "
        "whereis hash man info help alias apropos whatis cd pushd popd mkalias logger say notify-send trap",
        Program(literal=True),
    )
)

#: Short options and the long ones that they are. Long ones may be written as short as no other begins so.
_COMMON = {"-r": "--recursive", "-R": "--recursive", "-f": "--force", "-v": "--verbose", "-i": "--interactive"}
LONG: dict[str, dict[str, str]] = {
    "rm": {**_COMMON, "-d": "--dir", "-I": "--interactive"},
    "cp": {**_COMMON, "-a": "--archive"},
    "mv": _COMMON,
    "ln": {"-f": "--force", "-s": "--symbolic"},
    "chmod": {"-R": "--recursive"},
    "chown": {"-R": "--recursive"},
    "chgrp": {"-R": "--recursive"},
    "setfacl": {"-R": "--recursive"},
    "git push": {"-f": "--force", "-d": "--delete", "-u": "--set-upstream", "-n": "--dry-run", "-q": "--quiet", "-v": "--verbose",
                 "-4": "--ipv4", "-6": "--ipv6", "-o": "--push-option", "--all": "--all", "--mirror": "--mirror", "--tags": "--tags",
                 "--prune": "--prune", "--force-with-lease": "--force-with-lease", "--force-if-includes": "--force-if-includes"},
    "git reset": {"--hard": "--hard", "--soft": "--soft", "--mixed": "--mixed", "--merge": "--merge", "--keep": "--keep", "-q": "--quiet"},
    "git clean": {"-f": "--force", "-n": "--dry-run", "-d": "-d", "-x": "-x", "-X": "-X", "-i": "--interactive", "-q": "--quiet"},
    "git checkout": {"-f": "--force", "-b": "-b", "-B": "-B", "-q": "--quiet", "-p": "--patch"},
    "git switch": {"-f": "--force", "-c": "--create", "-C": "--force-create", "-d": "--detach", "-q": "--quiet",
                   "--discard-changes": "--force"},
    "git restore": {"-S": "--staged", "-W": "--worktree", "-s": "--source", "-p": "--patch", "-q": "--quiet"},
    "git branch": {"-d": "--delete", "-D": "-D", "-f": "--force", "-m": "--move", "-M": "-M"},
    "git worktree": {"-f": "--force"},
    "git stash": {},
    "kubectl delete": {"--all": "--all", "-A": "--all-namespaces", "-f": "--filename", "-n": "--namespace"},
    "docker": {"-f": "--force", "-a": "--all"},
    "base64": {"-d": "--decode", "-D": "--decode", "-i": "--ignore-garbage"},
    "base32": {"-d": "--decode"},
    "sed": {"-i": "--in-place", "-n": "--quiet", "-e": "--expression"},
    "grep": {"-r": "--recursive", "-R": "--recursive", "-i": "--ignore-case"},
}  # fmt: skip

#: Options that take the next word.
VALUES: dict[str, frozenset[str]] = {
    name: frozenset(options.split())
    for name, options in {
        "git": "-C -c --git-dir --work-tree --namespace --exec-path --config-env",
        "git commit": "-m --message -F --file --author --date -C -c --fixup --squash",
        "git push": "-o --push-option --repo --receive-pack --exec",
        "git checkout": "-b -B --orphan --conflict",
        "git switch": "-c -C --create --force-create --orphan --conflict",
        "git restore": "-s --source",
        "git clean": "-e --exclude",
        "git tag": "-m -F -u",
        "git log": "-n --author --since --until --grep --format -S -G -L",
        "curl": "-o --output -T --upload-file -K --config -d --data --data-binary --data-raw --data-urlencode -F --form -H --header -X "
        "--request -u --user -A --user-agent -b --cookie -c --cookie-jar -e --referer -x --proxy -m --max-time --connect-timeout --retry "
        "-w --write-out -E --cert --key --cacert --capath -D --dump-header -r --range --resolve --connect-to --json --netrc-file "
        "--retry-delay --unix-socket --url --interface -C -y -Y -z -t -Q --limit-rate --max-redirs --variable",
        "wget": "-O --output-document -o --output-file -i --input-file -P --directory-prefix -t --tries -T --timeout -U --user-agent "
        "--header --post-data --post-file --body-file --method --body-data -a -e --limit-rate -l -A -R -D -Q -w --execute",
        "grep": "-e -f -A -B -C -m --include --exclude --exclude-dir --color --exclude-from --regexp --file --max-count -d -D",
        "rg": "-e -f -A -B -C -m -g --glob -t --type -T --type-not --max-depth -M -r --replace -j --sort",
        "sed": "-e -f --expression --file -l",
        "awk": "-F -v -f --assign --field-separator",
        "jq": "--indent",
        "head": "-n -c --lines --bytes",
        "tail": "-n -c --lines --bytes -s --pid",
        "cut": "-d -f -c -b --delimiter --fields --characters",
        "sort": "-k -t -o -S -T --key --field-separator --output --parallel",
        "cp": "-t --target-directory -S --suffix",
        "mv": "-t --target-directory -S --suffix",
        "ln": "-t --target-directory -S",
        "install": "-m -o -g -t --mode --owner --group --target-directory -S",
        "scp": "-i -P -F -o -l -c -J -S",
        "rsync": "-e --rsh --exclude --include --exclude-from --include-from --files-from --rsync-path -T -B --port --password-file "
        "--bwlimit --timeout --chmod --filter -f --log-file --out-format --compare-dest --link-dest --backup-dir",
        "ssh": "-i -p -l -F -o -L -R -D -J -b -c -e -m -S -W -w -E -I -O -Q -B",
        "tar": "-f --file -C --directory -T --files-from -X --exclude-from --exclude -b -H --transform --strip-components -I "
        "--use-compress-program --checkpoint-action --to-command",
        "find": "",
        "mkdir": "-m --mode",
        "touch": "-d -t -r --date --reference",
        "chmod": "--reference",
        "setfacl": "-m -x -M -X --modify --remove --modify-file --remove-file --set",
        "chown": "--reference --from",
        "kubectl": "-n --namespace --context --cluster --kubeconfig -s --server --user --token -o --output -l --selector -f --filename "
        "-c --container --as -k --type -p --patch --field-selector --timeout --tail --since",
        "docker": "-H --host --context -c -l --log-level --config --file -p --project-name --env-file",
        "aws": "--profile --region --output --query --endpoint-url",
        "helm": "-n --namespace --kube-context --kubeconfig -f --values --set --set-string --version --timeout",
        "pip": "-i --index-url --extra-index-url --find-links -r --requirement -c --constraint -t --target --python",
        "shuf": "-n -o -i --head-count --output --input-range --random-source",
        "date": "-f --file -d --date -r --reference -s --set",
        "terraform": "",
        "nc": "-p -s -w -i -q -e -c -X -x -T -O -I -P -V",
        "gh": "-R --repo -t --title -b --body -F --body-file -B --base -H --head -X --method -f --field",
        "python": "-W -X -m -c",
        "sqlite3": "-cmd -separator",
        "split": "-a -b -C -l -n --bytes --lines --additional-suffix --number --suffix-length",
        "openssl": "-in -out -key -inkey -passin -pass -connect",
        "base64": "-w --wrap",
        "tmux": "-S -L -f -c",
        "screen": "-S -c -e -h -p -t -T",
        "xxd": "-l -s -c -g -o -n",
        "bash": "-c -o -O +O --rcfile --init-file",
        "mktemp": "-p --tmpdir --suffix",
        "truncate": "-s --size -r",
    }.items()
}
#: Names under which the rows above are also found.
LIKE = {
    "egrep": "grep", "fgrep": "grep", "gsed": "sed", "gawk": "awk", "mawk": "awk", "nawk": "awk", "ncat": "nc", "netcat": "nc",
    "podman": "docker", "nerdctl": "docker", "oc": "kubectl", "sftp": "scp", "bsdtar": "tar",
    "sh": "bash", "zsh": "bash", "dash": "bash", "ksh": "bash", "ash": "bash", "fish": "bash",
}  # fmt: skip

#: Programs with sub-commands.
SUBCOMMANDS = frozenset(
    [
        "git",
        "docker",
        "podman",
        "nerdctl",
        "kubectl",
        "oc",
        "helm",
        "terraform",
        "tofu",
        "pulumi",
        "aws",
        "gcloud",
        "az",
        "npm",
        "yarn",
        "pnpm",
        "pip",
        "pip3",
        "uv",
        "poetry",
        "cargo",
        "go",
        "gh",
        "glab",
        "brew",
        "apt",
        "apt-get",
        "dnf",
        "yum",
        "apk",
        "pacman",
        "zypper",
        "snap",
        "flatpak",
        "gem",
        "bundle",
        "composer",
        "systemctl",
        "launchctl",
        "service",
        "security",
        "openssl",
        "crontab",
        "hg",
        "svn",
        "claude",
        "hookgate",
        "cerbos",
        "ansible",
        "vault",
        "flyctl",
        "fly",
        "heroku",
        "vercel",
        "netlify",
        "doctl",
        "linode-cli",
        "openstack",
        "mise",
        "asdf",
        "rustup",
        "conda",
        "mamba",
        "nix",
        "lvm",
        "lxc",
        "ctr",
        "dmsetup",
        "npx",
        "bunx",
        "bun",
        "deno",
        "netsh",
        "reg",
        "sc",
        "make",
        "docker-compose",
        "tmux",
        "screen",
        "redis-cli",
        "helmfile",
        "argocd",
        "flux",
        "minikube",
        "kind",
        "k3d",
    ]
)
SHELLS = frozenset(
    [
        "sh",
        "bash",
        "zsh",
        "dash",
        "ksh",
        "mksh",
        "ash",
        "fish",
        "csh",
        "tcsh",
        "rbash",
        "rc",
        "elvish",
        "pwsh",
        "powershell",
        "yash",
        "nu",
        "xonsh",
    ]
)
#: Interpreters and the options behind which code stands.
CODE_OPTIONS: dict[str, frozenset[str]] = {
    **dict.fromkeys(("python", "python2", "python3", "pypy", "pypy3", "ipython"), frozenset({"-c"})),
    **dict.fromkeys(
        ("perl", "ruby", "lua", "luajit", "julia", "osascript", "jrunscript"),
        frozenset({"-e", "-E", "-n", "-ne", "-pe", "-l"}),
    ),
    **dict.fromkeys(("node", "nodejs", "bun"), frozenset({"-e", "-p", "--eval", "--print", "-pe"})),
    "deno": frozenset({"eval"}),
    "php": frozenset({"-r"}),
    "groovy": frozenset({"-e"}),
    "rscript": frozenset({"-e"}),
    "octave-cli": frozenset({"--eval"}),
    "octave": frozenset({"--eval"}),
}
INTERPRETERS = SHELLS | frozenset(CODE_OPTIONS)
NETWORK = frozenset(
    [
        "curl",
        "wget",
        "http",
        "https",
        "xh",
        "aria2c",
        "lwp-request",
        "lwp-download",
        "nc",
        "ncat",
        "netcat",
        "socat",
        "telnet",
        "ftp",
        "tftp",
        "scp",
        "sftp",
        "rsync",
        "ssh",
        "fetch",
        "axel",
        "iwr",
        "irm",
        "invoke-webrequest",
        "invoke-restmethod",
        "urlget",
        "openssl-s_client",
        "whois",
        "finger",
        "smbclient",
        "gsutil",
    ]
)
