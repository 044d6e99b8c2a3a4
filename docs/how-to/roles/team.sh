# The team on one machine, for bash, from the checkout: `. docs/how-to/roles/team.sh && team_up`. `cdl stop` ends it.
# as ROLE COMMAND...  does something as somebody, in their clone;  number BRANCH  gives the number of its merge request;
# told BRANCH WORDS   waits until the platform's note under it says so, and prints the note's headline.

export CDL_HOME=${CDL_HOME:-$PWD/.cdl/team}
export CDL_DATA=$CDL_HOME/data
export PATH=$PWD/.venv/bin:$PATH
DESKS=$CDL_HOME/desks

as() { # the token is in the environment of one command, and nowhere else
  local who=$1 token proof
  shift
  token=$(cdl forge token "$who")
  proof=$(printf '%s:%s' "$who" "$token" | base64 -w0)
  mkdir -p "$DESKS/$who/news"
  (
    cd "$DESKS/$who/news" || exit 1
    export GIT_AUTHOR_NAME=$who GIT_AUTHOR_EMAIL=$who@forge.invalid GIT_TERMINAL_PROMPT=0
    export GIT_COMMITTER_NAME=$who GIT_COMMITTER_EMAIL=$who@forge.invalid
    export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="http.$FORGE/.extraHeader" GIT_CONFIG_VALUE_0="Authorization: Basic $proof"
    export CI_SERVER_URL=$FORGE GITLAB_PRIVATE_TOKEN=$token no_proxy=127.0.0.1
    "$@"
  )
}

clone() { # a fresh look at main, on a branch of one's own
  as "$1" sh -c "test -d .git || git clone --quiet $FORGE/team/news.git .; git fetch --quiet; git checkout --quiet -B $2 origin/main"
}

number() {
  as data-scientist gitlab -o json project-merge-request list --project-id team/news --source-branch "$1" |
    python -c 'import json, sys; print(json.load(sys.stdin)[0]["iid"])'
}

told() {
  local note iid
  iid=$(number "$1")
  for _ in $(seq 90); do
    note=$(as data-scientist gitlab -o json project-merge-request-note list --project-id team/news --mr-iid "$iid" |
      python -c 'import json, sys; print("".join(n["body"] for n in json.load(sys.stdin) if n["author"]["username"] == "platform"))')
    case $note in *"$2"*) grep -m 1 -v '^<!--' <<<"$note"; return 0 ;; esac
    sleep 2
  done
  echo "the note of $1 does not say: $2" >&2
  echo "$note" >&2
  return 1
}

team_up() { # a project that is served already: data on main, the model by the first merge request
  FORGE=$(cdl forge up | sed -n 's/^forge at \([^;]*\);.*/\1/p')
  cdl forge follow team/news
  as devops-engineer cdl init news --template text --into .
  python "$DESKS/devops-engineer/news/synthetic.py" "$CDL_DATA/news"
  as devops-engineer sh -c "
    sed -i 's/{policy: Automatic}.*/{policy: MergeRequest, role: validator}/' resources/experiment.yaml
    git add . && git commit --quiet --amend --no-edit && git branch first
    git rm --quiet resources/experiment.yaml resources/modeldeployment.yaml && git commit --quiet -m 'Begin with the data'
    git remote add origin $FORGE/team/news.git && git push --quiet origin main"
  clone data-scientist first
  as data-scientist sh -c "git fetch --quiet $DESKS/devops-engineer/news first && git checkout --quiet FETCH_HEAD -- resources
    git add . && git commit --quiet -m 'Train a first model' && git push --quiet origin first"
  as data-scientist gitlab project-merge-request create --project-id team/news \
    --source-branch first --target-branch main --title "A first model"
  told first "waits for a validator's approval"
  as validator gitlab project-merge-request approve --project-id team/news --iid 1
  told first "Next: merge it"
  as devops-engineer gitlab project-merge-request merge --project-id team/news --iid 1
  told first "serves"
}
