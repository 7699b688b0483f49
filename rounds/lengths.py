"""How long prompts and responses of a round may be: one limit for all who read them, which every model can read.

People judge what the policies sampled, the reward model learns from what it reads of that, and PPO is paid for what it
writes. With three limits people would judge texts whose end the reward model never sees.
"""

from django.utils.translation import gettext

from policy_training.context_length import max_positions
from policy_training.models import Policy
from rounds.errors import RoundRefused
from rounds.head_to_head import opponents_of
from rounds.plans import RoundPlan, with_lengths
from rounds.starting_models import policies_of_steps, previous_policy, reward_model_base
from workspace.models import Criterion, Project


def require_lengths(*, project: Project, criterion: Criterion, start_policy: Policy, plan: RoundPlan) -> None:
    """Raises RoundRefused when the plan has different limits, or more than a model of the round can read."""
    require_one_limit(plan)
    require_readable(project=project, criterion=criterion, start_policy=start_policy, plan=plan)


def require_one_limit(plan: RoundPlan) -> None:
    """Raises RoundRefused, naming the three numbers, where sampling, reward model and PPO have different limits."""
    for name, what in (("max_prompt_tokens", "Prompts"), ("max_response_tokens", "Responses")):
        sampled = getattr(plan.sampling.options, name)
        read = getattr(plan.reward_model.batch, name)
        written = getattr(plan.policy.batch, name)
        for number, step in enumerate(plan.policy_steps, 1):
            of_step = getattr(plan.config_of(step).batch, name)
            if sampled == read == written != of_step:
                raise RoundRefused(
                    gettext(
                        "Step %(number)s of the policy's training has other lengths (%(name)s %(of_step)s) than the "
                        "round (%(written)s): leave them out, they are the round's."
                    )
                    % {"number": number, "name": name, "of_step": of_step, "written": written},
                    code="limits_disagree",
                )
        if not sampled == read == written:
            raise RoundRefused(
                f"{what} have three limits that should be one: people judge up to {sampled} tokens "
                f"(sampling.options.{name}), the reward model reads {read} (reward_model.batch.{name}), and PPO "
                f"{'reads' if what == 'Prompts' else 'writes'} up to {written} (policy.batch.{name}). "
                f"Give one number with --{name.replace('_', '-')}.",
                code="limits_disagree",
                fields={
                    name: gettext("%(sampled)s, %(read)s and %(written)s tokens should be one number")
                    % {"sampled": sampled, "read": read, "written": written}
                },
            )


def require_readable(
    *, project: Project, criterion: Criterion, start_policy: Policy, plan: RoundPlan
) -> None:
    """Raises RoundRefused, with lengths that fit, where a prompt and a response are more than a model can read."""
    options = plan.sampling.options
    tokens = options.max_prompt_tokens + options.max_response_tokens
    shortest = shortest_reader(project, criterion, start_policy, plan)
    if shortest is not None and tokens > shortest[1]:
        name, positions = shortest
        prompt, response = fitting_lengths(plan, positions)
        raise RoundRefused(
            gettext(
                "“%(name)s” reads %(positions)s tokens at once, and prompts of %(max_prompt_tokens)s "
                "with responses of %(max_response_tokens)s are %(tokens)s: lower them, for example to "
                "%(prompt)s and %(response)s."
            )
            % {
                "name": name,
                "positions": positions,
                "max_prompt_tokens": options.max_prompt_tokens,
                "max_response_tokens": options.max_response_tokens,
                "tokens": tokens,
                "prompt": prompt,
                "response": response,
            },
            code="too_long",
            fields={
                "max_response_tokens": gettext("Prompt and response together: at most %(positions)s tokens.")
                % {"positions": positions}
            },
        )


def shortest_reader(
    project: Project, criterion: Criterion, start_policy: Policy, plan: RoundPlan
) -> tuple[str, int] | None:
    """Name and positions of the model of the round that reads least; None where no model sets a limit."""
    others = Policy.objects.filter(project=project, name__in=plan.sampling.other_policies)
    policies = [start_policy, *policies_of_steps(start_policy, plan)]
    previous = previous_policy(project, start_policy)
    policies += [
        opponent.policy for opponent in opponents_of(plan, start_policy, previous) if opponent.policy
    ]
    policies += others.select_related("artifact").order_by("pk")
    folders = {policy.name: policy.artifact.absolute_path for policy in policies}
    base_name, base = reward_model_base(project, criterion, start_policy, plan)
    folders.setdefault(base_name, base.absolute_path)
    limits = [(name, limit) for name, folder in folders.items() if (limit := max_positions(folder))]
    return min(limits, key=lambda named: named[1], default=None)


def fitting_lengths(
    plan: RoundPlan,
    positions: int | None,
    *,
    max_prompt_tokens: int | None = None,
    max_response_tokens: int | None = None,
) -> tuple[int, int]:
    """(prompt, response) limits: what was given; else the plan's where they fit, or its shares of what fits."""
    prompt, response = max_prompt_tokens, max_response_tokens
    usual_prompt = plan.sampling.options.max_prompt_tokens
    usual_response = plan.sampling.options.max_response_tokens
    if prompt is None and response is None:
        if positions is None or usual_prompt + usual_response <= positions:
            return usual_prompt, usual_response
        prompt = max(1, positions * usual_prompt // (usual_prompt + usual_response))
        return prompt, max(1, positions - prompt)
    if prompt is None:
        assert response is not None
        room = usual_prompt if positions is None else positions - response
        return max(1, min(usual_prompt, room)), response
    if response is None:
        room = usual_response if positions is None else positions - prompt
        return prompt, max(1, min(usual_response, room))
    return prompt, response


def fit_plan(
    plan: RoundPlan,
    *,
    project: Project,
    criterion: Criterion,
    start_policy: Policy,
    max_prompt_tokens: int | None = None,
    max_response_tokens: int | None = None,
) -> RoundPlan:
    """The plan with these limits everywhere; those not given are what fits the round's models."""
    shortest = shortest_reader(project, criterion, start_policy, plan)
    prompt, response = fitting_lengths(
        plan,
        shortest[1] if shortest else None,
        max_prompt_tokens=max_prompt_tokens,
        max_response_tokens=max_response_tokens,
    )
    return with_lengths(plan, max_prompt_tokens=prompt, max_response_tokens=response)
