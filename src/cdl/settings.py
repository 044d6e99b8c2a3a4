"""Everything cdl may be told from outside, in one frozen tree; the only reader of the environment."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cdl.api.duration import Duration

SHARED_DATA = Path("../shared/data")


def _programs() -> Path:
    """The built-in steps: beside the package when installed, else in the checkout."""
    packaged = Path(__file__).parent / "_pipelines"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "pipelines"


def _account() -> str:
    """Who the operating system says we are; a container may run under a number nobody has named."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


class Settings(BaseSettings):
    """What a command or an operator works with; each field is the variable CDL_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix="CDL_", env_ignore_empty=True, frozen=True, extra="ignore")

    home: Path = Field(Path(".cdl"), description="The one folder that holds all state of `cdl run`.")
    user: str = Field(
        default_factory=_account,
        pattern=r"^[^\s/][^/\r\n]{0,251}$",  # `policy/...` is the platform's own hand
        description="Who you are where nobody asks for proof, as on a laptop; a cluster goes by its own login.",
    )
    database: str = Field(
        "",
        description="PostgreSQL that keeps the history, as in postgresql://writer@host/cdl; empty: none is kept, "
        "except that `cdl run` and `cdl up` bring their own.",
        repr=False,
    )
    database_owner: str = Field(
        "", description="The same database as who may make its tables; only `cdl audit prepare` uses it.", repr=False
    )
    signing_key: Path | None = Field(
        None, description="The key that signs Releases, as PEM; none: one is made in keys/release.pem below the home."
    )
    data: Path | None = Field(None, description="A folder of data sets that stands in for downloads.")
    programs: Path = Field(default_factory=_programs, description="The built-in steps, as folders with a step.py.")
    audit: bool = Field(
        False, description="`cdl up` notes each request of a service account in control-plane/audit.log."
    )
    slots: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, description="Trials that may run at once.")
    pachd: str = Field("", description="Pachyderm's address, as in grpc://127.0.0.1:30650.")
    pachd_token: str = Field("", description="What the driver shows a Pachyderm that asks who it is.", repr=False)
    pachd_trial_token: str = Field(
        "",
        description="What trials show there: an identity that may read the train side alone. The master shows it to "
        "whoever may read a configuration.",
        repr=False,
    )
    pachd_evaluator_token: str = Field(
        "",
        description="What evaluations show there: the identity that may read the test side. Likewise.",
        repr=False,
    )
    pachd_evaluator_token_file: Path | None = Field(
        None,
        description="A file where evaluations find that token instead; it is in no configuration then, and has to be "
        "where they run.",
    )
    vault: bool = Field(
        False,
        description="`cdl run` and `cdl up` keep the test side in a vault from their next start on: pachd gives its "
        "files to evaluations alone.",
    )
    determined: str = Field("", description="Determined's master, scheme included.")
    determined_user: str = Field("determined", description="Who the driver logs in as.")
    determined_password: str = Field("", description="That user's password.", repr=False)
    seldon: str = Field(
        "", description="API server that holds the SeldonDeployments, scheme included; empty: the cluster's own."
    )
    ingress: str = Field("", description="Where served models are asked, scheme included; empty: where Seldon says.")
    forge: str = Field(
        "",
        pattern=r"^(https?://[^\s/]+.*)?$",
        description="GitLab's address, scheme included: where `approval.policy: MergeRequest` asks; empty: nowhere.",
    )
    forge_token: str = Field("", description="What the driver shows GitLab; it needs the scope api.", repr=False)
    forge_projects: str = Field(
        "",
        description="Projects of GitLab that may be asked and told, by commas, as in team/news; of an annotation that "
        "names another one the token is kept.",
    )
    forge_roles: str = Field(
        "validator=maintainer",
        pattern=r"^\s*[a-z0-9][-a-z0-9]*=[^=,]*(,\s*[a-z0-9][-a-z0-9]*=[^=,]*)*\s*$",
        description="Who in a project stands for an approval role, where no approval rule is called so, by commas: "
        "role=guest, reporter, developer, maintainer or owner (and whoever may more), or a rule's name; `role=` alone: "
        "only the rule of that name.",
    )
    label_studio: str = Field(
        "",
        pattern=r"^(https?://[^\s/]+.*)?$",
        description="Label Studio's address, scheme included: where people label items; empty: nowhere.",
    )
    label_studio_token: str = Field(
        "",
        description="What the driver shows Label Studio: an access token of its old kind or its new one.",
        repr=False,
    )
    s3: str = Field(
        "https://s3.amazonaws.com",
        pattern=r"^https?://[^\s/]+$",
        description="The object store that sources s3://bucket/key lie in, scheme included, as MinIO's.",
    )
    s3_access_key: str = Field("", description="Who reads there; empty: only what anybody may read.")
    s3_secret_key: str = Field("", description="That one's secret.", repr=False)
    s3_region: str = Field("us-east-1", description="The region of its buckets; MinIO's is us-east-1.")
    forge_appliers: str = Field(
        "",
        description="Who may say which commit an Experiment is of, by commas, as in "
        "system:serviceaccount:cdl-system:cdl-gitops; empty: whoever may write Experiments.",
    )
    steps_image: str = Field("cdl/steps:0.1.0", description="Image of the built-in steps.")
    kubeconfig: Path | None = Field(
        None, description="Which cluster, and who we are; none: where we run, or kubectl's."
    )
    in_cluster: bool = Field(
        False, description="`cdl gitops` runs in a pod and is about the cluster around it, as its service account."
    )
    namespaces: str = Field("", description="Namespaces to look after, by commas; empty: all of the cluster.")
    lease_namespace: str = Field("cdl-system", description="Where operators agree on who acts.")
    log_format: Literal["text", "json"] = Field("text", description="What a line of the log looks like.")
    workers: int = Field(4, ge=1, le=64, description="Resources of a kind that are worked on at once.")
    verify_interval: Duration = Field(
        "6h", description="How often what is served or approved is verified again; 0s: only when `cdl verify` is asked."
    )
    metrics_address: str = Field("127.0.0.1", description="Where probes and metrics are served; 0.0.0.0 in a cluster.")
    metrics_port: int = Field(0, ge=0, le=65535, description="Where probes and metrics are served; 0: nowhere.")
    admission_address: str = Field("127.0.0.1", description="Where the admission server listens; 0.0.0.0 in a cluster.")
    admission_port: int = Field(9443, ge=1, le=65535, description="The port of the admission server.")
    admission_certificate: Path | None = Field(None, description="The admission server's certificate, as PEM.")
    admission_key: Path | None = Field(None, description="The key of that certificate, as PEM.")
    serving_image: str = Field("cdl/serving:0.1.0", description="Image of the model server.")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no log may show: every value that is not shown here either."""
        hidden = (name for name, field in type(self).model_fields.items() if not field.repr)
        return tuple(str(value) for name in hidden if (value := getattr(self, name)))

    @property
    def watched(self) -> tuple[str, ...]:
        """The namespaces to look after; none stands for all."""
        return _names(self.namespaces)

    @property
    def lent_to(self) -> tuple[str, ...]:
        """The projects of the forge that its token may be used for."""
        return _names(self.forge_projects)

    @property
    def appliers(self) -> tuple[str, ...]:
        """Who is believed about commits; none stands for everybody."""
        return _names(self.forge_appliers)

    @property
    def roles(self) -> dict[str, str]:
        """Who in a project of the forge stands for an approval role."""
        pairs = (pair.partition("=") for pair in self.forge_roles.split(","))
        return {role.strip(): held.strip() for role, _, held in pairs if held.strip()}

    @property
    def data_roots(self) -> tuple[Path, ...]:
        """Where files are looked for before anything is downloaded."""
        if self.data is not None:
            return (self.data.resolve(),)
        return (SHARED_DATA.resolve(),) if SHARED_DATA.is_dir() else ()


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def read() -> Settings:
    """Read the environment once.

    Raises:
        ValueError: one sentence that names the variable, what was found and what is allowed.
    """
    try:
        return Settings()
    except ValidationError as error:
        fault = error.errors()[0]
        name = f"CDL_{str(fault['loc'][0]).upper()}"
        message = f"{name}: found {fault['input']!r}: {fault['msg']}"
        raise ValueError(message) from error
