"""The columns of the records that cross the border between the site and training.

Timestamps are ISO 8601 UTC text (see record_rows.iso_utc); ids are text.
"""

import pyarrow as pa

from learning.interface.vocabulary import SAMPLING_FIELDS


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


def _list_of(kind: pa.DataType, *, nullable: bool = False) -> pa.ListType:
    return pa.list_(pa.field("element", kind, nullable=nullable))


_TEXT = pa.string()

_TOOL_CALL = pa.struct([pa.field("id", _TEXT), _required("name", _TEXT), _required("arguments", _TEXT)])
# The last three where a message has them (learning.interface.messages).
_MESSAGE = pa.struct(
    [
        _required("role", _TEXT),
        _required("content", _TEXT),
        pa.field("tool_calls", _list_of(_TOOL_CALL)),
        pa.field("tool_call_id", _TEXT),
        pa.field("name", _TEXT),
    ]
)
_MESSAGES = _list_of(_MESSAGE)
# A response that is more than one text: its turns. Null where the text says all.
_TURNS = pa.field("turns", _MESSAGES)

# Of the file a row was imported from: what the row is called there, and its further columns as JSON text.
_OF_ITS_FILE = [pa.field("source_id", _TEXT), pa.field("metadata", _TEXT)]

_SAMPLING = pa.struct(
    [
        pa.field(name, {int: pa.int64(), float: pa.float64(), str: _TEXT}[kind])
        for name, kind in SAMPLING_FIELDS.items()
    ]
)
_PAIR_TABLE = _list_of(_list_of(pa.float64(), nullable=True))  # K x K, null where never compared

# Plain text for pretraining and ptx, one document a row.
TEXTS = pa.schema(
    [
        pa.field("text_id", _TEXT),
        _required("text", _TEXT),
        pa.field("licence", _TEXT),
        _required("split", _TEXT),
        *_OF_ITS_FILE,
    ]
)

PROMPTS = pa.schema(
    [
        _required("prompt_id", _TEXT),
        _required("messages", _MESSAGES),
        _required("kind", _TEXT),
        _required("split", _TEXT),
        pa.field("author", _TEXT),
        _required("tags", _list_of(_TEXT)),
        *_OF_ITS_FILE,
    ]
)

# How often a prompt is sampled at which temperature, where prompts differ in it; a prompt without a row is not sampled.
DRAWS = pa.schema(
    [
        _required("prompt_id", _TEXT),
        _required("temperature", pa.float64()),
        _required("samples", pa.int64()),
    ]
)

# What a policy is measured by beside its reward. Of `kind` perplexity a row has a text; of choice a prompt, choices and
# as its only answer one of them; of generation a prompt and the answers that count as right. `is_example`: it stands
# solved before the other prompts of its task. `answer_pattern`, one of a task: what of a generated text is its answer.
BENCHMARK_ITEMS = pa.schema(
    [
        _required("task", _TEXT),
        _required("kind", _TEXT),
        pa.field("text", _TEXT),
        pa.field("prompt", _MESSAGES),
        pa.field("choices", _list_of(_TEXT)),
        pa.field("answers", _list_of(_TEXT)),
        pa.field("answer_pattern", _TEXT),
        _required("is_example", pa.bool_()),
    ]
)

# What a language model judges: a task of people's, with the keys of its responses as the database has them.
JUDGE_TASKS = pa.schema(
    [
        _required("task", pa.int64()),
        _required("prompt", _MESSAGES),
        _required("response_keys", _list_of(pa.int64())),
        _required("responses", _list_of(_TEXT)),
    ]
)

# What it made of a task: tiers of the responses' places, best first; null where a pair of them stayed unclear.
JUDGED_TASKS = pa.schema(
    [
        _required("task", pa.int64()),
        pa.field("tiers", _list_of(_list_of(pa.int64()))),
        _required("comparisons", pa.int64()),
        _required("not_understood", pa.int64()),
        _required("prompt_tokens", pa.int64()),
        _required("reply_tokens", pa.int64()),
        _required("seconds", pa.float64()),
    ]
)

# Answers that are there already, of whoever is compared: `contestant` is a place among the others of the config.
GIVEN_ANSWERS = pa.schema(
    [
        _required("contestant", pa.int64()),
        _required("prompt_id", _TEXT),
        _required("text", _TEXT),
        _TURNS,
        pa.field("ended", pa.bool_()),  # False: cut off at a limit, so that it has no end; null: not known
    ]
)

DEMONSTRATIONS = pa.schema(
    [
        _required("prompt_id", _TEXT),
        _required("prompt", _MESSAGES),
        _required("response", _TEXT),
        pa.field("author", _TEXT),
        _required("split", _TEXT),
        _TURNS,
        *_OF_ITS_FILE,
    ]
)

# `ended`: false where the sampler's limit cut the response off, null where nobody knows (which counts as ended).
RESPONSES = pa.schema(
    [
        _required("response_id", _TEXT),
        _required("prompt_id", _TEXT),
        _required("prompt", _MESSAGES),
        _required("text", _TEXT),
        _required("source", _TEXT),
        pa.field("policy", _TEXT),
        pa.field("sampling", _SAMPLING),
        pa.field("ended", pa.bool_()),
        _required("created_at", _TEXT),
        _TURNS,
    ]
)

# What our own sampler writes: the tokens drawn, and their log-probabilities (nats) at its temperature.
SAMPLED_RESPONSES = pa.schema(
    [
        *RESPONSES,
        _required("token_ids", _list_of(pa.int32())),
        _required("logprobs", _list_of(pa.float64())),
    ]
)

COMPARISONS = pa.schema(
    [
        _required("group_id", _TEXT),
        _required("criterion", _TEXT),
        _required("prompt", _MESSAGES),
        _required("responses", _list_of(_TEXT)),
        pa.field("ended", _list_of(pa.bool_(), nullable=True)),
        _required("response_ids", _list_of(_TEXT)),
        pa.field("ranks", _list_of(pa.int64())),
        _required("grade", _PAIR_TABLE),
        _required("soft_preference", _PAIR_TABLE),
        _required("weight", pa.float64()),
        _required("n_annotators", pa.int64()),
        pa.field("agreement", pa.float64()),
        _required("annotator_kind", _TEXT),
        pa.field("round", pa.int64()),
        _required("split", _TEXT),
        pa.field("turns", _list_of(_MESSAGES, nullable=True)),
        *_OF_ITS_FILE,
    ]
)

# What one annotator gave the answers to one prompt, one or several: points of one mark.
RATINGS = pa.schema(
    [
        _required("group_id", _TEXT),
        _required("criterion", _TEXT),
        _required("mark", _TEXT),
        _required("prompt", _MESSAGES),
        _required("responses", _list_of(_TEXT)),
        pa.field("ended", _list_of(pa.bool_(), nullable=True)),
        _required("response_ids", _list_of(_TEXT)),
        _required("scores", _list_of(pa.float64())),
        _required("weight", pa.float64()),  # of each of the ratings
        _required("annotator_kind", _TEXT),
        pa.field("round", pa.int64()),
        _required("split", _TEXT),
        pa.field("turns", _list_of(_MESSAGES, nullable=True)),
    ]
)

# What people call the kinds of prompts by, of those that have any: held-out figures are said by tag too.
PROMPT_TAGS = pa.schema([_required("prompt", _MESSAGES), _required("tags", _list_of(_TEXT))])

JUDGMENTS = pa.schema(
    [
        _required("judgment_id", _TEXT),
        pa.field("supersedes", _TEXT),
        _required("is_current", pa.bool_()),
        _required("withdrawn", pa.bool_()),
        _required("surplus", pa.bool_()),
        _required("project", _TEXT),
        _required("batch", _TEXT),
        pa.field("round", pa.int64()),
        _required("criterion", _TEXT),
        _required("purpose", _TEXT),
        _required("task_id", _TEXT),
        _required("prompt_id", _TEXT),
        _required("prompt", _MESSAGES),
        _required(
            "responses",
            _list_of(
                pa.struct(
                    [
                        _required("response_id", _TEXT),
                        _required("text", _TEXT),
                        _required("source", _TEXT),
                        pa.field("policy", _TEXT),
                        pa.field("sampling", _SAMPLING),
                        _required("marks", pa.map_(_TEXT, pa.field("value", pa.float64(), nullable=False))),
                        _TURNS,
                        pa.field("ended", pa.bool_()),
                    ]
                )
            ),
        ),
        _required("order_shown", _list_of(_TEXT)),
        _required("tiers", _list_of(_list_of(_TEXT))),
        _required("strengths", _list_of(pa.int64(), nullable=True)),  # null: nobody gave one, which is not 0
        _required("annotator", _TEXT),
        _required("annotator_kind", _TEXT),
        pa.field("rationale", _TEXT),
        _required("flags", _list_of(_TEXT)),
        _required("seconds", pa.float64()),
        pa.field("guideline_version", pa.int64()),
        _required("settings_version", pa.int64()),
        _required("split", _TEXT),
        _required("created_at", _TEXT),
        *_OF_ITS_FILE,
        # How sure the annotator was; and marks that are no numbers, as JSON text {response_id: {name: value}}.
        pa.field("confidence", pa.int64()),
        pa.field("other_marks", _TEXT),
    ]
)

SCORES = pa.schema(
    [_required("response_id", _TEXT), _required("prompt_id", _TEXT), _required("reward", pa.float64())]
)

# Answers that are there already and compete in best-of-n. `source`: who wrote it (vocabulary.SOURCE_KINDS); `round`:
# whose tasks it was in first; `reward`: null where the run's reward model has not scored it.
STORED_CANDIDATES = pa.schema(
    [
        _required("response_id", _TEXT),
        _required("prompt_id", _TEXT),
        _required("text", _TEXT),
        _required("source", _TEXT),
        pa.field("policy", _TEXT),
        pa.field("round", pa.int64()),
        pa.field("temperature", pa.float64()),
        pa.field("ended", pa.bool_()),
        pa.field("reward", pa.float64()),
    ]
)

# Every candidate of a best-of-n run, and whether it is learned.
CANDIDATE_ORIGINS = pa.schema(
    [
        _required("response_id", _TEXT),
        _required("prompt_id", _TEXT),
        _required("split", _TEXT),
        _required("is_stored", pa.bool_()),
        _required("source", _TEXT),
        pa.field("policy", _TEXT),
        pa.field("round", pa.int64()),
        pa.field("temperature", pa.float64()),
        _required("ended", pa.bool_()),
        _required("reward", pa.float64()),
        _required("kept", pa.bool_()),
    ]
)
