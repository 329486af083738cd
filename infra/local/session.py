"""The local stack, running: emulator, deployed app and GitHub stand-in over one state directory."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as EndpointError
from codec_evolution import artifacts
from codec_evolution.adapters.modifications import FrameworkModifications
from codec_evolution.adapters.objects import ArtifactBucket
from codec_evolution.adapters.tables import EvolutionRecord, LoopControl
from codec_evolution.loop.islands import MAX_ISLANDS, branch_of, island_names
from codec_evolution.planner_specs import SEARCH
from codec_sandbox.warm import PACKAGES_VARIABLE

from infra.errors import UserError
from infra.local import host
from infra.local.announcement import announce, announced, emulator_credentials
from infra.local.bare_repository import BareRepository
from infra.local.candidate_packages import live_packages
from infra.local.deploy import PLACEHOLDER_SECRET, LocalDeployment, deploy
from infra.local.emulator import Emulator
from infra.local.github_api import BRANCH
from infra.local.github_standin import GithubStandin
from infra.local.losses import Losses, NotedControl
from infra.local.modification_journal import Replayer
from infra.local.synthesis import ROOT, synthesise
from infra.progress import Progress
from infra.settings import INLINE_SLOTS, Settings

EMULATOR_PYTHON = ROOT / ".emulator" / "bin" / "python"
"""Interpreter of the emulator's own environment."""

SYNTHESIS_CACHE = ROOT / "cdk.out" / "local"
LINEAGE = "main"
"""The lineage that local runs evolve, the first one of those with several islands."""

HANDLERS = {"framework_tool": "infra.local.framework_tool.lambda_handler"}
"""Handlers that differ locally, by the function's folder: this one journals what the emulator may lose."""


@dataclass(frozen=True)
class Session:
    """What a command needs of the running stack.

    Attributes
    ----------
    git_dir
        The bare git repository behind the GitHub stand-in.
    emulator_pid
        Process id of the emulator.
    environment
        Overrides with which the functions were deployed.
    lends
        Whether a run may borrow this stack and deploy its own overrides.
    timings_s
        Seconds of each start-up step.
    """

    state_dir: Path
    deployment: LocalDeployment
    git_dir: Path
    emulator_pid: int
    timings_s: dict[str, float] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    lends: bool = False

    @property
    def record(self) -> EvolutionRecord:
        """The evolution record."""
        return EvolutionRecord(self.deployment.evolution_record_table)

    @property
    def control(self) -> LoopControl:
        """The loop's control items."""
        tables = self.deployment.loop_control_table, self.deployment.evolution_record_table
        return NotedControl(*tables, self.bucket, LINEAGE)

    @property
    def bucket(self) -> ArtifactBucket:
        """The artifact bucket."""
        return ArtifactBucket(self.deployment.artifact_bucket)


@contextmanager
def open_session(
    state_dir: Path, environment: Mapping[str, str], progress: Progress, *, lends: bool = False
) -> Iterator[Session]:
    """Start the stack, replay what the emulator lost, and stop the stack cleanly at the end.

    Parameters
    ----------
    environment
        Overrides of the functions' environment variables, such as ``PLANNER``.
    lends
        Whether a run may borrow the stack in the meantime.

    Raises
    ------
    UserError
        The state directory is in use or has another format, a port is taken, or a component does not start.
    """
    make_state_dir(state_dir)
    with ExitStack() as stack:
        session, log_file = _start(state_dir, environment, progress, stack, lends=lends)
        live = _announce(session)
        try:
            yield session
        except (EndpointError, HTTPClientError) as error:
            raise UserError(
                f"the emulator stopped answering ({log_file} may say why); every concluded attempt is kept, "
                "run the same command again"
            ) from error
        except ClientError as error:
            raise UserError(f"the local stack refused a call ({log_file} may say why): {error}") from error
        finally:
            live.unlink(missing_ok=True)


def _start(
    state_dir: Path, environment: Mapping[str, str], progress: Progress, stack: ExitStack, *, lends: bool
) -> tuple[Session, Path]:
    """Start every part of the stack, to be stopped with `stack`; returns the session and the emulator's log file."""
    timings: dict[str, float] = {}
    emulator = Emulator(state_dir, python=EMULATOR_PYTHON)
    stack.callback(emulator.stop)
    emulator.launch()  # it comes up beside what follows
    with _timed(timings, "synthesise", progress, "synthesising the app (cached until it changes)"):
        assembly = synthesise_locally()
    with _timed(timings, "start", progress, "starting the emulator and the GitHub stand-in"):
        token = json.loads(PLACEHOLDER_SECRET)["token"]
        github = stack.enter_context(GithubStandin(state_dir.resolve() / "github", token=token))
        git_dir = Path(github.git_dir)
        host_settings = host.set_up(state_dir, git_dir, _settings(), progress)
        emulator.await_answer()
    with _timed(timings, "deploy", progress, "deploying the stacks"):
        overrides = {
            "GITHUB_API_URL": github.url,
            "GITHUB_REPOSITORY": github.repository,
            "LINEAGE": LINEAGE,
            "CODEC_SANDBOX_CORES": "0",
            "CODEC_SANDBOX_WINDOW_CORES": "1",
            PACKAGES_VARIABLE: str(live_packages(state_dir)),
            "FRAMEWORK_HOST": str(host_settings),
            **environment,
        }
        deployment = _deploy(emulator.endpoint, assembly, overrides)
    stack.enter_context(emulator_credentials(emulator.endpoint))
    session = Session(state_dir, deployment, git_dir, emulator.pid, timings, overrides, lends)
    with _timed(timings, "replay", progress, ""):
        attempts, modifications = replay_lost(session), replay_lost_modifications(session)
    for count, what in ((attempts, "attempts"), (modifications, "framework modifications")):
        if count:
            progress(f"replayed {count} {what} that the emulator had lost")
    return session, emulator.log_file


