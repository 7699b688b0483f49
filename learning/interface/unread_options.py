"""Options that nothing reads beside the others: what somebody asks for and would not get is refused.

A preset may name such values (the critic's learning rate, where the critic is later put on the policy's trunk). So a
rule is about what was given beside a preset, and not about what stands in a configuration.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ReadOnlyIf:
    """`paths` (options, or whole sections) are read only where `holds`; `otherwise` says why they are not."""

    paths: tuple[str, ...]
    holds: Callable[[Mapping[str, Any]], bool]
    otherwise: str

    def under(self, section: str) -> "ReadOnlyIf":
        """The same rule for a configuration that stands in a section of another one."""
        return ReadOnlyIf(
            paths=tuple(f"{section}.{path}" for path in self.paths),
            holds=lambda config: self.holds(section_at(config, section)),
            otherwise=self.otherwise,
        )

    def covers(self, path: str) -> bool:
        return any(path == own or path.startswith(f"{own}.") for own in self.paths)


def option_at(config: Mapping[str, Any], path: str) -> Any:
    """None too where a section of the path is not there."""
    found: Any = config
    for part in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found


def section_at(config: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    found = option_at(config, path)
    return found if isinstance(found, Mapping) else {}


def unread_options(
    before: Mapping[str, Any], after: Mapping[str, Any], given: Collection[str], rules: Sequence[ReadOnlyIf]
) -> Iterator[tuple[str, Any, str]]:
    """(path, value, why) of each option that was given, says something else than `before`, and is read by nothing.

    `before` is the preset, `after` what is asked for, `given` the paths that somebody named; a section that was given
    whole counts by its options. Null asks for nothing.
    """
    for path in sorted({leaf for name in given for leaf in _leaves(option_at(after, name), name)}):
        value = option_at(after, path)
        if value is None or value == option_at(before, path):
            continue
        for rule in rules:
            if rule.covers(path) and not rule.holds(after):
                yield path, value, rule.otherwise
                break


def _leaves(value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield path
        return
    for name, inner in value.items():
        yield from _leaves(inner, f"{path}.{name}")


# -- what several trainers have ------------------------------------------------------------------------------------


def model_rules(section: str) -> tuple[ReadOnlyIf, ...]:
    """Of ModelOptions."""
    return (
        ReadOnlyIf(
            paths=(f"{section}.lora.alpha", f"{section}.lora.target_modules"),
            holds=lambda config: bool(option_at(config, f"{section}.lora.rank")),
            otherwise=f"{section}.lora.rank is 0, so there is no LoRA",
        ),
    )


def optimizer_rules(section: str) -> tuple[ReadOnlyIf, ...]:
    """Of OptimizerOptions."""
    return (
        ReadOnlyIf(
            paths=(f"{section}.min_lr_ratio",),
            holds=lambda config: option_at(config, f"{section}.schedule") != "constant",
            otherwise=f"{section}.schedule is 'constant', which ends where it begins",
        ),
        ReadOnlyIf(
            paths=(f"{section}.warmup_start_ratio",),
            holds=lambda config: bool(
                option_at(config, f"{section}.warmup_steps") or option_at(config, f"{section}.warmup_ratio")
            ),
            otherwise=f"there is no warm-up ({section}.warmup_steps and warmup_ratio are 0)",
        ),
    )


# Of RuntimeOptions what only a training reads: forms of whatever measures or samples leave these out.
OF_TRAINING = tuple(
    f"runtime.{name}"
    for name in ("backend", "zero_stage", "checkpoint_every_steps", "keep_checkpoints", "keep_steps")
)
NOTHING_IS_TRAINED = ReadOnlyIf(
    paths=OF_TRAINING,
    holds=lambda config: False,
    otherwise="nothing is trained, so there are no optimizer states to divide and no checkpoints to keep",
)

# `model.source` is filled in after the options are given where a run starts from a model of the project, so these hold
# for what is said to start from scratch.
TOKENIZER_RULES = (
    ReadOnlyIf(
        paths=("tokenizer.vocabulary_size",),
        holds=lambda config: option_at(config, "tokenizer.path") is None,
        otherwise="tokenizer.path names a tokenizer, which has a vocabulary",
    ),
)
