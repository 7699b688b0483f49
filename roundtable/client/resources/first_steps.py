"""First steps. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from typing import TypedDict, cast

from roundtable.client.resource import Resource
from roundtable.operations import Operation


class FirstStep(TypedDict):
    name: str
    title: str
    hint: str
    done: bool


class FirstSteps(TypedDict):
    all_done: bool
    steps: list[FirstStep]


class FirstStepsResource(Resource):
    def get(self) -> FirstSteps:
        """What a new project needs before people judge in it, and what of it is done."""
        return cast(
            FirstSteps,
            self.perform(
                Operation("get_first_steps", "GET", "/projects/{slug}/first-steps", answer="json"), {}
            ),
        )
