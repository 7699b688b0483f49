"""Who gets which text to write, what is kept of it, and what becomes of it."""

import contextlib
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from annotation.content.actions import NewResponse, add_prompts, add_responses, get_or_create_source
from annotation.errors import InvalidWriting, NotAMember, WritingChanged, WritingRefused
from annotation.models import (
    Demonstration,
    Prompt,
    WritingItem,
    WritingResult,
    WritingReview,
    WritingVersion,
    WritingWork,
)
from annotation.writing.actions import (
    claim_item,
    count_free,
    own_items,
    release_item,
    save_draft,
    skip_item,
    submit_text,
)
from annotation.writing.alike import Alike, find_alike
from annotation.writing.checking import review_text
from annotation.writing.works import item_counts, open_work, set_work_state, who_wrote
from workspace.members import remove_member

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def run_out(item):
    WritingItem.objects.filter(pk=item.pk).update(leased_until=timezone.now() - timedelta(seconds=1))


def test_an_accepted_answer_is_a_demonstration_of_its_writer(answers, ada, ruth, send):
    version = send(ada, answers, "  With twice the water.\r\n")
    review_text(actor=ruth, version=version, outcome="accept")
    made = Demonstration.objects.get()
    assert (made.prompt.messages[0]["content"], made.response_text) == (
        "How is rice boiled?",
        "With twice the water.",
    )
    assert made.author == ada and made.written.version == version
    assert item_counts(answers) == {"waiting": 1, "writing": 0, "checking": 0, "returned": 0, "accepted": 1}
    assert who_wrote(answers) == [{"name": "ada", "sent": 1, "accepted": 1, "returned": 0}]


def test_nobody_holds_what_another_holds_and_a_second_window_gets_the_same(answers, ada, ruth, max_):
    first = claim_item(actor=ada, work=answers)
    assert claim_item(actor=ada, work=answers) == first
    second = claim_item(actor=ruth, work=answers)
    assert second != first and claim_item(actor=max_, work=answers) is None
    assert count_free(max_, answers) == 0


def test_a_lease_that_ran_out_gives_the_text_to_the_next_and_what_its_writer_typed_stays_theirs(
    answers, ada, ruth, max_, send
):
    held = claim_item(actor=ada, work=answers)
    save_draft(actor=ada, item=held, turns=["Twice the"], draft_number=held.draft_number)
    send(ruth, answers, "Soak them first.")
    run_out(held)
    taken = claim_item(actor=max_, work=answers)
    assert taken != held and taken.prompt == held.prompt and taken.draft is None
    assert item_counts(answers) == {"waiting": 0, "writing": 1, "checking": 1, "returned": 0, "accepted": 0}
    held.refresh_from_db()
    assert (held.writer, held.draft, held.is_late) == (ada, ["Twice the"], True)
    assert list(own_items(ada, answers.project)) == [held] and claim_item(actor=ada, work=answers) is None
    # It is kept beside the other, once, however often it comes.
    for key in ("a", "b"):
        with contextlib.suppress(WritingChanged):
            submit_text(actor=ada, item=held, turns=["Twice the water."], key=key)
    held.refresh_from_db()
    assert (held.state, held.versions.count(), answers.items.filter(writer=ada).count()) == ("checking", 1, 1)
    with pytest.raises(WritingRefused):
        submit_text(actor=ada, item=taken, turns=["Twice the water."], key="c")


def test_texts_that_nobody_has_begun_are_given_first(answers, ada, ruth):
    held = claim_item(actor=ada, work=answers)
    run_out(held)
    other = claim_item(actor=ruth, work=answers)
    held.refresh_from_db()
    assert other.prompt_id != held.prompt_id and not held.is_late


def test_a_prompt_that_was_given_back_does_not_come_again_for_another_answer(project, questions, max_, ada):
    work = open_work(
        actor=max_, project=project, name="Two each", kind="answer", prompt_set=questions, copies=2
    )
    offered = []
    while (item := claim_item(actor=ada, work=work)) is not None:
        offered.append(item.prompt_id)
        skip_item(actor=ada, item=item, reason="I know nothing of it.")
    assert len(offered) == len(set(offered)) == 2


def test_who_comes_back_after_the_lease_before_anybody_else_goes_on(answers, ada):
    held = claim_item(actor=ada, work=answers)
    run_out(held)
    again = claim_item(actor=ada, work=answers)
    assert again == held and again.leased_until > timezone.now()


def test_one_person_answers_a_prompt_once_however_many_are_asked_for(
    project, questions, max_, ada, ruth, send
):
    work = open_work(
        actor=max_, project=project, name="Two each", kind="answer", prompt_set=questions, copies=2
    )
    prompts = {send(ada, work, "One.").item.prompt_id for _ in range(2)}
    assert len(prompts) == 2 and claim_item(actor=ada, work=work) is None
    assert claim_item(actor=ruth, work=work).prompt_id in prompts


def test_what_was_given_back_goes_to_others_with_its_reason(answers, ada, ruth):
    held = claim_item(actor=ada, work=answers)
    skip_item(actor=ada, item=held, reason="I know nothing of rice.")
    assert claim_item(actor=ada, work=answers) != held
    assert claim_item(actor=ruth, work=answers) == held
    assert held.skips.get().reason == "I know nothing of rice."
    with pytest.raises(WritingRefused):
        skip_item(actor=ada, item=held, reason="Again.")


def test_two_windows_never_overwrite_each_others_draft(answers, ada):
    item = claim_item(actor=ada, work=answers)
    number = save_draft(actor=ada, item=item, turns=["Twice"], draft_number=item.draft_number)
    with pytest.raises(WritingChanged):
        save_draft(actor=ada, item=item, turns=["Soak"], draft_number=item.draft_number)
    # An answer that got lost on its way: the same text again is no change.
    assert save_draft(actor=ada, item=item, turns=["Twice"], draft_number=item.draft_number) == number
    item.refresh_from_db()
    assert item.draft == ["Twice"]


def test_the_same_key_is_one_version_and_another_window_is_told(answers, ada):
    item = claim_item(actor=ada, work=answers)
    version = submit_text(actor=ada, item=item, turns=["Twice the water."], key="a")
    assert submit_text(actor=ada, item=item, turns=["Twice the water."], key="a") == version
    with pytest.raises(WritingChanged):
        submit_text(actor=ada, item=item, turns=["Soak them first."], key="b")
    # The answer to the first was lost, and the text was bettered since: it is not said to be sent.
    with pytest.raises(WritingRefused):
        submit_text(actor=ada, item=item, turns=["Twice the water, salted."], key="a")
    assert WritingVersion.objects.count() == 1


def test_a_send_does_not_drop_what_another_window_has_kept(answers, ada):
    item = claim_item(actor=ada, work=answers)
    seen = item.draft_number
    save_draft(actor=ada, item=item, turns=["Of the first window."], draft_number=seen)
    with pytest.raises(WritingChanged):
        submit_text(actor=ada, item=item, turns=["Of the second."], key="a", draft_number=seen)
    item.refresh_from_db()
    assert (item.state, item.draft) == ("writing", ["Of the first window."])
    submit_text(actor=ada, item=item, turns=["Of the second."], key="a", draft_number=item.draft_number)


def test_a_draft_that_did_not_change_renews_the_lease(answers, ada):
    item = claim_item(actor=ada, work=answers)
    number = save_draft(actor=ada, item=item, turns=["Twice"], draft_number=item.draft_number)
    run_out(item)
    assert save_draft(actor=ada, item=item, turns=["Twice"], draft_number=number) == number
    item.refresh_from_db()
    assert item.leased_until > timezone.now()


def test_who_is_no_member_any_more_keeps_sends_gives_back_and_checks_nothing(answers, ada, ruth, max_, send):
    item, sent = claim_item(actor=ada, work=answers), send(max_, answers, "Soak them first.")
    for person in (ada, ruth):
        remove_member(actor=max_, project=answers.project, user=person)
    for act in (
        lambda: save_draft(actor=ada, item=item, turns=["x"], draft_number=item.draft_number),
        lambda: submit_text(actor=ada, item=item, turns=["Twice the water."], key="a"),
        lambda: skip_item(actor=ada, item=item, reason="I leave."),
        lambda: review_text(actor=ruth, version=sent, outcome="accept"),
    ):
        with pytest.raises(NotAMember):
            act()


@pytest.mark.parametrize(
    "text", ["One", "one two three four five six seven eight nine ten", "  ", "NUL \0 here"]
)
def test_a_text_outside_the_limits_is_refused_and_nothing_is_lost(answers, ada, text):
    item = claim_item(actor=ada, work=answers)
    save_draft(actor=ada, item=item, turns=["One"], draft_number=item.draft_number)
    with pytest.raises(Exception) as caught:
        submit_text(actor=ada, item=item, turns=[text], key="a")
    assert caught.value.code in ("invalid_writing", "invalid_text")
    item.refresh_from_db()
    assert (item.state, item.draft) == ("writing", ["One"])


def test_sent_back_it_comes_again_as_a_second_version(answers, ada, ruth, send):
    version = send(ada, answers, "Twice the water.")
    with pytest.raises(InvalidWriting) as caught:
        review_text(actor=ruth, version=version, outcome="send_back")
    assert caught.value.code == "remark_needed"
    review_text(actor=ruth, version=version, outcome="send_back", remark="How long?")
    item = version.item
    item.refresh_from_db()
    assert item.state == "returned" and not Demonstration.objects.exists()
    second = submit_text(
        actor=ada, item=item, turns=["Twice the water, ten minutes."], key="b", seen_version=1
    )
    with pytest.raises(WritingChanged):
        review_text(actor=ruth, version=version, outcome="accept")
    review_text(actor=ruth, version=second, outcome="accept")
    assert list(item.versions.values_list("turns", flat=True)) == [
        ["Twice the water."],
        ["Twice the water, ten minutes."],
    ]
    assert Demonstration.objects.get().response_text == "Twice the water, ten minutes."


def test_a_correction_is_a_version_of_the_reviewer_and_the_demonstration_its_text(answers, ada, ruth, send):
    version = send(ada, answers, "Twice teh water.")
    with pytest.raises(InvalidWriting) as caught:
        review_text(actor=ruth, version=version, outcome="edit", turns=["Twice teh water."])
    assert caught.value.code == "nothing_corrected"
    review_text(actor=ruth, version=version, outcome="edit", turns=["Twice the water."])
    assert list(version.item.versions.values_list("turns", "written_by__username")) == [
        (["Twice teh water."], "ada"),
        (["Twice the water."], "ruth"),
    ]
    assert Demonstration.objects.get().response_text == "Twice the water."


def test_nobody_checks_their_own_text_and_nobody_checks_twice(answers, ruth, max_, send):
    version = send(ruth, answers, "Twice the water.")
    with pytest.raises(WritingRefused) as caught:
        review_text(actor=ruth, version=version, outcome="accept")
    assert caught.value.code == "own_text"
    review_text(actor=max_, version=version, outcome="accept")
    with pytest.raises(WritingChanged):
        review_text(actor=max_, version=version, outcome="send_back", remark="No.")
    assert WritingReview.objects.count() == 1
    with pytest.raises(IntegrityError), transaction.atomic():
        WritingReview.objects.create(
            version=send(max_, answers, "Soak them."), reviewer=max_, writer=max_, outcome="accept"
        )


def test_the_database_refuses_to_change_what_was_sent_and_said(answers, ada, ruth, send):
    review_text(actor=ruth, version=send(ada, answers, "Twice the water."), outcome="accept")
    for model, change in ((WritingVersion, {"turns": ["x"]}), (WritingReview, {"remark": "x"})):
        with pytest.raises(IntegrityError), transaction.atomic():
            model.objects.update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        WritingReview.objects.all()._raw_delete("default")


def test_an_answer_to_correct_is_the_newest_one_of_its_prompt(project, questions, max_, ada):
    source = get_or_create_source(actor=max_, project=project, kind="policy", name="base")
    prompt = Prompt.objects.order_by("pk").first()
    rows = [NewResponse(prompt=prompt, source=source, text=text) for text in ("Old.", "New.")]
    add_responses(actor=max_, project=project, rows=rows)
    work = open_work(actor=max_, project=project, name="Edits", kind="edit", prompt_set=questions)
    item = claim_item(actor=ada, work=work)
    assert item.edited_response.text == "New." and work.items.count() == 1


def test_each_answer_of_a_dialogue_is_a_demonstration_and_all_are_on_one_side(dialogues, ada, ruth):
    item = claim_item(actor=ada, work=dialogues)
    for turns in (["Hello"], ["Hello", "Hi.", "Rice?"], ["Hello", ""]):
        with pytest.raises(Exception) as caught:
            submit_text(actor=ada, item=item, turns=turns, key="a")
        assert caught.value.code in ("invalid_writing", "invalid_text")
    turns = ["Hello", "Hi.", "Rice?", "Twice the water."]
    version = submit_text(actor=ada, item=item, turns=turns, key="a")
    review_text(actor=ruth, version=version, outcome="accept")
    made = Demonstration.objects.order_by("pk")
    assert [(len(row.prompt.messages), row.response_text) for row in made] == [
        (1, "Hi."),
        (3, "Twice the water."),
    ]
    assert made[1].prompt.messages == [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "Rice?"},
    ]
    assert len({row.prompt.split for row in made}) == 1 and WritingResult.objects.count() == 2


def test_an_accepted_prompt_goes_into_the_set_with_kind_and_author(prompts, questions, ada, ruth, send):
    review_text(actor=ruth, version=send(ada, prompts, "Name three uses of rice."), outcome="accept")
    made = questions.prompts.order_by("pk").last()
    assert (made.kind, made.author, made.messages[0]["content"]) == (
        "few-shot",
        ada,
        "Name three uses of rice.",
    )


def test_a_prompt_that_is_there_is_refused_when_sent_and_when_accepted(
    prompts, project, ada, ruth, max_, send
):
    with pytest.raises(InvalidWriting) as caught:
        send(ada, prompts, "How is rice boiled?")
    assert caught.value.code == "prompt_known"
    version = send(ada, prompts, "Which rice is best?")
    rows = [{"messages": [{"role": "user", "content": "Which rice is best?"}]}]
    add_prompts(actor=max_, project=project, rows=rows)
    with pytest.raises(InvalidWriting):
        review_text(actor=ruth, version=version, outcome="accept")
    assert not WritingReview.objects.exists()
    review_text(actor=ruth, version=version, outcome="edit", turns=["Which rice is best for sushi?"])


def test_what_is_alike_is_said(prompts, ada, send):
    assert find_alike(prompts, "How is rice boiled?").is_same
    alike = find_alike(prompts, "how is  rice boiled")
    assert (alike.text, alike.is_same) == ("How is rice boiled?", False)
    version = send(ada, prompts, "Which rice is best for sushi?")
    assert find_alike(prompts, "Which rice is best for sushi ?").text == "Which rice is best for sushi?"
    # Sent and not accepted yet: the same may be sent too, and who checks decides.
    assert find_alike(prompts, "Which rice is best for sushi?") == Alike(
        "Which rice is best for sushi?", False
    )
    assert find_alike(prompts, "Which rice is best for sushi?", item=version.item) is None
    assert find_alike(prompts, "Tell me of the sea.") is None


def test_closed_work_hands_nothing_out_and_takes_what_was_begun(answers, ada, ruth, max_):
    item = claim_item(actor=ada, work=answers)
    set_work_state(actor=max_, work=answers, state="closed")
    assert claim_item(actor=ruth, work=answers) is None and count_free(ruth, answers) == 0
    version = submit_text(actor=ada, item=item, turns=["Twice the water."], key="a")
    review_text(actor=ruth, version=version, outcome="accept")
    assert Demonstration.objects.count() == 1


def test_a_manager_takes_a_text_from_who_leaves_it(answers, ada, ruth, max_, send):
    version = send(ada, answers, "Twice the water.")
    review_text(actor=ruth, version=version, outcome="send_back", remark="How long?")
    release_item(actor=max_, item=version.item)
    skip_item(actor=max_, item=claim_item(actor=max_, work=answers), reason="The other one, please.")
    again = claim_item(actor=max_, work=answers)
    # From the beginning: what ada wrote stays hers, and is nobody else's to send.
    assert again != version.item and again.prompt == version.item.prompt and not again.versions.exists()
    second = submit_text(actor=max_, item=again, turns=["Ten minutes long."], key="b")
    review_text(actor=ruth, version=second, outcome="accept")
    assert Demonstration.objects.get().author == max_
    with pytest.raises(WritingRefused):
        release_item(actor=max_, item=again)
    with pytest.raises(WritingRefused):
        release_item(actor=max_, item=version.item)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "poem"},
        {"kind": "answer"},
        {"kind": "dialogue"},
        {"kind": "dialogue", "items": 0},
        {"kind": "prompt", "items": 1},
        {"kind": "dialogue", "items": 1, "prompt_kind": "plain"},
        {"kind": "dialogue", "items": 1, "min_words": 5, "max_words": 4},
        {"kind": "dialogue", "items": 1, "copies": 0},
        {"kind": "dialogue", "items": 1, "name": "x" * 121},
    ],
)
def test_work_that_does_not_fit_is_refused(project, max_, wrong):
    with pytest.raises(InvalidWriting):
        open_work(actor=max_, project=project, **({"name": "Work"} | wrong))
    assert not WritingWork.objects.exists()
