"""Modules that run directories of earlier versions name: such a run goes on under the name of now."""

_TRAINING = "policy_training.training"

MOVED = {
    f"{_TRAINING}.{before}": f"{_TRAINING}.{now}"
    for before, now in (
        ("sft", "supervised.sft"),
        ("pretrain", "supervised.pretrain"),
        ("sample", "sampling.sample"),
        ("serve_policy", "sampling.serve_policy"),
        ("ppo", "ppo.recipe"),
        ("dpo", "dpo.recipe"),
        ("policy_gradient", "policy_gradient.recipe"),
        ("best_of_n", "best_of_n.recipe"),
        ("merge", "weights.merge"),
        ("adopt", "weights.adopt"),
        ("evaluate", "evaluation.evaluate"),
        ("benchmark", "evaluation.benchmark"),
    )
} | {
    "policy_training.importing": "policy_training.imports.program",
    "policy_training.push": "policy_training.outgoing.push",
}
