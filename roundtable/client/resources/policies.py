"""Policies. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import (
    NewPushRequest,
    OneChainedTraining,
    OneRun,
    PatchedModelDescriptionRequest,
    Presets,
    Run,
    Runs,
)
from roundtable.client.streams import Download
from roundtable.operations import Operation


class FineTuneBodyRequest(TypedDict):
    start: NotRequired[int]
    after_run: NotRequired[int]
    after_training: NotRequired[int]
    processes: NotRequired[int]
    settings: NotRequired[dict[str, Any]]
    name: str
    preset: NotRequired[
        Literal["instructgpt_ppo_start", "sft_instructgpt", "sft_llama2", "sft_secrets", "tiny"]
    ]
    rated_mark: NotRequired[str]
    rated_at_least: NotRequired[float]
    put_first: NotRequired[float]
    put_first_by: NotRequired[str]
    batches: NotRequired[list[str]]
    annotator_kinds: NotRequired[list[Literal["person", "simulated", "ai"]]]


class ImportBodyRequest(TypedDict):
    name: str
    source: str
    revision: NotRequired[str]
    base: NotRequired[str]
    chat_template_kwargs: NotRequired[dict[str, Any]]
    own_tokenizer: NotRequired[bool]
    notes: NotRequired[str]


class OnePolicy(TypedDict):
    id: int
    name: str
    parent: int | None
    reward_model: int | None
    dataset: int | None
    run: int | None
    sha256: str
    licence: str
    notes: str
    created_at: str
    report: Any


class Policy(TypedDict):
    id: int
    name: str
    parent: int | None
    reward_model: int | None
    dataset: int | None
    run: int | None
    sha256: str
    licence: str
    notes: str
    created_at: str


class PretrainBodyRequest(TypedDict):
    start: NotRequired[int]
    after_run: NotRequired[int]
    after_training: NotRequired[int]
    processes: NotRequired[int]
    settings: NotRequired[dict[str, Any]]
    name: str
    preset: NotRequired[
        Literal["instructgpt_ppo_start", "sft_instructgpt", "sft_llama2", "sft_secrets", "tiny"]
    ]
    learn_from: NotRequired[Literal["texts", "demonstrations"]]


class SampleBodyRequest(TypedDict):
    processes: NotRequired[int]
    settings: NotRequired[dict[str, Any]]
    preset: NotRequired[Literal["plain", "secrets"]]
    prompt_set: int
    prompts: NotRequired[int]
    policies: list[int]
    criterion: NotRequired[str]
    batch_name: NotRequired[str]
    overlap: NotRequired[int]
    with_given: NotRequired[bool]
    single_answers: NotRequired[bool]
    open_at_once: NotRequired[bool]


class ListPoliciesQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id", "-name", "name"]]
    parent: NotRequired[int]
    reward_model: NotRequired[int]


class PoliciesResource(Resource):
    def list(self, **query: Unpack[ListPoliciesQuery]) -> Pages[Policy]:
        """The project's policies."""
        return cast(
            Pages[Policy],
            self.perform(
                Operation("list_policies", "GET", "/projects/{slug}/policies", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def get(self, id: int) -> OnePolicy:
        """A policy and what its training reported."""
        return cast(
            OnePolicy,
            self.perform(
                Operation("get_policies_id", "GET", "/projects/{slug}/policies/{id}", answer="json"),
                {"id": id},
            ),
        )

    def update(
        self,
        id: int,
        *,
        seen: Mapping[str, object] | None = None,
        **body: Unpack[PatchedModelDescriptionRequest],
    ) -> OnePolicy:
        """Change what its card says: licence and notes. The model stays."""
        return cast(
            OnePolicy,
            self.perform(
                Operation(
                    "patch_policies_id",
                    "PATCH",
                    "/projects/{slug}/policies/{id}",
                    answer="json",
                    compares=True,
                ),
                {"id": id},
                seen=seen,
                body=body,
            ),
        )

    def archive(self, id: int) -> Download:
        """Its folder with its card, as a zip archive made while it is sent."""
        return cast(
            Download,
            self.perform(
                Operation(
                    "get_policies_id_archive", "GET", "/projects/{slug}/policies/{id}/archive", answer="file"
                ),
                {"id": id},
            ),
        )

    def push(self, id: int, *, idempotency_key: str | None = None, **body: Unpack[NewPushRequest]) -> Run:
        """Queue its push to a repository of the Hugging Face Hub."""
        return cast(
            Run,
            self.perform(
                Operation(
                    "post_policies_id_push",
                    "POST",
                    "/projects/{slug}/policies/{id}/push",
                    answer="json",
                    keyed=True,
                ),
                {"id": id},
                key=idempotency_key,
                body=body,
            ),
        )

    def fine_tune(
        self, *, idempotency_key: str | None = None, **body: Unpack[FineTuneBodyRequest]
    ) -> OneRun | OneChainedTraining:
        """Queue fine-tuning on the project's demonstrations."""
        return cast(
            OneRun | OneChainedTraining,
            self.perform(
                Operation(
                    "post_policies_fine_tune",
                    "POST",
                    "/projects/{slug}/policies/fine-tune",
                    answer="json",
                    keyed=True,
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def import_(self, *, idempotency_key: str | None = None, **body: Unpack[ImportBodyRequest]) -> OneRun:
        """Queue the import of a language model."""
        return cast(
            OneRun,
            self.perform(
                Operation(
                    "post_policies_import",
                    "POST",
                    "/projects/{slug}/policies/import",
                    answer="json",
                    keyed=True,
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def presets(self) -> Presets:
        """The presets of fine-tuning and pretraining, every value with its source."""
        return cast(
            Presets,
            self.perform(
                Operation("get_policies_presets", "GET", "/projects/{slug}/policies/presets", answer="json"),
                {},
            ),
        )

    def pretrain(
        self, *, idempotency_key: str | None = None, **body: Unpack[PretrainBodyRequest]
    ) -> OneRun | OneChainedTraining:
        """Queue training on every token of the project's texts, or of its demonstrations."""
        return cast(
            OneRun | OneChainedTraining,
            self.perform(
                Operation(
                    "post_policies_pretrain",
                    "POST",
                    "/projects/{slug}/policies/pretrain",
                    answer="json",
                    keyed=True,
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def sample(self, *, idempotency_key: str | None = None, **body: Unpack[SampleBodyRequest]) -> Runs:
        """Queue sampling, a run a policy; the answers become a batch of tasks."""
        return cast(
            Runs,
            self.perform(
                Operation(
                    "post_policies_sample",
                    "POST",
                    "/projects/{slug}/policies/sample",
                    answer="json",
                    keyed=True,
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )
