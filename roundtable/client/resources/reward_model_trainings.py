"""Reward model trainings. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from typing import TypedDict, Unpack, cast

from roundtable.client.resource import Resource
from roundtable.client.resources.shared import OneRun
from roundtable.operations import Operation


class AdoptRewardBodyRequest(TypedDict):
    run: int
    step: int
    name: str


class RewardModelTrainingsResource(Resource):
    def adopt(self, *, idempotency_key: str | None = None, **body: Unpack[AdoptRewardBodyRequest]) -> OneRun:
        """Queue the making of a reward model from a checkpoint of a reward model's training."""
        return cast(
            OneRun,
            self.perform(
                Operation(
                    "post_reward_model_trainings_adopt",
                    "POST",
                    "/projects/{slug}/reward-model-trainings/adopt",
                    answer="json",
                    keyed=True,
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )
