"""Whether a response ended or its sampler's limit cut it off; known of what was sampled here, by its tokens."""

from collections import defaultdict

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

RESPONSES_PER_UPDATE = 500


def fill_ended(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """A sample shorter than its limit ended, and its last token is the end token of its source. One as long as the
    limit ended if it ends with that token; where no shorter one shows the token, nobody knows.
    """
    responses = apps.get_model("annotation", "Response").objects.using(schema_editor.connection.alias)
    sampled = responses.filter(token_ids__isnull=False, sampling__isnull=False)
    at_limit: dict[int, list[tuple[int, int]]] = defaultdict(list)  # source -> (response, its last token)
    end_tokens: dict[int, set[int]] = defaultdict(set)
    ended: dict[bool, list[int]] = {True: [], False: []}
    rows = sampled.values_list("pk", "source_id", "token_ids", "sampling")
    for pk, source, token_ids, sampling in rows.order_by("pk").iterator(chunk_size=RESPONSES_PER_UPDATE):
        limit = sampling.get("max_tokens")
        if not token_ids or not limit:
            continue
        if len(token_ids) < limit:
            end_tokens[source].add(token_ids[-1])
            ended[True].append(pk)
        else:
            at_limit[source].append((pk, token_ids[-1]))
    for source, longest in at_limit.items():
        if end_tokens[source]:
            for pk, last in longest:
                ended[last in end_tokens[source]].append(pk)
    for value, pks in ended.items():
        for start in range(0, len(pks), RESPONSES_PER_UPDATE):
            responses.filter(pk__in=pks[start : start + RESPONSES_PER_UPDATE]).update(ended=value)


class Migration(migrations.Migration):
    dependencies = [("annotation", "0007_texts")]

    operations = [
        migrations.AddField(
            model_name="response",
            name="ended",
            field=models.BooleanField(
                blank=True, help_text="No: cut at the sampler's limit. Unknown counts as ended.", null=True
            ),
        ),
        migrations.RunPython(fill_ended, migrations.RunPython.noop),
    ]
