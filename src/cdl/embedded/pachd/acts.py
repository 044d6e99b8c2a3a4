"""What one transaction may do. Every act works on a wave, which spreads once, when all acts are done."""

from collections.abc import Callable

from cdl.embedded.pachd import commits, defaults, graph, jobs, pipelines, refs, secrets, specs, triggers, views, wire
from cdl.embedded.pachd.graph import Wave
from cdl.embedded.pachd.refs import Branch
from cdl.embedded.pachd.refusals import RefusedError, exists, invalid
from cdl.embedded.pachd.wire import Msg

Act = Callable[[Wave, Msg], Msg]


def create_repo(wave: Wave, request: Msg) -> Msg:
    """Create a repo, or update its description."""
    name = refs.repo_name(request.repo)
    refs.check_name("repo", name.name)
    refs.project(wave.db, name.project)
    found = refs.find_repo(wave.db, name)
    if found is not None and not request.update:
        raise exists(f"repo {name} already exists")
    if found is None:
        refs.make_repo(wave.db, name, request.description)
    elif found.description != request.description:
        wave.db.execute("UPDATE repos SET description = ? WHERE id = ?", (request.description, found.id))
    return wire.Empty()


def delete_repo(wave: Wave, request: Msg) -> Msg:
    """Delete a repo; one that is not there is no error, and a pipeline's goes with the pipeline."""
    name = refs.repo_name(request.repo)
    refs.project(wave.db, name.project)
    found = refs.find_repo(wave.db, name)
    if found is None:
        return wire.pfs.DeleteRepoResponse(deleted=False)
    if wave.db.execute("SELECT 1 FROM pipelines WHERE project = ? AND name = ?", name[:2]).fetchone():
        raise RefusedError(
            f"repo {name} cannot be deleted: it belongs to pipeline {name[0]}/{name[1]}; delete the pipeline instead"
        )
    graph.delete_repo(wave.db, found, force=request.force)
    return wire.pfs.DeleteRepoResponse(deleted=True)


def start_commit(wave: Wave, request: Msg) -> Msg:
    """Open a commit; everything downstream appears with it."""
    if not request.branch.name:
        raise invalid("a commit is started on a branch: branch.name is empty")
    owner = refs.repo(wave.db, request.branch.repo)
    parent = None
    if request.parent.id or request.parent.branch.name:
        parent = refs.commit(wave.db, in_repo(request.parent, request.branch.repo))
    branch = wave.branch(owner, request.branch.name)
    made = commits.start(wave, branch, parent=parent, description=request.description)
    return views.commit(wave.db, made)


def in_repo(handle: Msg, repo: Msg) -> Msg:
    """Complete a commit's handle with the repo of the request that it stands in."""
    if handle.repo.name or handle.branch.repo.name or not repo.name:
        return handle
    made = wire.pfs.Commit.FromString(handle.SerializeToString())
    made.repo.CopyFrom(repo)
    return made


def finish_commit(wave: Wave, request: Msg) -> Msg:
    """Close a commit."""
    commits.finish_by_hand(
        wave.db,
        refs.commit(wave.db, request.commit),
        error=request.error,
        description=request.description,
        force=request.force,
    )
    return wire.Empty()


def squash_commit_set(wave: Wave, request: Msg) -> Msg:
    """Squash every commit of a set."""
    commits.squash(wave.db, commits.set_of(wave.db, request.commit_set.id, "squash"))
    return wire.Empty()


def create_branch(wave: Wave, request: Msg) -> Msg:
    """Create a branch, move its head, or replace what it depends on or is triggered by."""
    db = wave.db
    owner = refs.repo(db, request.branch.repo)
    if not request.branch.name:
        raise RefusedError("a branch must be named: branch.name is empty")
    branch = wave.branch(owner, request.branch.name)
    _point(wave, branch, request)
    upstream = [wave.branch(refs.repo(db, b.repo), b.name) for b in request.provenance]
    triggers.replace(db, branch, request.trigger if request.HasField("trigger") else None, depends=bool(upstream))
    never = frozenset(
        refs.branch(db, s.branch).id for s in request.branch_propagation_specs if s.propagation_spec.never
    )
    changed = wave.depend(branch, upstream, never)
    for named in request.provenance:
        wave.headed(refs.repo(db, named.repo), named.name)
    head = refs.branch_by_id(db, branch.id).head
    if upstream and (changed or head is None):
        wave.want(branch)
    elif head is None:
        wave.commit(branch, origin=refs.AUTO, done=True)
    return wire.Empty()


def _point(wave: Wave, branch: Branch, request: Msg) -> None:
    """Move a head to the commit that the client names, if it names one."""
    if not (request.HasField("head") and (request.head.id or request.head.branch.name)):
        return
    head = refs.commit(wave.db, in_repo(request.head, request.branch.repo))
    if head.repo != branch.repo:
        raise RefusedError(f"head {refs.spoken(wave.db, head)} is not in the branch's repo")
    wave.move(branch, head)


def delete_branch(wave: Wave, request: Msg) -> Msg:
    """Delete a branch; its commits stay."""
    branch = refs.branch(wave.db, request.branch)
    watcher = triggers.watcher_of(wave.db, branch)
    if watcher and not request.force:
        raise RefusedError(
            f"branch {graph.spoken(wave.db, branch.id)} cannot be deleted: branch {watcher} is triggered by it"
        )
    graph.delete_branch(wave.db, branch, force=request.force)
    return wire.Empty()


def stop_job(wave: Wave, request: Msg) -> Msg:
    """Kill a job; one that has ended stays as it is."""
    job = jobs.get(wave.db, request.job)
    commits.end_job(wave.db, job.id, commits.KILLED, request.reason or "job stopped")
    return wire.Empty()


def create_pipeline_v2(wave: Wave, request: Msg) -> Msg:
    """Create or update a pipeline; what the user sent is kept as it was sent."""
    asked = request.create_pipeline_request
    text = request.user_json or specs.to_json(asked)
    spec = specs.complete(defaults.applied(wave.db, asked, text))
    specs.check(spec)
    for flag in ("update", "reprocess", "dry_run"):
        spec.ClearField(flag)
    secrets.given_to(wave.db, spec.pipeline.name, spec.transform)
    if not asked.dry_run:
        pipelines.create(wave, spec, text, update=asked.update, reprocess=asked.reprocess)
    return wire.pps.CreatePipelineV2Response(effective_create_pipeline_request_json=specs.to_json(spec))


ACTS: dict[str, Act] = {
    "create_repo": create_repo,
    "delete_repo": delete_repo,
    "start_commit": start_commit,
    "finish_commit": finish_commit,
    "squash_commit_set": squash_commit_set,
    "create_branch": create_branch,
    "delete_branch": delete_branch,
    "stop_job": stop_job,
    "create_pipeline_v2": create_pipeline_v2,
}
REMOVING = frozenset({"delete_repo", "squash_commit_set"})
