"""The project's configuration, `promptlabel.yaml`: models, budget, routing, where the store is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, field_validator, model_validator

from promptlabel.errors import Fault, InputError, fail, nearest
from promptlabel.people import ROLES, Person, Role, clean_name
from promptlabel.records import Decode, digest
from promptlabel.strict_yaml import StrictModel, faults_of, load_yaml, read_text

Provider = Literal["litellm", "local", "vllm", "scripted"]

CONFIGURATION_FILE = "promptlabel.yaml"

_IN_PROCESS = {"concurrency": 256, "timeout": 3600.0}
"""Of vLLM in this process: it batches what is open at once, and its first answer waits for the weights."""

_OF_THE_ANSWER = ("dtype", "quantization", "kv_cache_dtype", "hf_overrides", "chat_template")
"""What of `engine` can change an answer by more than rounding."""


_EMBEDDED = "smollm"
"""The family of the packaged model."""


def family_of(model: str) -> str:
    """The letters that a model's own name begins with: ``gpt`` of openai/gpt-5-mini, ``qwen`` of Qwen/Qwen2.5-7B."""
    name = model.rstrip("/").rsplit("/", maxsplit=1)[-1].lower()
    letters = re.match(r"[^\W\d_]+", name)
    return letters[0] if letters else name


class Price(StrictModel):
    """US dollars per million tokens."""

    input: float = Field(ge=0, strict=False)
    output: float = Field(default=0.0, ge=0, strict=False)


class ModelSettings(StrictModel):
    """How one model is reached and asked; only what changes its answers is part of `identity`."""

    provider: Provider = "litellm"
    model: str | None = None
    api_base: str | None = None
    api_key_env: str | None = None
    price: Price | None = None
    concurrency: int = Field(default=16, ge=1, le=4096)
    timeout: float = Field(default=120.0, gt=0, strict=False)
    attempts: int = Field(default=6, ge=1, le=100)
    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)
    temperature: float = Field(default=0.0, ge=0, strict=False)
    max_tokens: int = Field(default=64, ge=1)
    decode: Decode | None = None
    calibrate: Literal["batch", "none"] | None = None
    threads: int | None = Field(default=None, ge=1)
    tokenizer: str | None = None
    python: str | None = None
    engine: dict[str, Any] = Field(default_factory=dict)
    batch_discount: float | None = Field(default=None, ge=0, le=1, strict=False)
    batch_size: int = Field(default=50_000, ge=1, le=50_000)
    family: str | None = Field(default=None, min_length=1)
    trained_on: tuple[str, ...] = Field(default=(), strict=False)

    @model_validator(mode="before")
    @classmethod
    def _has_defaults_of_its_own(cls, given: object) -> object:
        if isinstance(given, dict) and given.get("provider") == "vllm":
            return {**_IN_PROCESS, **given}
        return given

    @field_validator("trained_on", mode="before")
    @classmethod
    def _one_or_several(cls, given: object) -> object:
        return (given,) if isinstance(given, str) else given

    @model_validator(mode="after")
    def _names_a_model(self) -> ModelSettings:
        if self.provider != "local" and not self.model:
            raise ValueError(f"provider {self.provider} needs `model`")
        return self

    @property
    def identity(self) -> str:
        """The digest of what changes a model's answers: provider, weights, temperature, length, way of scoring."""
        parts = [self.provider, self.model, self.temperature, self.max_tokens, self.tokenizer is not None]
        precision = {key: self.engine[key] for key in _OF_THE_ANSWER if key in self.engine}
        return digest([*parts, precision] if precision else parts)

    @property
    def kin(self) -> str:
        """The family of the model: as given, else by its name."""
        return (self.family or (family_of(self.model) if self.model else _EMBEDDED)).lower()

    @property
    def calibration(self) -> Literal["batch", "none"]:
        """Whether label distributions are calibrated over the batch: by default only a small local model's."""
        return self.calibrate or ("batch" if self.provider == "local" else "none")


class Budget(StrictModel):
    """What the project may ever spend; None is no limit."""

    usd: float | None = Field(default=None, ge=0, strict=False)
    calls: int | None = Field(default=None, ge=0)


class Routing(StrictModel):
    """The share of traces that goes to review, and the share of that which is drawn at random."""

    share: float = Field(default=0.05, gt=0, le=1, strict=False)
    audit: float = Field(default=0.2, gt=0, le=1, strict=False)


class Review(StrictModel):
    """How many people decide a trace, and how the page measures how far they can be trusted.

    Attributes:
        reviewers: independent reviewers of the traces that chance chooses; all others have one.
        share: of the traces that have so many.
        probes: share of decisions that are about traces whose label is known, mixed in unmarked.
        suggestions: share of decisions after which a wrong suggestion is shown on purpose, on such traces.
        trusted_header: the header in which a proxy that proves itself says who sends a request.
    """

    reviewers: int = Field(default=1, ge=1, le=10)
    share: float = Field(default=1.0, gt=0, le=1, strict=False)
    probes: float = Field(default=0.0, ge=0, le=0.5, strict=False)
    suggestions: float = Field(default=0.0, ge=0, le=0.5, strict=False)
    trusted_header: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9-]*$")

    @model_validator(mode="after")
    def _probed(self) -> Review:
        if self.suggestions > self.probes:
            raise ValueError(
                f"`suggestions` ({self.suggestions}) is more than `probes` ({self.probes}): "
                "a suggestion is known to be wrong only where the label is known"
            )
        return self


