"""The words that record files and the database share. Each is written here and nowhere else."""

from collections.abc import Mapping

SPLITS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = SPLITS

ROLES = ("system", "user", "assistant", "tool")  # of the messages of a conversation
LAST_ROLES = ("user", "tool")  # those a prompt may end with

ANNOTATOR_KINDS = ("person", "simulated", "ai")
PERSON, SIMULATED, AI = ANNOTATOR_KINDS

PROMPT_KINDS = ("plain", "few-shot", "user-based")
PLAIN, FEW_SHOT, USER_BASED = PROMPT_KINDS

SOURCE_KINDS = ("policy", PERSON, "reference", "import")  # who wrote a response
POLICY, _, REFERENCE, IMPORT = SOURCE_KINDS

# The settings a response was sampled with, in the order of the columns.
SAMPLING_FIELDS: Mapping[str, type[int] | type[float] | type[str]] = {
    "temperature": float,
    "top_p": float,
    "top_k": int,
    "max_tokens": int,
    "repetition_penalty": float,
    "seed": int,
    # Of a response that a critic led: the policy that it is the critic of, and how far it led.
    "critic": str,
    "critic_coefficient": float,
    "critic_candidates": int,
}