def synthesise_locally() -> Path:
    """Return the cloud assembly that runs on this machine deploy; `make setup` makes the first one."""
    return synthesise(SYNTHESIS_CACHE, _settings())


def make_state_dir(state_dir: Path) -> None:
    """Create a state directory if it is missing; raises `UserError` if that fails."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the state directory {state_dir} cannot be made: {error.strerror}") from None


def has_evolution(state_dir: Path) -> bool:
    """Return whether a state directory holds an evolution."""
    return (state_dir / "emulator").is_dir()


@contextmanager
def join_session(state_dir: Path, progress: Progress) -> Iterator[Session]:
    """Use the stack of a run in another process, or start one for the duration of a command.

    Raises
    ------
    UserError
        The state directory has no evolution.
    """
    if not has_evolution(state_dir):
        raise UserError(
            f"there is no evolution in {state_dir}: run codec-evolution run --state-dir {state_dir}"
        )
    live = _live(state_dir)
    if live is None:
        with open_session(state_dir, {}, progress) as session:
            yield session
        return
    with emulator_credentials(live.deployment.endpoint):
        yield live


@contextmanager
def lend_session(state_dir: Path, progress: Progress) -> Iterator[Session]:
    """Use the stack of a run in another process, or start one that runs may borrow."""
    live = _live(state_dir)
    if live is None:
        with open_session(state_dir, {}, progress, lends=True) as session:
            yield session
        return
    with emulator_credentials(live.deployment.endpoint):
        yield live


@contextmanager
def borrow_session(state_dir: Path, environment: Mapping[str, str], progress: Progress) -> Iterator[Session]:
    """Open a session, or deploy into the one that a dashboard lends; the parameters are those of `open_session`."""
    live = _live(state_dir)
    if live is None or not live.lends:
        with open_session(state_dir, environment, progress) as session:
            yield session
        return
    progress("borrowing the stack of the dashboard")
    overrides = {**live.environment, **environment}
    assembly = synthesise_locally()
    with emulator_credentials(live.deployment.endpoint):
        yield replace(live, deployment=_deploy(live.deployment.endpoint, assembly, overrides))


def is_alive(session: Session) -> bool:
    """Return whether a session's emulator is still running."""
    try:
        os.kill(session.emulator_pid, 0)
    except OSError:
        return False
    return True


def replay_lost(session: Session) -> int:
    """Restore what the tables lost of the evolution; returns how many attempts."""
    git, bucket = BareRepository(session.git_dir), session.bucket
    stores = session.record, session.control, bucket
    keys = {each: list(bucket.keys(f"attempts/{each}/")) for each in island_names(LINEAGE, MAX_ISLANDS)}
    begun = [each for each in keys if keys[each] or each == LINEAGE]
    count = 0
    for lineage in begun:
        losses = Losses(*stores, git, lineage, branch_of(lineage) or BRANCH)
        count += losses.restore(
            keys[lineage], [key for other in begun if other != lineage for key in keys[other]]
        )
    return count


def lineages_of(session: Session) -> list[str]:
    """Return the lineages of which a cycle has begun, and `LINEAGE` in any case."""
    names, control = island_names(LINEAGE, MAX_ISLANDS), session.control
    return [each for each in names if each == LINEAGE or control.state(each).cycle_id]


def replay_lost_modifications(session: Session) -> int:
    """Bring lost framework modifications up to their journal; returns how many."""
    table = FrameworkModifications(session.deployment.framework_modifications_table)
    replayer = Replayer(table, session.bucket, session.control, LINEAGE)
    return replayer.replay(session.bucket.keys(f"{artifacts.MODIFICATIONS}/"), dict(table.states()))


def cores() -> int:
    """Return how many attempts, and how many windows of each, run at the same time on this machine."""
    return min(os.cpu_count() or 1, INLINE_SLOTS)


def _settings() -> Settings:
    """Return local settings: as many parallel slots and windows as cores, because a sandbox takes 240 MB."""
    return Settings(planner=SEARCH, concurrency=cores(), windows_at_once=cores())


def _deploy(endpoint: str, assembly: Path, environment: Mapping[str, str]) -> LocalDeployment:
    python = Path(sys.executable)
    return deploy(endpoint, assembly, python=python, environment=environment, handlers=HANDLERS)


@contextmanager
def _timed(timings: dict[str, float], name: str, progress: Progress, text: str) -> Iterator[None]:
    if text:
        progress(text)
    began = time.monotonic()
    yield
    timings[name] = round(time.monotonic() - began, 3)


def _announce(session: Session) -> Path:
    """Write down where this session is, so that another command can join it."""
    return announce(
        session.state_dir,
        {
            "emulator_pid": session.emulator_pid,
            "git_dir": str(session.git_dir),
            "deployment": asdict(session.deployment),
            "environment": dict(session.environment) if session.lends else {},
            "lends": session.lends,
        },
    )


def _live(state_dir: Path) -> Session | None:
    """Return the announced session if its process is alive, this version can read it, and it answers."""
    facts = announced(state_dir)
    if facts is None:
        return None
    try:
        return Session(
            state_dir,
            LocalDeployment(**facts["deployment"]),
            Path(facts["git_dir"]),
            facts["emulator_pid"],
            environment=facts["environment"],
            lends=facts["lends"],
        )
    except (KeyError, TypeError):
        return None


if __name__ == "__main__":
    synthesise_locally()