class Evals(StrictModel):
    """What frozen eval sets should be like; `least` and `most` count the cases of one category and month."""

    least: int | None = Field(default=None, ge=1)
    most: int | None = Field(default=None, ge=1)
    retire_after_days: int | None = Field(default=None, ge=1)
    window_days: int = Field(default=30, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Evals:
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"`least` ({self.least}) is more than `most` ({self.most})")
        return self


class Engine(StrictModel):
    """Where the work of a run is done: in this process, in several, or on a Ray cluster.

    `workers` is how many shards are worked on at once (default: one a processor), `shard` how many traces one
    holds, `address` the cluster (default: one made on this machine for the run).
    """

    executor: Literal["inline", "pool", "ray"] = "inline"
    workers: int | None = Field(default=None, ge=1, le=4096)
    shard: int = Field(default=20_000, ge=1)
    address: str | None = None


class Training(StrictModel):
    """What training exports should be like; `most` counts the rows of one category."""

    human_share: float = Field(default=0.05, ge=0, le=1, strict=False)
    most: int | None = Field(default=None, ge=1)


def _is_printable(name: str) -> str:
    if clean_name(name) != name:
        raise ValueError("a name has 1 to 64 printable characters and no blanks around it")
    return name


def _known_roles(given: object) -> object:
    roles = (given,) if isinstance(given, str) else given
    if not isinstance(roles, list | tuple) or not roles:
        raise ValueError(f"a person has a role, or a list of them: {', '.join(ROLES)}")
    for role in roles:
        if role not in ROLES:
            raise ValueError(f"there is no role '{role}'{nearest(str(role), ROLES)}")
    return tuple(roles)


PersonName = Annotated[str, AfterValidator(_is_printable)]
Roles = Annotated[
    tuple[Role, ...],
    BeforeValidator(_known_roles, json_schema_input_type=Role | Annotated[list[Role], Field(min_length=1)]),
]


class Settings(StrictModel):
    """A parsed `promptlabel.yaml`; `retention` is how long traces are kept, in days or weeks."""

    store: str = ".promptlabel/store.duckdb"
    models: dict[str, ModelSettings] = Field(
        default_factory=lambda: {"default": ModelSettings(provider="local")}
    )
    budget: Budget = Budget()
    routing: Routing = Routing()
    review: Review = Review()
    evals: Evals = Evals()
    engine: Engine = Engine()
    training: Training = Training()
    retention: str | None = None
    people: dict[PersonName, Roles] = Field(default_factory=dict)

    @field_validator("retention")
    @classmethod
    def _days_or_weeks(cls, kept: str | None) -> str | None:
        if kept is not None and not re.fullmatch(r"[1-9]\d* ?[dw]", kept):
            raise ValueError(
                f"write how long traces are kept in days or weeks, such as 400d or 52w, not '{kept}'"
            )
        return kept

    @model_validator(mode="after")
    def _knows_whom_a_proxy_names(self) -> Settings:
        if self.review.trusted_header and not self.people:
            raise ValueError("`review.trusted_header` needs `people`: names, and the roles of each")
        return self

    def person(self, name: str, key: str) -> Person:
        """The person of that name.

        Raises:
            InputError: with the nearest name, where `people` has no such one; `key` says where the name was given.
        """
        if name not in self.people:
            fail(
                Fault(
                    f"'{name}' is not among `people`{nearest(name, self.people)}", CONFIGURATION_FILE, key=key
                )
            )
        return Person(name, frozenset(self.people[name]))


@dataclass(frozen=True, slots=True)
class Project:
    """A project folder: where its parts are, and its settings."""

    root: Path
    settings: Settings

    @property
    def rules(self) -> Path:
        """The folder of the rule writers."""
        return self.root / "rules"

    @property
    def evals(self) -> Path:
        """The folder of the frozen eval sets."""
        return self.root / "evals"

    @property
    def state(self) -> Path:
        """The folder of store, journal and runs, which git ignores."""
        return self.root / ".promptlabel"

    @property
    def store_path(self) -> Path:
        """Where the embedded store lies."""
        return self.root / self.settings.store


def load_project(root: Path) -> Project:
    """The project in `root`, its configuration read from `promptlabel.yaml`.

    Raises:
        InputError: there is no such file, or for every fault in it, with line and key.
    """
    path = root / CONFIGURATION_FILE
    if not path.is_file():
        raise InputError(Fault(f"no project here: run `promptlabel init {root}` to make one", str(path)))
    document = load_yaml(read_text(path), str(path))
    try:
        settings = Settings.model_validate({} if document.data is None else document.data)
    except ValidationError as error:
        raise InputError(faults_of(error, document, Settings)) from None
    return Project(root, settings)
