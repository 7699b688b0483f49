"""Our PPO with its defaults beside TRL's PPOTrainer, in one run.

    .venv/bin/python benchmarks/ppo.py --peer var/trl --peer-packages var/trl-ppo

64 prompts of 64 to 256 tokens, responses of up to 64; policy, reference, critic and reward model are Llamas of 4
layers of width 256 with 4,096 tokens; one thread, fp32, random weights, the same for both. N = 1 and 4 samples of
each prompt. Ours keeps every default but these: the critic is not trained alone before the first step, as TRL's is
not, and there are `--steps` steps (of 32 prompts). TRL takes as many responses a step, each prompt N times, makes one
PPO epoch as ours does, and no gradient checkpointing (which recomputes); its passes have 8 rows with gradients and 64
without, its defaults. The two take turns, `--repeats` times, each time in new processes.

The unit is response tokens a second of the processor, from the beginning of the first step to the end of the last:
with one thread and nothing else on the machine that is a second by the clock, and beside other work it still is what
the training takes. The table has both. (A response of ours ends at an end token, TRL's has 64 tokens in any case.)
Memory is the peak of the resident memory of the whole process, on our side with evaluation, checkpoint and saving,
above that of the same process when everything is imported and nothing loaded. Ours runs twice: with four full models,
and with adapters of rank 8 on q_proj and v_proj of one base (LoRA); TRL trains four full models. The last line is
JSON: n1_ratio, n4_ratio and n4_shared_ratio (ours / TRL's, of medians), memory_ratio (the larger of the two of full
models) and the figures behind them.

With --growth ours alone is measured, one step of 16 prompts at a time: how its parts grow with the length of the
prompts, with N and with the width of the models, each alone from 160 tokens, 4 and 256.

On a GPU, with larger models of random weights, the unit is seconds by the clock and memory what torch has allocated
there at the most:

    .venv/bin/python benchmarks/ppo.py --device cuda --dtype bf16 --model 0.5B --peer var/trl

TRL's last release with PPO is 1.12.0. It comes from a virtual environment of its own, `python3 -m venv var/trl` and
`var/trl/bin/pip install trl==1.12.0 torch==2.13.0`; or that of reward_model.py serves, and `var/trl/bin/pip install
--no-deps --target var/trl-ppo trl==1.12.0` makes what --peer-packages names. Without --peer ours alone is measured.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainers.processes import Report, machine_load, prepare, run_ours, run_peer, summary, take_turns
from trainers.synthetic import LARGER, SMALL, Sizes, make_rankings

LEARNING_RATE = 1e-6
PARTS = ("sampling", "scoring", "experience", "update")  # of a step's seconds


def main() -> None:
    options = parse()
    if options.growth:
        print(growth(options.small))
        return
    sizes = SMALL if options.small else LARGER.get(options.model, Sizes())
    # On a GPU the processor only hands out work: there the clock counts.
    clock = "cpu_s" if options.device == "cpu" else "wall_s"
    response_tokens = 4 if options.small else 64
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(
            folder,
            "ppo",
            sizes,
            options.samples,
            steps=options.steps,
            learning_rate=LEARNING_RATE,
            response_tokens=response_tokens,
            device=options.device,
            dtype=options.dtype,
            batch={"max_micro_batch_tokens": options.micro_batch} if options.micro_batch else {},
        )
        print(f"Before: {machine_load()}.", flush=True)

        shared: dict[int, list[Report]] = {count: [] for count in options.samples}

        def counted(run: int | str) -> Report:
            report = run_ours("ppo", folder, run)
            tokens = [step["response_tokens"] * step["responses"] for step in report["metrics"]]
            return report | {"units": sum(tokens)}

        def ours(count: int) -> Report:
            shared[count].append(counted(f"{count}-shared"))
            return counted(count)

        def peer(count: int) -> Report:
            responses = count * min(sizes.prompts, 32)
            rankings = make_rankings(sizes, 2)
            job: dict[str, Any] = {
                "policy": str(folder / "policy"),
                "reward_model": str(folder / "reward_model"),
                "prompts": [ranking.prompt_ids for ranking in rankings for _ in range(count)],
                "steps": options.steps,
                "responses_per_step": options.peer_responses_per_step or responses,
                "responses_per_pass": min(options.peer_pass, responses),
                "responses_per_rollout_pass": options.peer_rollout_pass,
                "response_tokens": response_tokens,
                "gradient_checkpointing": options.peer_gradient_checkpointing,
                "learning_rate": LEARNING_RATE,
                "device": options.device,
                "dtype": options.dtype,
            }
            return run_peer(options.peer, "trl_ppo.py", folder, job, options.peer_packages)

        found = take_turns(options.samples, options.repeats, ours, peer if options.peer else None)
    print(f"After: {machine_load()}. \n{describe(found)}\n")
    table, figures = summary(found, "N", "response tokens", clock)
    on_one_base = {count: (shared[count], found[count][1]) for count in found}
    print(f"{table}\n\nOn one base, by LoRA:\n\n{describe(on_one_base)}\n")
    table, by_lora = summary(on_one_base, "N", "response tokens", clock)
    print(table, flush=True)
    # n4_ratio of four full models, n4_shared_ratio of one base.
    figures |= {
        name.replace("_", "_shared_", 1): figure
        for name, figure in by_lora.items()
        if name.startswith("n") and "_peer_" not in name
    }
    print(json.dumps(figures))


def describe(found: dict[int, tuple[list[Report], list[Report]]]) -> str:
    """Our micro-batches and layouts, and where the seconds of a step of ours go."""
    lines = []
    for count, (ours, _) in found.items():
        report = ours[-1]
        parts = {
            part: sum(step[f"seconds_{part}"] for step in report["metrics"]) / report["steps"]
            for part in PARTS
        }
        shares = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in parts.items())
        lines.append(f"N = {count}: {report['layout']} rows, {report['batch']}; a step of ours: {shares}.")
    return "\n".join(lines)


def growth(small: bool) -> str:
    """A Markdown table of seconds a step, by what was changed."""
    lines = [
        "| prompt tokens | N | width | sampling, s | scores, s | log-probs, values and first update, s "
        "| further updates, s | response tokens a second of the processor |",
        "|---|---|---|---|---|---|---|---|",
    ]
    base = {"prompt": 6, "count": 2, "width": 16} if small else {"prompt": 160, "count": 4, "width": 256}
    steps = {"prompt": (2.5, 0.4), "count": (0.25, 2), "width": (0.5, 2)} if not small else {"count": (2,)}
    cases = [base] + [{**base, name: int(base[name] * factor)} for name in steps for factor in steps[name]]
    for case in cases:
        sizes = replace(
            SMALL if small else Sizes(),
            prompts=6 if small else 16,
            prompt_tokens=(case["prompt"], case["prompt"]),
            hidden_size=case["width"],
            intermediate_size=case["width"] * 688 // 256,
        )
        with tempfile.TemporaryDirectory() as name:
            folder, count = Path(name), case["count"]
            prepare(
                folder,
                "ppo",
                sizes,
                [count],
                steps=1,
                learning_rate=LEARNING_RATE,
                response_tokens=4 if small else 64,
                batch={},
            )
            report = run_ours("ppo", folder, count)
        (step,) = report["metrics"]
        seconds = [step[f"seconds_{part}"] for part in PARTS]
        rate = step["response_tokens"] * step["responses"] / report["cpu_s"]
        cells = [*case.values(), *(f"{part:.1f}" for part in seconds), f"{rate:.0f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--peer", type=Path, help="a virtual environment with TRL; without it ours alone is measured")
    add("--peer-packages", type=Path, help="a folder of packages that come before those of --peer")
    add("--samples", type=int, nargs="+", default=[1, 4], help="N: samples of each prompt")
    add("--repeats", type=int, default=3, help="how often the two take turns")
    add("--steps", type=int, default=2, help="of rollouts and updates in a run")
    add("--micro-batch", type=int, help="tokens of our forward passes, in place of the default")
    add("--peer-pass", type=int, default=8, help="rows of TRL's passes with gradients")
    add("--peer-rollout-pass", type=int, default=64, help="rows of TRL's passes without (its default)")
    add("--peer-responses-per-step", type=int, help="in place of as many as ours")
    add("--peer-gradient-checkpointing", action="store_true")
    add("--device", choices=["cpu", "cuda"], default="cpu", help="of both sides (default: cpu)")
    add("--dtype", choices=["fp32", "bf16"], default="fp32", help="bf16: autocast passes over fp32 weights")
    add("--model", choices=sorted(LARGER), help="shapes of a larger model, for a GPU")
    add("--growth", action="store_true", help="how the cost of ours grows, without a peer")
    add("--small", action="store_true", help="tiny models and texts: only shows that the script runs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
